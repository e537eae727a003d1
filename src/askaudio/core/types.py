"""Array types, split names, and the callback by which long work reports progress."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Json: TypeAlias = dict[str, Any]

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Progress(Protocol):
    """Called by long library work: (done, total or None, short note). The command line draws a bar from it."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Report that ``done`` of ``total`` units are finished."""


def silent(done: int, total: int | None, note: str = "") -> None:
    """Ignore progress: the default everywhere, because the library never prints.

    Arguments are those of ``Progress``.
    """
