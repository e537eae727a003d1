"""Names of the three splits in different corpora."""

from __future__ import annotations

from askaudio.core.errors import DataError
from askaudio.core.types import Split

SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "development": "train", "dev": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "evaluation": "test", "eval": "test",
}  # fmt: skip


def split_of(name: str, where: str) -> Split:
    """Translate a corpus's name of a split ("development", "valid", "eval" ...) to train, val or test.

    Raises:
        DataError: Unknown name.
    """
    try:
        return SPLIT_NAMES[name.strip().lower()]
    except KeyError:
        raise DataError(f"{where}: split {name!r} is none of {', '.join(SPLIT_NAMES)}") from None
