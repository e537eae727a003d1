"""Notice changes in folders by polling.

Polling needs no service of the operating system and works on network drives. A look costs about 10 microseconds a file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from askaudio.index.bookkeeping import Stamp
from askaudio.ingest.walk import absolute_roots, find_sounds, stamp_of

Seen = dict[str, Stamp | None]  # path -> stamp; folders that cannot be looked at -> None


def look(folders: Sequence[str | Path]) -> Seen:
    """Path -> stamp of all sound files as they are now; a folder that is away or cannot be listed has no stamp."""
    roots = absolute_roots(folders)
    found = find_sounds(roots)
    return {**{path: stamp_of(path, roots=roots) for path in found.sounds}, **dict.fromkeys(found.unseen)}


def wait_for_change(folders: Sequence[str | Path], seen: Seen, every_s: float = 2.0) -> Seen:
    """Poll folders until their sound files differ from ``seen`` and have not changed between two looks.

    A folder that goes away and one that comes back are changes too.

    Args:
        folders: Folders or files.
        seen: Result of the last look.
        every_s: Seconds between looks; longer when a look takes more than a tenth of it.

    Returns:
        The new look.
    """
    last = dict(seen)
    while True:
        started = time.monotonic()
        now = look(folders)
        if now != seen and now == last:
            return now
        last = now
        time.sleep(max(every_s, 10 * (time.monotonic() - started)))
