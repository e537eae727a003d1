"""Weights from files: read without running a pickle, and put into a model whose every key and shape must fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from askaudio.core.errors import ModelError

# numpy arrays, which some checkpoints hold beside their weights; building one runs no code of the file
_MULTIARRAY: Any = np._core.multiarray  # type: ignore[attr-defined]
_ARRAYS: list[Any] = [_MULTIARRAY._reconstruct, _MULTIARRAY.scalar, np.ndarray, np.dtype]
_ARRAYS += [np.dtypes.Int64DType, np.dtypes.Float64DType, np.dtypes.UInt32DType]


def read_weights(path: Path | str, what: str) -> dict[str, Tensor]:
    """Tensors of a weights file or of a folder that holds ``model.safetensors``; a pickle is never executed.

    Args:
        path: ``.safetensors``, or a torch checkpoint (``.pt``, ``.pth``), which is read with ``weights_only``.
        what: Name of the model, for messages.

    Returns:
        Key -> tensor; nested ``state_dict`` and ``model`` entries are opened.

    Raises:
        ModelError: The file is missing, damaged, or holds more than tensors and plain values.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise ModelError(f"no {what} weights at {path}; set model.audio_weights to the authors' file")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is damaged ({error}); copy it again") from error
    try:
        with torch.serialization.safe_globals(_ARRAYS):
            tree: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises exceptions without a common base
        raise ModelError(f"{path} cannot be read without executing it ({str(error).splitlines()[0]})") from error
    for key in ("model", "state_dict"):
        tree = tree.get(key, tree) if isinstance(tree, dict) else tree
    if not isinstance(tree, dict) or not any(isinstance(value, Tensor) for value in tree.values()):
        raise ModelError(f"{path} holds no weights; expected the checkpoint of {what}")
    return {key: value for key, value in tree.items() if isinstance(value, Tensor)}


def without(tensors: dict[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """The tensors whose keys begin with none of the prefixes."""
    return {key: value for key, value in tensors.items() if not key.startswith(tuple(prefixes))}


def fill(model: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    """Put weights into a model; every key and shape must fit.

    Args:
        model: Changed in place.
        tensors: Key of the state dict -> tensor.
        name: Where the weights come from, for the error message.

    Raises:
        ModelError: Lists what is missing, unknown or of another shape.
    """
    expected = model.state_dict()
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    shapes = [
        f"{key} is {tuple(tensors[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & tensors.keys())
        if tensors[key].shape != expected[key].shape
    ]
    faults = [f"missing: {_some(missing)}"] if missing else []
    faults += [f"unknown: {_some(unknown)}"] if unknown else []
    faults += [f"shape: {_some(shapes)}"] if shapes else []
    if faults:
        raise ModelError(f"the weights in {name} do not fit the model ({'; '.join(faults)})")
    model.load_state_dict(tensors)


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
