"""What every trainable tower of a published architecture can do: frames, a pooled vector, stages, and cut in two.

A tower is a row of stages. ``lower`` runs the first of them and ``forward`` with ``skip`` the rest, so that the output
of frozen lower stages can be computed once and kept. Between the two, maps (B, C, F, T) are laid out as (B, C x F, T),
like a spectrogram, so that they are padded, stored and stacked by the same code.

Padding is masked before each operation that looks at neighbours in time, so a clip in a padded batch gets the frames
and the vector that it gets alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from askaudio.audio.front_end import FrontEnd
from askaudio.core.types import Json
from askaudio.losses.gradient_cache import buffers_as_before

Frames = Tensor | None  # number of real frames of each clip (B,); None where all are real


class AudioTower(nn.Module):
    """Log-mel (B, F, T) -> frames (B, T', C) and a vector (B, dim).

    Subclasses define ``stages``, ``_stage``, ``frames_of`` and ``pool``.

    Attributes:
        dim: Width of the pooled vector.
        frame_dim: C, width of a frame.
        skip: Stages that have been run already: ``forward`` then takes what ``lower`` gave.
        checkpointing: Compute each stage again in the backward pass instead of keeping its activations.
    """

    kind: ClassVar[str]
    front_end: ClassVar[FrontEnd]
    dim: int
    frame_dim: int
    windows_at_once = 32  # in one forward pass of evaluation
    skip = 0
    checkpointing = False

    def stages(self) -> list[nn.Module]:
        """The stages from input to output; each holds its parameters."""
        raise NotImplementedError

    def _stage(self, number: int, x: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
        """One stage on maps (B, C, F, T); returns its maps and their numbers of real frames."""
        raise NotImplementedError

    def frames_of(self, x: Tensor, frames: Frames) -> tuple[Tensor, Tensor | None]:
        """The last stage's maps -> frames (B, T', C) and mask (B, T'), None where all are real."""
        raise NotImplementedError

    def pool(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Frames (B, T', C) and mask -> (B, dim)."""
        raise NotImplementedError

    def lower(self, log_mel: Tensor, frames: Frames = None, *, stages: int) -> tuple[Tensor, Frames]:
        """Run the first stages.

        Args:
            log_mel: (B, F, T), zeros after a clip's end.
            frames: Number of real frames of each clip (B,).
            stages: How many of ``stages()``.

        Returns:
            Maps (B, C x F', T') and their numbers of real frames (B,).
        """
        x, frames = self._run(log_mel.unsqueeze(1), frames, 0, stages)
        return x.flatten(1, 2), frames  # (B, C x F', T')

    def frame_states(self, log_mel: Tensor, frames: Frames = None) -> tuple[Tensor, Tensor | None]:
        """Frames (B, T', C) and mask (B, T') of spectrograms, or of what ``lower`` gave where ``skip`` is set."""
        channels = self._width(self.skip) if self.skip else 1
        x = log_mel.unflatten(1, (channels, -1))  # (B, C, F, T)
        return self.frames_of(*self._run(x, frames, self.skip, len(self.stages())))

    def forward(self, log_mel: Tensor, frames: Frames = None) -> Tensor:
        """Vectors (B, dim); arguments as in ``frame_states``."""
        return self.pool(*self.frame_states(log_mel, frames))

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        raise NotImplementedError

    def _width(self, stages: int) -> int:
        """Channels after that many stages."""
        raise NotImplementedError

    def _run(self, x: Tensor, frames: Frames, first: int, last: int) -> tuple[Tensor, Frames]:
        for number in range(first, last):
            if self.checkpointing and self.training and torch.is_grad_enabled():
                x, frames = checkpoint(
                    self._stage, number, x, frames, use_reentrant=False, context_fn=partial(self._contexts, number)
                )
            else:
                x, frames = self._stage(number, x, frames)
        return x, frames

    def _contexts(self, number: int) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """For the first pass over a stage, and for the second, which must not move running statistics again."""
        return nullcontext(), buffers_as_before(self.stages()[number])


def time_mask(x: Tensor, frames: Frames) -> Tensor | None:
    """(B, T) true on real frames, for maps (B, ..., T)."""
    return None if frames is None else torch.arange(x.shape[-1], device=x.device) < frames[:, None]


def blank(x: Tensor, frames: Frames) -> Tensor:
    """Maps (B, C, F, T) with zeros after a clip's end."""
    mask = time_mask(x, frames)
    return x if mask is None else x * mask[:, None, None]


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the real frames of (B, T, C): (B, C)."""
    if mask is None:
        return x.mean(1)
    weight = mask.unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1)
