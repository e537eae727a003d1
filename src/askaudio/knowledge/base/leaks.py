"""The leak filter: knowledge is training data, so no clip and no caption of an evaluation split may enter it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Literal

from askaudio.core.errors import ConfigError, DataError


def plain_text(text: str) -> str:
    """A caption without case, punctuation and doubled spaces: what two captions must share to count as one."""
    return " ".join(re.findall(r"\w+", text.lower()))


class LeakFilter:
    """Keeps evaluation clips and texts out of a base.

    Args:
        ids: Clip ids of the evaluation splits (recordings or video ids: compared with the ids of the sources).
        texts: Their captions; compared without case and punctuation. Common short captions ("a dog barks") occur in
            ordinary training sets too: filter by text only what comes from outside.
        action: "refuse" raises at the first leak, "skip" leaves the entries out and counts them in ``skipped``.

    Attributes:
        skipped: source -> number of entries left out so far.
    """

    def __init__(
        self,
        ids: Iterable[Hashable] = (),
        texts: Iterable[str] = (),
        action: Literal["refuse", "skip"] = "refuse",
    ) -> None:
        if action not in ("refuse", "skip"):
            raise ConfigError(f"leak filter action must be 'refuse' or 'skip', got {action!r}")
        self._ids = frozenset(ids)
        self._texts = frozenset(plain_text(text) for text in texts)
        self.action = action
        self.skipped: dict[str, int] = {}

    def keep(self, ids: Sequence[Hashable], texts: Sequence[str] | None, source: str) -> list[bool]:
        """Decide for each entry whether it may enter the base, and add the number left out to ``skipped``.

        Args:
            ids: N clip ids.
            texts: N captions; None is allowed where the filter has no texts.
            source: Name of the source, for the message and as the key in ``skipped``.

        Returns:
            N values; False for an entry whose id or caption is in an evaluation split.

        Raises:
            DataError: An entry leaks and the action is "refuse"; or texts are to be compared and none were given.
        """
        if self._texts and texts is None:
            raise DataError(f"the leak filter compares captions, but source {source!r} gave none: pass texts=[...]")
        captions = [""] * len(ids) if texts is None or not self._texts else [plain_text(text) for text in texts]
        keep = [one not in self._ids and caption not in self._texts for one, caption in zip(ids, captions, strict=True)]
        leaks = keep.count(False)
        if leaks and self.action == "refuse":
            row = keep.index(False)
            raise DataError(
                f"source {source!r}: {leaks} of {len(ids)} entries belong to an evaluation split, first {ids[row]!r}; "
                "take them out of the source, or drop them with: LeakFilter(..., action='skip')"
            )
        self.skipped[source] = self.skipped.get(source, 0) + leaks
        return keep
