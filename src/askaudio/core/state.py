"""The folder for what this machine notes about collections: ``$ASKAUDIO_STATE``, else ``~/.askaudio``."""

from __future__ import annotations

import os
from pathlib import Path

STATE_VARIABLE = "ASKAUDIO_STATE"


def state_folder() -> Path:
    """The folder; it may not exist yet."""
    named = os.environ.get(STATE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".askaudio"
