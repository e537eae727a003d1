"""A base on disk: a folder with ``base.safetensors`` (embeddings) and ``base.json`` (ids, sources, version)."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path, read_json, write_json
from askaudio.knowledge.base import EntryIndex, KnowledgeBase

FORMAT = 1


def save_base(base: KnowledgeBase, folder: Path | str) -> None:
    """Write a base; ids must be texts or whole numbers. The JSON is written last and names the fingerprint.

    Raises:
        DataError: An id is neither a text nor a whole number.
    """
    folder, base = Path(folder), base.whole()
    odd = next((one for one in base.index.listed_ids() if type(one) not in (str, int)), None)
    if odd is not None:
        raise DataError(f"clip id {odd!r} cannot be saved: ids must be texts or whole numbers")
    tensors = {"audio": base.audio, "text": base.text, "has_audio": base.index.has_audio.to(torch.uint8)}
    with atomic_path(folder / "base.safetensors") as temporary:
        save_file({name: x.detach().cpu().contiguous() for name, x in tensors.items()}, temporary)
    about = {
        "format": FORMAT,
        "ids": list(base.index.listed_ids()),
        "sources": list(base.index.sources),
        "encoder": base.encoder,
        "version": base.version,
        "fingerprint": base.fingerprint,
    }
    write_json(folder / "base.json", about)


def load_base(folder: Path | str) -> KnowledgeBase:
    """Read a base back, bit for bit.

    Raises:
        DataError: A file is missing, damaged, from a newer version, or the two do not belong together.
    """
    folder = Path(folder)
    about = read_json(folder / "base.json")
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DataError(f"{folder / 'base.json'} is not a knowledge base of format {FORMAT}; make it again")
    try:
        tensors = load_file(folder / "base.safetensors")
        index = EntryIndex(about["ids"], about["sources"], tensors["has_audio"].bool())
        base = KnowledgeBase(index, tensors["audio"], tensors["text"], about["encoder"], about["version"])
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds base.json but no base.safetensors: copy both files") from error
    except (KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"{folder} is damaged: {error}") from error
    except Exception as error:  # safetensors raises its own type, which it does not export for torch
        raise DataError(f"{folder / 'base.safetensors'} cannot be read: {error}") from error
    if base.fingerprint != about["fingerprint"]:
        raise DataError(f"{folder}: base.json and base.safetensors do not belong together (fingerprints differ)")
    return base
