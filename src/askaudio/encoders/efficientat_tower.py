"""EfficientAT's published checkpoint -> an ONNX tower with two outputs, without torch and without the onnx package.

The authors publish ``mn04_as_mAP_432.pt``: a zip archive with one entry of raw numbers for each tensor, in the order of
the network's layers, and a pickle that names them. The pickle is never run: the checksum identifies the file, so the
position and shape of each tensor are known, and its numbers are read from its entry.
The network is a MobileNetV3 of width 0.4 on log-mel; batch norms are folded into the convolutions before them.

Source: Schmid et al., "Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge Distillation", 2023; Howard
    et al., "Searching for MobileNetV3", 2019.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray
from askaudio.encoders.onnx_bytes import Graph

N_MELS, FEATURE_DIM, HIDDEN_DIM, N_CLASSES = 128, 384, 512, 527
FRAMES = "frames"  # name of the output that keeps the time: one frame in 32 of the log-mel's, 0.32 s
BATCH_NORM_FLOOR = 1e-3
STEM_CHANNELS = 8


@dataclass(frozen=True)
class Block:
    """An inverted residual: expand, depthwise convolution, squeeze and excitation, project."""

    kernel: int
    wide: int
    out: int
    squeeze: int  # hidden width of squeeze and excitation; 0 for none
    activation: str
    stride: int = 1


BLOCKS = (
    Block(3, 8, 8, 0, "Relu"),
    Block(3, 24, 16, 0, "Relu", 2),
    Block(3, 32, 16, 0, "Relu"),
    Block(5, 32, 16, 8, "Relu", 2),
    Block(5, 48, 16, 16, "Relu"),
    Block(5, 48, 16, 16, "Relu"),
    Block(3, 96, 32, 0, "HardSwish", 2),
    Block(3, 80, 32, 0, "HardSwish"),
    Block(3, 72, 32, 0, "HardSwish"),
    Block(3, 72, 32, 0, "HardSwish"),
    Block(3, 192, 48, 48, "HardSwish"),
    Block(3, 272, 48, 72, "HardSwish"),
    Block(5, 272, 64, 72, "HardSwish", 2),
    Block(5, 384, 64, 96, "HardSwish"),
    Block(5, 384, 64, 96, "HardSwish"),
)


def tower_from_checkpoint(path: Path | str) -> bytes:
    """The ONNX file of the tower: ``spec`` (B, 1, 128, T) -> ``embedding`` (B, 384), ``logits`` (B, 527), ``frames``.

    ``frames`` (B, 384, ceil(T / 32)) is the last map averaged over frequency; its mean over time is the embedding.

    The same checkpoint gives the same bytes on every machine.

    Raises:
        ModelError: The file is not that checkpoint.
    """
    with _Tensors(Path(path)) as tensors:
        return _Tower(tensors).build()


class _Tensors:
    """Reads the tensors of the checkpoint in their order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} is not the published EfficientAT checkpoint ({error})") from error
        self._folder = self._archive.namelist()[0].split("/")[0]

    def __enter__(self) -> _Tensors:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def take(self, *shape: int) -> FloatArray:
        """The next tensor, which must have this shape."""
        values = np.frombuffer(self._entry(), dtype="<f4")
        if values.size != int(np.prod(shape)):
            raise ModelError(
                f"{self._path} is not the published EfficientAT mn04_as: tensor {self._next - 1} has {values.size} "
                f"numbers, expected the shape {shape}"
            )
        return values.reshape(shape).astype(np.float32)

    def skip(self) -> None:
        """Pass over a tensor that only training needs."""
        self._entry()

    def _entry(self) -> bytes:
        name = f"{self._folder}/data/{self._next}"
        self._next += 1
        try:
            return self._archive.read(name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ModelError(f"{self._path} is not the published EfficientAT mn04_as: no {name}") from error


class _Tower:
    """Builds the graph layer by layer, each with the next tensors."""

    def __init__(self, tensors: _Tensors) -> None:
        self._tensors = tensors
        self._graph = Graph(
            {"spec": ("B", 1, N_MELS, "T")},
            {"embedding": ("B", FEATURE_DIM), "logits": ("B", N_CLASSES), FRAMES: ("B", FEATURE_DIM, "T/32")},
        )
        self._count = 0

    def build(self) -> bytes:
        self._graph.constant("places", np.asarray([2, 3], dtype=np.int64))  # the axes of mel and time
        x = self._convolve("spec", 1, STEM_CHANNELS, 3, 2, activation="HardSwish")
        channels = STEM_CHANNELS
        for block in BLOCKS:
            x = self._block(x, channels, block)
            channels = block.out
        x = self._convolve(x, channels, FEATURE_DIM, 1, activation="HardSwish")
        self._graph.constant("mel", np.asarray([2], dtype=np.int64))
        self._graph.node("ReduceMean", [x, "mel"], [FRAMES], keepdims=0)
        embedding = self._graph.node("ReduceMean", [x, "places"], ["embedding"], keepdims=0)
        hidden = self._activate(self._linear(embedding, FEATURE_DIM, HIDDEN_DIM), "HardSwish")
        self._linear(hidden, HIDDEN_DIM, N_CLASSES, "logits")
        return self._graph.serialised()

    def _block(self, x: str, channels: int, block: Block) -> str:
        wide = x
        if block.wide != channels:
            wide = self._convolve(x, channels, block.wide, 1, activation=block.activation)
        wide = self._convolve(wide, block.wide, block.wide, block.kernel, block.stride, block.wide, block.activation)
        if block.squeeze:
            wide = self._weigh(wide, block.wide, block.squeeze)
        narrow = self._convolve(wide, block.wide, block.out, 1)
        if block.stride == 1 and block.out == channels:
            return self._graph.node("Add", [narrow, x], [self._name()])
        return narrow

    def _weigh(self, x: str, channels: int, squeeze: int) -> str:
        """Squeeze and excitation: multiply each channel by a weight in 0 .. 1 from the means of all channels."""
        mean = self._graph.node("ReduceMean", [x, "places"], [self._name()], keepdims=0)  # (B, C)
        hidden = self._activate(self._linear(mean, channels, squeeze), "Relu")
        weight = self._activate(self._linear(hidden, squeeze, channels), "Sigmoid")
        weight = self._graph.node("Unsqueeze", [weight, "places"], [self._name()])  # (B, C, 1, 1)
        return self._graph.node("Mul", [x, weight], [self._name()])

    def _convolve(
        self, x: str, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, activation: str = ""
    ) -> str:
        """Convolution with its batch norm folded in, and an activation."""
        weight = self._tensors.take(out, channels // groups, kernel, kernel)
        gain, shift, mean, variance = (self._tensors.take(out) for _ in range(4))
        self._tensors.skip()  # number of batches that the norm has averaged
        factor = gain / np.sqrt(variance + np.float32(BATCH_NORM_FLOOR))
        name = self._name()
        constants = [
            self._graph.constant(f"{name}/weight", weight * factor[:, None, None, None]),
            self._graph.constant(f"{name}/bias", shift - mean * factor),
        ]
        pad = kernel // 2
        sizes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [pad] * 4}
        convolved = self._graph.node("Conv", [x, *constants], [name], group=groups, **sizes)
        return self._activate(convolved, activation) if activation else convolved

    def _linear(self, x: str, width: int, out: int, name: str = "") -> str:
        name = name or self._name()
        weight = self._graph.constant(f"{name}/weight", self._tensors.take(out, width))
        bias = self._graph.constant(f"{name}/bias", self._tensors.take(out))
        return self._graph.node("Gemm", [x, weight, bias], [name], transB=1)

    def _activate(self, x: str, activation: str) -> str:
        return self._graph.node(activation, [x], [self._name()])

    def _name(self) -> str:
        self._count += 1
        return f"x{self._count}"
