"""Files that were moved: known content under a path that does not exist any more is looked for in new files."""

from __future__ import annotations

import os
from collections.abc import Sequence

from askaudio.ingest.known import Known
from askaudio.ingest.walk import is_gone


class Vanished:
    """Known recordings whose file is at its path no longer, to be found again under another one by their content."""

    def __init__(self) -> None:
        self._by_hash: dict[str, list[Known]] = {}
        self._sizes: set[int] = set()
        self._elsewhere: dict[int, list[Known]] = {}  # by size; whether they are gone is checked when it matters
        self._taken: set[str] = set()

    def may_have_moved(self, missing: Sequence[Known], elsewhere: Sequence[Known]) -> None:
        """Set what may be found again.

        Args:
            missing: Files below the roots that are not at their path.
            elsewhere: Files outside of the roots.
        """
        for known in missing:
            self._add(known)
        for known in elsewhere:
            if known.stamp is not None:
                self._elsewhere.setdefault(known.stamp.size_bytes, []).append(known)

    def _add(self, known: Known) -> None:
        if known.whole and known.stamp is not None and known.content_hash:
            self._by_hash.setdefault(known.content_hash, []).append(known)
            self._sizes.add(known.stamp.size_bytes)

    def may_be(self, size_bytes: int) -> bool:
        """Whether a file of this size has vanished; only then is it worth reading the file for its hash."""
        for known in self._elsewhere.pop(size_bytes, ()):
            if is_gone(known.path):
                self._add(known)
        return size_bytes in self._sizes

    def take(self, content_hash: str, path: str) -> Known | None:
        """Take a recording with this content, the one whose path ends most like ``path``."""
        same = self._by_hash.get(content_hash)
        if not same:
            return None
        best = max(same, key=lambda known: _common_tail(known.path, path))
        same.remove(best)
        self._taken.add(best.path)
        return best

    def left(self, missing: Sequence[Known]) -> list[Known]:
        """Those that were not taken."""
        return [known for known in missing if known.path not in self._taken]


def _common_tail(a: str, b: str) -> int:
    """Number of equal path components at the end."""
    parts = zip(reversed(a.split(os.sep)), reversed(b.split(os.sep)), strict=False)
    return next((n for n, (x, y) in enumerate(parts) if x != y), min(a.count(os.sep), b.count(os.sep)) + 1)
