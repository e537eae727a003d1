"""PANNs CNN14, trainable: six blocks of two 3 x 3 convolutions on log-mel, 80 M parameters.

Source: Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition", 2020, table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.slaney_mel import SlaneyMel
from askaudio.core.errors import ModelError
from askaudio.core.types import Json
from askaudio.models.tower import AudioTower, Frames, blank, masked_mean, time_mask
from askaudio.models.weights import fill, read_weights, without

WIDTHS = (64, 128, 256, 512, 1024, 2048)
_UNUSED = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.")  # the front end is ``front_end``
_DROPOUT, _LAST_DROPOUT = 0.2, 0.5


class Cnn14Tower(AudioTower):
    """Log-mel in decibels (B, 64, T) -> frames (B, T / 32, C) and a vector (B, C).

    Args:
        widths: Channels of the six blocks.
        n_mels: F.
    """

    kind = "cnn14"
    front_end = FrontEnd(SlaneyMel(32000, 64, n_fft=1024, hop=320), short="zeros", short_s=1.0)

    def __init__(self, widths: Sequence[int] = WIDTHS, n_mels: int = 64) -> None:
        super().__init__()
        self._settings: Json = {"widths": list(widths), "n_mels": n_mels}
        self.dim = self.frame_dim = widths[-1]
        self.bn0 = nn.BatchNorm2d(n_mels)
        befores = [1, *widths]
        self.blocks = nn.ModuleList(_Block(*pair) for pair in zip(befores, widths, strict=False))
        self.fc1 = nn.Linear(widths[-1], widths[-1])
        self.dropout, self.last_dropout = nn.Dropout(_DROPOUT), nn.Dropout(_LAST_DROPOUT)

    def stages(self) -> list[nn.Module]:
        """The batch norm of the mel bins, and the six blocks, the last of them with the linear layer."""
        return [self.bn0, *self.blocks[:-1], nn.ModuleList([self.blocks[-1], self.fc1])]

    def frames_of(self, x: Tensor, frames: Frames) -> tuple[Tensor, Tensor | None]:
        """Mean over frequency: (B, T', C)."""
        return x.mean(2).transpose(1, 2), time_mask(x, frames)

    def pool(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Mean plus maximum over the real frames, and a linear layer."""
        largest = states if mask is None else states.masked_fill(~mask.unsqueeze(-1), float("-inf"))
        pooled = masked_mean(states, mask) + largest.amax(1)
        return self.fc1(self.last_dropout(pooled)).relu()

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return dict(self._settings)

    def _stage(self, number: int, x: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
        if number == 0:
            return self.bn0(x.transpose(1, 2)).transpose(1, 2), frames  # the channels of the norm are mel bins
        block, halve = self.blocks[number - 1], number < len(self.blocks)
        x = block(x, frames)
        if halve:  # the window at the end is left out, so a clip has half as many frames, rounded down
            x = nn.functional.avg_pool2d(x, 2)
            frames = None if frames is None else (frames // 2).clamp(min=1)
        return self.dropout(x), frames

    def _width(self, stages: int) -> int:
        return 1 if stages == 1 else int(self._settings["widths"][stages - 2])

    @classmethod
    def from_file(cls, path: Path | str) -> Cnn14Tower:
        """The tower in the authors' checkpoint, for example ``Cnn14_mAP=0.431.pth``.

        Raises:
            ModelError: Missing, or not a checkpoint of CNN14.
        """
        tensors = without(read_weights(path, "CNN14"), _UNUSED)
        names = {f"conv_block{number + 1}.": f"blocks.{number}." for number in range(len(WIDTHS))}
        try:
            widths = [tensors[f"{block}conv2.weight"].shape[0] for block in names]
            tower = cls(widths, tensors["bn0.weight"].shape[0])
        except KeyError as error:
            raise ModelError(f"{path} is no checkpoint of CNN14: {error} is missing") from error
        renamed = {}
        for key, value in tensors.items():
            start = next((old for old in names if key.startswith(old)), "")
            renamed[names[start] + key.removeprefix(start) if start else key] = value
        fill(tower, renamed, str(path))
        return tower.eval()


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, before, F, T) -> (B, after, F, T)."""
        x = self.bn1(self.conv1(blank(x, frames))).relu()
        return self.bn2(self.conv2(blank(x, frames))).relu()
