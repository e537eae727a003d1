"""The audio tower of the model in the box: dense convolutions on log-mel, 2.9 M parameters, made for CPUs.

Most small audio towers save multiplications with depthwise convolutions, which move more memory than they compute.
Here a patch of 4 x 4 cells becomes 32 channels at once and everything after it is dense 3 x 3 and 1 x 1, which
matrix units run near their peak. It gives what its teacher gives: an embedding and the logits of 527 sound classes.

Cost for 10 s of sound: 0.85 G multiplications.
"""

from __future__ import annotations

import torch
from torch import nn

from askaudio.core.types import Json

FEATURE_DIM = 384
N_CLASSES = 527
# (channels, inner channels, blocks) of the four stages; each begins by halving both axes but the first
STAGES = ((32, 32, 1), (64, 96, 2), (96, 192, 4), (160, 384, 3))


class SmallAudioTower(nn.Module):
    """Log-mel (B, F, T) -> embedding and class logits side by side (B, 384 + 527)."""

    kind = "small_audio"
    dim = FEATURE_DIM + N_CLASSES

    def __init__(self) -> None:
        super().__init__()
        width = STAGES[0][0]
        self.patch = nn.Sequential(nn.Conv2d(1, width, 7, stride=4, padding=3, bias=False), nn.BatchNorm2d(width))
        self.stages = nn.ModuleList()
        for number, (channels, inner, blocks) in enumerate(STAGES):
            first = _Block(width, inner, channels, stride=1 if number == 0 else 2, gate=number == 3)
            rest = [_Block(channels, inner, channels, stride=1, gate=number == 3) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(first, *rest))
            width = channels
        self.last = nn.Sequential(nn.Conv2d(width, FEATURE_DIM, 1, bias=False), nn.BatchNorm2d(FEATURE_DIM))
        self.classifier = nn.Sequential(nn.Linear(FEATURE_DIM, 512), nn.Hardswish(), nn.Linear(512, N_CLASSES))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def maps(self, log_mel: torch.Tensor) -> list[torch.Tensor]:
        """Maps after each stage and the last one (B, C, F', T'), which distillation compares with the teacher's."""
        x = log_mel.unsqueeze(1).contiguous(memory_format=torch.channels_last)  # (B, 1, F, T)
        x = nn.functional.relu(self.patch(x), inplace=True)  # (B, 32, F / 4, T / 4)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return [*found, nn.functional.hardswish(self.last(x))]  # the last: (B, 384, F / 32, T / 32)

    def outputs(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding (B, 384) and class logits (B, 527)."""
        embedding = self.maps(log_mel)[-1].mean((2, 3))
        return embedding, self.classifier(embedding)

    def forward(self, log_mel: torch.Tensor, frames: torch.Tensor | None = None) -> torch.Tensor:
        """Features (B, 911). ``frames`` is accepted, as by every tower, and not used: padding is encoded as silence."""
        return torch.cat(self.outputs(log_mel), dim=1)

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return {}


class _Block(nn.Module):
    """3 x 3 to ``inner`` channels and 1 x 1 back, added to the input where the shape stays; a gate sees the whole."""

    def __init__(self, before: int, inner: int, after: int, stride: int, gate: bool) -> None:
        super().__init__()
        self.spread = nn.Sequential(
            nn.Conv2d(before, inner, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(inner)
        )
        self.gate = (
            nn.Sequential(nn.Linear(inner, 64), nn.ReLU(), nn.Linear(64, inner), nn.Hardsigmoid()) if gate else None
        )
        self.join = nn.Sequential(nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after))
        self.stays = before == after and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.relu(self.spread(x), inplace=True)  # (B, inner, F', T')
        if self.gate is not None:
            y = y * self.gate(y.mean((2, 3)))[:, :, None, None]
        y = self.join(y)  # (B, after, F', T')
        return x + y if self.stays else y
