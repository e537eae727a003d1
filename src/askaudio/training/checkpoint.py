"""A trainer's state as one safetensors file: tensors as tensors, everything else as JSON in its header. No pickle.

One file, written to a temporary name and renamed: a run that is killed while saving resumes from the save before.
A tensor keeps its strides. Fused AdamW takes the memory of weight, gradient and moments element by element, so moments
that came back in another order than their weights (channels-last ones of a convolution) gave wrong updates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from askaudio.core.errors import ModelError
from askaudio.core.files import atomic_path

FORMAT = "askaudio-state-2"
READABLE = (FORMAT, "askaudio-state-1")  # the first had no strides


def save_tree(tree: Any, path: Path | str) -> None:
    """Write nested dicts, lists, tuples, numbers, texts, None and tensors.

    Raises:
        TypeError: Something else is in it; the message says where.
    """
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _flatten(tree, "", tensors)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"format": FORMAT, "tree": json.dumps(skeleton)})


def load_tree(path: Path | str) -> Any:
    """Read what ``save_tree`` wrote, on the CPU.

    Raises:
        ModelError: The file is missing, damaged or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") not in READABLE:
                raise ModelError(
                    f"{path} is not a training state of this version; start the run again without --resume"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}); start the run again without --resume") from error
    return _restore(json.loads(header["tree"]), tensors)


def _flatten(value: Any, where: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON form of a tree; a container or tensor becomes {"kind": ..., ...}, so that nothing is ambiguous."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        name = f"{len(tensors)}{where}"
        # a copy, because safetensors refuses shared memory
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        plain = tensors[name].stride() == value.stride() or not _is_dense(value)
        return {"tensor": name} if plain else {"strided": [name, *value.stride()]}
    if isinstance(value, dict):
        return {"dict": [[_flatten(k, where, tensors), _flatten(v, f"{where}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_flatten(v, f"{where}/{i}", tensors) for i, v in enumerate(value)]}
    raise TypeError(f"state at {where or '/'} is a {type(value).__name__}; it must be tensors and plain values")


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill a block of memory, each once, in some order of the dimensions."""
    order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
    return tensor.permute(order).is_contiguous()


def _restore(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "strided":
        name, *strides = inner
        plain = tensors[name]
        return torch.empty_strided(plain.shape, strides, dtype=plain.dtype).copy_(plain)
    if kind == "dict":
        return {_restore(k, tensors): _restore(v, tensors) for k, v in inner}
    items = [_restore(v, tensors) for v in inner]
    return tuple(items) if kind == "tuple" else items


class SafeCheckpointIO(CheckpointIO):
    """Lightning's door to the disk, with ``save_tree`` and ``load_tree`` behind it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Arguments are those of Lightning's ``CheckpointIO``; ``storage_options`` has no effect.
        """
        save_tree(checkpoint, path)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; tensors are on the CPU, Lightning moves them.

        Arguments are those of Lightning's ``CheckpointIO``; only ``path`` has an effect.
        """
        return load_tree(path)

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)
