"""A small audio tower that trains on a CPU: five strided convolutions on log-mel, mean and max over time.

Each layer halves the spectrogram, so most of the arithmetic is done on few positions. Padding is masked after every
layer, so that a clip in a padded batch gets the vector that it gets alone. 0.9 M parameters; 25 ms of one core for
a training step (forward and backward) on 10 s of sound at 128 bins and 1,000 frames, 14 ms at 64 bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from askaudio.core.types import Json

STRIDES = ((2, 2), (2, 2), (2, 2), (2, 2), (2, 1))  # (mel, time) of each layer


class CnnAudioTower(nn.Module):
    """Log-mel (B, F, T) -> (B, dim) features.

    Args:
        n_mels: F, a multiple of 32.
        channels: Width of the five layers.
        dim: Width of the result.
    """

    kind = "cnn"

    def __init__(self, n_mels: int = 128, channels: Sequence[int] = (16, 32, 64, 128, 192), dim: int = 384) -> None:
        super().__init__()
        self._settings: Json = {"n_mels": n_mels, "channels": list(channels), "dim": dim}
        self.dim = dim
        widths = [1, *channels]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            )
            for before, after, stride in zip(widths, widths[1:], STRIDES, strict=False)
        )
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
        self.mix = nn.Sequential(nn.Linear(channels[-1] * (n_mels // 32), dim), nn.ReLU(inplace=True))
        self.out = nn.Linear(2 * dim, dim)

    def forward(self, log_mel: torch.Tensor, frames: torch.Tensor | None = None) -> torch.Tensor:
        """Encode a batch.

        Args:
            log_mel: (B, F, T), zeros after a clip's end.
            frames: Number of real frames of each clip (B,); None where all T are real.

        Returns:
            Features (B, dim).
        """
        x = log_mel.unsqueeze(1)  # (B, 1, F, T)
        mask = None
        for layer, (_, stride) in zip(self.layers, STRIDES, strict=True):
            x = layer(x)  # (B, C, F / 2, ceil(T / stride))
            if frames is not None:
                frames = (frames + stride - 1) // stride
                mask = torch.arange(x.shape[-1], device=x.device) < frames[:, None]  # (B, T')
                x = x * mask[:, None, None]
        x = self.mix(x.flatten(1, 2).transpose(1, 2))  # (B, T', dim): all bands of a moment together
        return self.out(torch.cat(_mean_and_max(x, mask), dim=-1))

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return dict(self._settings)


def _mean_and_max(x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and maximum over the real moments of (B, T, C), each (B, C); values are at least 0."""
    if mask is None:
        return x.mean(1), x.amax(1)
    x = x * mask.unsqueeze(-1)
    return x.sum(1) / mask.sum(1, keepdim=True), x.amax(1)
