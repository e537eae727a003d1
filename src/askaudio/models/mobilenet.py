"""The EfficientAT audio towers as trainable modules: MobileNetV3-Large on log-mel, widths 0.4 to 4 (mn04 to mn40).

Every width is read from the authors' checkpoint; what a checkpoint does not hold (strides, activations) is the same in
the whole family. ``encoders/efficientat.py`` runs the frozen mn04 without torch.

Source: Schmid et al., "Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge Distillation", 2023; Howard
    et al., "Searching for MobileNetV3", 2019, table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from askaudio.core.errors import ModelError
from askaudio.core.types import Json
from askaudio.encoders.efficientat import FRONT_END
from askaudio.models.tower import AudioTower, Frames, blank, masked_mean, time_mask
from askaudio.models.weights import fill, read_weights

N_BLOCKS = 15
HALVES = (2, 4, 7, 13)  # blocks, counted from 1, whose convolution has stride 2
FIRST_HARDSWISH = 7  # blocks before it use ReLU
# kernel, inner channels, squeeze and excitation, outer channels of the blocks at width 1 (MobileNetV3-Large)
_LARGE = (
    (3, 16, False, 16), (3, 64, False, 24), (3, 72, False, 24), (5, 72, True, 40), (5, 120, True, 40),
    (5, 120, True, 40), (3, 240, False, 80), (3, 200, False, 80), (3, 184, False, 80), (3, 184, False, 80),
    (3, 480, True, 112), (3, 672, True, 112), (5, 672, True, 160), (5, 960, True, 160), (5, 960, True, 160),
)  # fmt: skip
_NORM = {"eps": 1e-3, "momentum": 0.01}


class MobileNetTower(AudioTower):
    """Log-mel (B, 128, T) -> frames (B, T / 32, dim) and their mean (B, dim).

    Args:
        stem: Channels of the first convolution.
        blocks: (kernel, inner channels, squeeze, outer channels) of each of the 15 blocks; squeeze is the hidden width
            of squeeze and excitation, 0 for none.
        dim: Channels of the last convolution.
        classes: Widths of the classifier's two layers; then its logits are appended to the vector.
    """

    kind = "mobilenet"
    front_end = FRONT_END

    def __init__(
        self, stem: int, blocks: Sequence[Sequence[int]], dim: int, classes: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self._settings: Json = {"stem": stem, "blocks": [list(block) for block in blocks], "dim": dim}
        self._settings["classes"] = None if classes is None else list(classes)
        self.frame_dim, self.dim = dim, dim + (classes[1] if classes else 0)
        layers: list[nn.Module] = [_convolution(1, stem, 3, stride=2, activation=nn.Hardswish)]
        width = stem
        for number, (kernel, inner, squeeze, outer) in enumerate(blocks, start=1):
            activation = nn.Hardswish if number >= FIRST_HARDSWISH else nn.ReLU
            stride = 2 if number in HALVES else 1
            layers.append(_Block(width, kernel, inner, squeeze, outer, stride, activation))
            width = outer
        layers.append(_convolution(width, dim, 1, activation=nn.Hardswish))
        self.features = nn.ModuleList(layers)
        self.classifier = None
        if classes:
            self.classifier = nn.Sequential(
                nn.Linear(dim, classes[0]), nn.Hardswish(), nn.Linear(classes[0], classes[1])
            )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stages(self) -> list[nn.Module]:
        """First convolution, 15 blocks, last convolution."""
        return list(self.features)

    def frames_of(self, x: Tensor, frames: Frames) -> tuple[Tensor, Tensor | None]:
        """Mean over frequency: (B, T', dim)."""
        return x.mean(2).transpose(1, 2), time_mask(x, frames)

    def pool(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Mean over the real frames, then the classifier's logits where there is one."""
        mean = masked_mean(states, mask)
        return mean if self.classifier is None else torch.cat([mean, self.classifier(mean)], dim=1)

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return dict(self._settings)

    def _stage(self, number: int, x: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
        stage: Any = self.features[number]
        x = x.contiguous(memory_format=torch.channels_last)
        if isinstance(stage, _Block):
            return stage(x, frames)
        x = stage(blank(x, frames) if number == 0 else x)
        return x, _halved(frames) if number == 0 else frames

    def _width(self, stages: int) -> int:
        if stages == 1:
            return int(self._settings["stem"])
        return int(self.dim if stages > N_BLOCKS + 1 else self._settings["blocks"][stages - 2][3])

    @classmethod
    def of_width(cls, width: float) -> MobileNetTower:
        """The tower of a width with random weights: 0.4 is mn04, 4 is mn40."""
        blocks = [
            [kernel, _eighths(inner * width), _eighths(_eighths(inner * width) / 4) if squeezed else 0,
             _eighths(outer * width)]
            for kernel, inner, squeezed, outer in _LARGE
        ]  # fmt: skip
        return cls(_eighths(16 * width), blocks, 6 * blocks[-1][3])

    @classmethod
    def from_file(cls, path: Path | str, classes: bool = False) -> MobileNetTower:
        """The tower in the authors' checkpoint.

        Args:
            path: For example ``mn04_as_mAP_432.pt`` or ``mn40_as_ext_mAP_487.pt``.
            classes: Keep the classifier, whose logits follow the embedding.

        Raises:
            ModelError: Missing, or not a checkpoint of the family mn04 to mn40.
        """
        tensors = read_weights(path, "EfficientAT")
        try:
            tower = cls(**_sizes(tensors), classes=_class_sizes(tensors) if classes else None)
        except (KeyError, StopIteration) as error:
            raise ModelError(f"{path} is no EfficientAT checkpoint of the family mn04 to mn40 ({error})") from error
        fill(tower, dict(_renamed(tensors, classes)), str(path))
        return tower.eval()


class _Block(nn.Module):
    """Inverted residual: expand, convolve each channel, squeeze and excite, project."""

    def __init__(
        self, width: int, kernel: int, inner: int, squeeze: int, outer: int, stride: int, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        self.stride, self.residual = stride, stride == 1 and width == outer
        self.expand = _convolution(width, inner, 1, activation=activation) if inner != width else nn.Identity()
        self.depthwise = _convolution(inner, inner, kernel, stride, groups=inner, activation=activation)
        self.squeeze = nn.Linear(inner, squeeze) if squeeze else None
        self.excite = nn.Linear(squeeze, inner) if squeeze else None
        self.project = _convolution(inner, outer, 1)

    def forward(self, x: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
        y = self.depthwise(blank(self.expand(x), frames))
        after = _halved(frames) if self.stride == 2 else frames
        if self.squeeze is not None and self.excite is not None:
            mean = masked_mean(y.mean(2).transpose(1, 2), time_mask(y, after))  # (B, inner)
            y = y * torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))[:, :, None, None]
        y = self.project(y)
        return (x + y if self.residual else y), after


def _convolution(
    width: int, out: int, kernel: int, stride: int = 1, groups: int = 1, activation: type[nn.Module] | None = None
) -> nn.Sequential:
    layers = [
        nn.Conv2d(width, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, **_NORM),  # type: ignore[arg-type]
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


def _eighths(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and not below nine tenths of the number."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _halved(frames: Frames) -> Frames:
    return None if frames is None else (frames + 1) // 2


def _sizes(tensors: dict[str, Tensor]) -> Json:
    """Constructor arguments from the shapes of a checkpoint."""
    blocks = []
    for number in range(1, N_BLOCKS + 1):
        weights = [(key, tensors[key]) for key in _convolutions(tensors, number)]
        kernel, inner = next((w.shape[-1], w.shape[0]) for _, w in weights if w.shape[1] == 1 and w.shape[-1] > 1)
        squeeze = next((t.shape[0] for key, t in tensors.items() if key.startswith(_squeeze(number))), 0)
        blocks.append([kernel, inner, squeeze, weights[-1][1].shape[0]])
    last = tensors[f"features.{N_BLOCKS + 1}.0.weight"]
    return {"stem": tensors["features.0.0.weight"].shape[0], "blocks": blocks, "dim": last.shape[0]}


def _class_sizes(tensors: dict[str, Tensor]) -> tuple[int, int]:
    return tensors["classifier.2.weight"].shape[0], tensors["classifier.5.weight"].shape[0]


def _convolutions(tensors: dict[str, Tensor], block: int) -> list[str]:
    """Keys of the convolution weights of a block, in their order."""
    start = f"features.{block}.block."
    found = [key for key, value in tensors.items() if key.startswith(start) and value.ndim == 4]
    if not found:
        raise KeyError(f"block {block} is missing")
    return sorted(found, key=lambda key: int(key.removeprefix(start).split(".")[0]))


def _squeeze(block: int) -> str:
    return f"features.{block}.block.2.conc_se_layers.0.fc1.weight"


def _renamed(tensors: dict[str, Tensor], classes: bool) -> list[tuple[str, Tensor]]:
    """The checkpoint's tensors under this module's names."""
    names: dict[str, str] = {}
    for block in range(1, N_BLOCKS + 1):
        parts = ["expand", "depthwise", "project"][-len(_convolutions(tensors, block)) :]
        for part, key in zip(parts, _convolutions(tensors, block), strict=True):
            names[key.removesuffix("0.weight")] = f"features.{block}.{part}."
        for old, new in (("fc1", "squeeze"), ("fc2", "excite")):
            names[f"features.{block}.block.2.conc_se_layers.0.{old}."] = f"features.{block}.{new}."
    if classes:
        names |= {"classifier.2.": "classifier.0.", "classifier.5.": "classifier.2."}
    renamed = []
    for key, value in tensors.items():
        if key.startswith("classifier.") and not classes:
            continue
        start = next((old for old in names if key.startswith(old)), "")
        renamed.append((names[start] + key.removeprefix(start) if start else key, value))
    return renamed
