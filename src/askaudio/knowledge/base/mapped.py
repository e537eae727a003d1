"""A base in files that are mapped into memory: as large as the disk, in as much memory as there is.

``audio.bin`` and ``text.bin`` hold the rows one after another, ``ids.bin`` the clip ids as whole numbers, ``base.json``
what belongs to it. Pages are read when a step touches them and dropped when memory is short, so a base of 10,000,000
entries (D = 256, half precision: 10 GB) works beside a few GB of memory. A refresh in parts writes into the files in
place; they are the state, and no checkpoint carries them: a resumed run finds rows as fresh as when it was stopped, or
fresher.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from askaudio.core.errors import DataError
from askaudio.core.files import read_json, write_json
from askaudio.knowledge.base.entries import EntryIndex
from askaudio.knowledge.base.knowledge_base import Encode, KnowledgeBase, stored

FORMAT = 1
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def map_base(
    folder: Path | str,
    ids: Tensor,
    dim: int,
    encode: Encode,
    *,
    source: str = "training",
    dtype: str = "bfloat16",
    piece: int = 16384,
) -> KnowledgeBase:
    """Make a base in a folder, row by row from ``encode``; memory is that of a piece.

    Args:
        folder: New or empty.
        ids: (N,) clip ids, whole numbers; every entry has audio.
        dim: D.
        encode: Rows (n,) -> audio (n, D) and text (n, D).
        source: Name of the source.
        dtype: bfloat16, float16 or float32.
        piece: Rows encoded at once.

    Raises:
        DataError: The folder holds a base already, or ``dtype`` is another type.
    """
    folder = Path(folder)
    if (folder / "base.json").exists():
        raise DataError(f"{folder} holds a base already; open it with open_mapped, or give an empty folder")
    if dtype not in DTYPES:
        raise DataError(f"a mapped base is kept as one of {', '.join(DTYPES)}, got {dtype!r}")
    folder.mkdir(parents=True, exist_ok=True)
    audio, text = (_file(folder / name, len(ids), dim, DTYPES[dtype]) for name in ("audio.bin", "text.bin"))
    with torch.no_grad():
        for start in range(0, len(ids), piece):
            rows = torch.arange(start, min(start + piece, len(ids)))
            a, t = encode(rows)
            audio[rows], text[rows] = stored(a, audio.dtype), stored(t, text.dtype)
    torch.from_file(str(folder / "ids.bin"), shared=True, size=len(ids), dtype=torch.long).copy_(ids)
    write_json(folder / "base.json", {"format": FORMAT, "n": len(ids), "dim": dim, "dtype": dtype, "source": source})
    return open_mapped(folder)


def open_mapped(folder: Path | str) -> KnowledgeBase:
    """Open what ``map_base`` made.

    Raises:
        DataError: Not such a folder, or a file is missing or of another size.
    """
    folder = Path(folder)
    about = read_json(folder / "base.json")
    if not isinstance(about, dict) or about.get("format") != FORMAT or about.get("dtype") not in DTYPES:
        raise DataError(f"{folder / 'base.json'} is not a mapped knowledge base of format {FORMAT}; make it again")
    n, dim, dtype = int(about["n"]), int(about["dim"]), DTYPES[about["dtype"]]
    sizes = {"audio.bin": n * dim * dtype.itemsize, "text.bin": n * dim * dtype.itemsize, "ids.bin": n * 8}
    for name, size in sizes.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise DataError(f"{folder / name} is missing or damaged: expected {size} bytes; make the base again")
    ids = torch.from_file(str(folder / "ids.bin"), shared=False, size=n, dtype=torch.long)
    index = EntryIndex(ids, about["source"], torch.ones(n, dtype=torch.bool))
    audio, text = (_file(folder / name, n, dim, dtype) for name in ("audio.bin", "text.bin"))
    return KnowledgeBase(index, audio, text, mapped=True)


def _file(path: Path, n: int, dim: int, dtype: torch.dtype) -> Tensor:
    """(n, dim) rows of a file, made where it is not there; what is written into them is written into it."""
    return torch.from_file(str(path), shared=True, size=n * dim, dtype=dtype).view(n, dim)
