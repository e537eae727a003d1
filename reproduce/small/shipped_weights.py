"""Load the shipped ONNX towers as torch modules that can be trained further.

The shipped graphs have their batch norms folded into the convolutions. Training needs them apart, so each batch norm is
set from the statistics of a batch of mixtures: the tower's outputs are unchanged, and each convolution gets outputs of
unit variance, as after training with batch norms. Cost: a second.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from askaudio.models.bridge import BridgeAudioProjection
from askaudio.models.small_audio import SmallAudioTower
from askaudio.models.small_text import LAYERS, SmallTextTower

HALF = "/half"  # what the package's 16-bit storage puts behind a weight's name


def weights(path: Path) -> dict[str, Tensor]:
    """Float weights of a graph by the name that torch gave them, in the order of their numbers."""
    found = {}
    for tensor in onnx.load(path).graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype in (np.float16, np.float32):
            found[tensor.name.removesuffix(HALF)] = torch.from_numpy(array.astype(np.float32))
    return found


def folded_convolutions(found: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution in the order in which the graph calls them."""
    names = sorted((n for n in found if n.startswith("onnx::Conv_")), key=lambda name: int(name.split("_")[-1]))
    return [(found[w], found[b]) for w, b in zip(names[::2], names[1::2], strict=True)]


@torch.no_grad()
def open_audio_tower(path: Path, log_mel: Tensor) -> SmallAudioTower:
    """The audio tower of ``audio.onnx``, with batch norms as the mixtures (B, 128, T) set them."""
    found, tower = weights(path), SmallAudioTower()
    own = {name.removeprefix("tower."): value for name, value in found.items() if name.startswith("tower.")}
    _, unexpected = tower.load_state_dict(own, strict=False)
    if unexpected:
        raise SystemExit(f"{path}: weights that this tower does not have: {unexpected}")
    convolutions = [m for m in tower.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in tower.modules() if isinstance(m, nn.BatchNorm2d)]
    for conv, norm, (weight, bias) in zip(convolutions, norms, folded_convolutions(found), strict=True):
        conv.weight.copy_(weight)
        norm.bias.copy_(bias)
        norm.register_forward_pre_hook(set_from_input(conv))
    tower.eval().outputs(log_mel)
    for norm in norms:
        norm._forward_pre_hooks.clear()
    return tower


def set_from_input(conv: nn.Conv2d):  # type: ignore[no-untyped-def]
    """A hook that sets a batch norm from its first input without changing the output of convolution and norm."""

    def hook(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (x,) = inputs  # (B, C, F', T'), the folded convolution without its bias
        mean, spread = x.mean((0, 2, 3)), x.std((0, 2, 3), correction=0).clamp(min=1e-4)
        conv.weight.div_(spread[:, None, None, None])
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean / spread)
        norm.running_var.fill_(1.0 - norm.eps)
        norm.weight.copy_(spread)
        norm.bias.add_(mean)
        return (x / spread[:, None, None],)

    return hook


def open_audio_head(path: Path, share: float, dropout: float = 0.3) -> BridgeAudioProjection:
    """The audio projection of a shipped graph, of ``efficientat`` or of ``small``."""
    own = {n.removeprefix("projection."): w for n, w in weights(path).items() if n.startswith("projection.")}
    hidden_dim, learned_dim = len(own["hidden.bias"]), len(own["out.bias"])
    head = BridgeAudioProjection(learned_dim, hidden_dim, dropout, share)
    head.load_state_dict(own)
    return head.eval()


# linear maps of a layer in the order in which the graph calls them
_OF_A_LAYER = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
               "intermediate.dense", "output.dense")  # fmt: skip


def whole_numbers(path: Path) -> dict[str, Tensor]:
    """Weights that a graph stores as 8-bit integers, as floats again, by name."""
    arrays = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    found = {}
    for name, values in arrays.items():
        if name.endswith("_quantized"):
            stem = name.removesuffix("_quantized")
            scale, zero = arrays[f"{stem}_scale"], arrays[f"{stem}_zero_point"]
            found[stem] = torch.from_numpy((values.astype(np.float32) - zero.astype(np.float32)) * scale)
    return found


def open_text_tower(folder: Path) -> SmallTextTower:
    """The text tower of ``text.onnx`` and ``tokenizer.json``, to the precision of the stored integers."""
    plain, whole = weights(folder / "text.onnx"), whole_numbers(folder / "text.onnx")
    tower = SmallTextTower((folder / "tokenizer.json").read_text())
    own = {n.removeprefix("tower."): w for n, w in {**plain, **whole}.items() if n.startswith("tower.")}
    own = {name: weight for name, weight in own.items() if not name.endswith("_scale")}
    own["out.weight"] = own.pop("out.weight_Transposed").T
    unnamed = sorted((n for n in whole if n.startswith("onnx::MatMul_")), key=lambda n: int(n.split("_")[-1]))
    places = [f"bert.encoder.layer.{k}.{name}.weight" for k in range(LAYERS) for name in _OF_A_LAYER]
    own |= {place: whole[name].T for place, name in zip(places, unnamed[: len(places)], strict=True)}
    tower.load_state_dict(own)
    return tower.eval()
