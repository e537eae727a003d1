"""Which readers are tried for a file, and in which order.

libsndfile comes first and keeps every file that it reads to the end, so the vectors of such files do not depend on
what else is installed. PyAV follows where it is installed, then an ``ffmpeg`` program on the PATH.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from askaudio.audio.readers import codec, ffmpeg, sndfile
from askaudio.audio.readers.stream import AudioStream

Opener = Callable[[Path | str | bytes, str], AbstractContextManager[AudioStream]]

NEEDS_CODEC = "m4a, wma and video need: pip install 'askaudio[codec]', or an ffmpeg program on the PATH"


def readers() -> dict[str, Opener]:
    """Name -> how to open a file, in the order in which they are tried."""
    found: dict[str, Opener] = {"libsndfile": sndfile.open_stream}
    if _has_av():
        found["PyAV"] = codec.open_stream
    if ffmpeg.program():
        found["ffmpeg"] = ffmpeg.open_stream
    return found


def _has_av() -> bool:
    try:
        return importlib.util.find_spec("av") is not None
    except ValueError:  # the module was set to None
        return False
