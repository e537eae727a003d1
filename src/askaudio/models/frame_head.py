"""Trained heads over the frames of an audio tower; an average over time cannot tell which of two sounds came first.

A frame is one time step of the tower's last map, 0.32 s for EfficientAT. Both heads also see the mean over all frames,
and give one vector a clip, so that indexing and search stay as they are. ``SegmentProjection`` averages the frames in
equal parts of the time and is nearly as cheap as a head over the mean. ``TransformerProjection`` relates single frames
to each other, which counting needs.

Source: Vaswani et al., "Attention Is All You Need", 2017 (encoder layer, sine positions).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from askaudio.core.types import Json
from askaudio.models.projection import Projection

_AT_ONCE = 512  # clips of which statistics are taken in one piece


def overlaps(lengths: Tensor, n_frames: int, parts: int) -> Tensor:
    """Weights that average frames over equal parts of a clip's time.

    Args:
        lengths: (B,) number of real frames of each clip.
        n_frames: T.
        parts: K equal parts of a clip's time; a frame on a border counts in both with its share.

    Returns:
        (B, K, T) weights; each row sums to 1.
    """
    left = torch.arange(n_frames, device=lengths.device, dtype=torch.float32)  # (T,)
    length = lengths.to(torch.float32)[:, None, None]  # (B, 1, 1)
    k = torch.arange(parts, device=lengths.device, dtype=torch.float32)[:, None]  # (K, 1)
    begin, end = length * k / parts, length * (k + 1) / parts  # (B, K, 1)
    inside = (torch.minimum(left + 1, end) - torch.maximum(left, begin)).clamp(min=0)  # (B, K, T)
    return inside / (length / parts)


def _lengths(frames: Tensor, lengths: Tensor | None) -> Tensor:
    return torch.full((frames.shape[0],), frames.shape[2], device=frames.device) if lengths is None else lengths


class SegmentProjection(nn.Module):
    """Frames (B, C, T) -> mean and means of K parts of the time -> ``Projection`` -> (B, embed_dim).

    Args:
        in_dim: C.
        embed_dim: D.
        segments: K.
        hidden_dim: Width between the two linear layers.
        dropout: Share of the hidden values that are dropped in training.
        residual: Add a plain linear map.
    """

    kind = "segments"

    def __init__(
        self,
        in_dim: int,
        embed_dim: int,
        segments: int = 3,
        hidden_dim: int = 512,
        dropout: float = 0.1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.in_dim, self.embed_dim, self.segments = in_dim, embed_dim, segments
        self.projection = Projection(in_dim * (1 + segments), embed_dim, hidden_dim, dropout, residual)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map a batch.

        Args:
            frames: (B, C, T), anything after a clip's end.
            lengths: (B,) number of real frames; None where all T are real.

        Returns:
            (B, embed_dim), not yet scaled to length 1.
        """
        return self.projection(self.pooled(frames, lengths))

    def pooled(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Mean over the time and means of its parts, side by side (B, (1 + K) C)."""
        lengths, n = _lengths(frames, lengths), frames.shape[2]
        weights = torch.cat([overlaps(lengths, n, 1), overlaps(lengths, n, self.segments)], dim=1)  # (B, 1 + K, T)
        return (weights @ frames.transpose(1, 2)).flatten(1)

    def standardise(self, frames: Tensor, lengths: Tensor) -> None:
        """Take mean and spread of the pooled input from training clips; before training, once.

        Args:
            frames: (n, C, T).
            lengths: (n,).
        """
        pieces = zip(frames.split(_AT_ONCE), lengths.split(_AT_ONCE), strict=True)
        self.projection.standardise(torch.cat([self.pooled(f.float(), n) for f, n in pieces]))

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        inner = self.projection.settings()
        kept = {key: inner[key] for key in ("hidden_dim", "dropout", "residual")}
        return {
            "kind": self.kind,
            "in_dim": self.in_dim,
            "embed_dim": self.embed_dim,
            "segments": self.segments,
            **kept,
        }


class TransformerProjection(nn.Module):
    """Frames (B, C, T) -> transformer over time -> mean and attention pooling -> ``Projection`` -> (B, embed_dim).

    Args:
        in_dim: C.
        embed_dim: D.
        layers: Transformer layers.
        width: Width of a frame inside the transformer, a multiple of ``heads``.
        heads: Attention heads.
        queries: Learned queries of the attention pooling; their results stand side by side.
        hidden_dim: Width between the two linear layers of the projection.
        dropout: Share of the values that are dropped in training, in the transformer and in the projection.
        residual: Add a plain linear map to the projection.
    """

    kind = "transformer"
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        in_dim: int,
        embed_dim: int,
        layers: int = 1,
        width: int = 192,
        heads: int = 4,
        queries: int = 4,
        hidden_dim: int = 512,
        dropout: float = 0.1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.in_dim, self.embed_dim = in_dim, embed_dim
        self._settings: Json = {
            "in_dim": in_dim, "embed_dim": embed_dim, "layers": layers, "width": width, "heads": heads,
            "queries": queries, "hidden_dim": hidden_dim, "dropout": dropout, "residual": residual,
        }  # fmt: skip
        self.register_buffer("mean", torch.zeros(in_dim))
        self.register_buffer("scale", torch.ones(in_dim))
        self.enter = nn.Linear(in_dim, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, queries)
        self.projection = Projection(in_dim + queries * width, embed_dim, hidden_dim, dropout, residual)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map a batch; arguments and result are those of ``SegmentProjection.forward``."""
        return self.projection(self.pooled(frames, lengths))

    def pooled(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the projection takes (B, C + queries x width)."""
        mean = (overlaps(_lengths(frames, lengths), frames.shape[2], 1) @ frames.transpose(1, 2)).flatten(1)  # (B, C)
        standard = (frames.transpose(1, 2) - self.mean) * self.scale  # (B, T, C)
        x = self.enter(standard)  # (B, T, width)
        x = x + positions(x.shape[1], x.shape[2], x.device)
        absent = None if lengths is None else torch.arange(x.shape[1], device=x.device) >= lengths[:, None]  # (B, T)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=absent)
        x = self.norm(x)
        scores = self.queries(x)  # (B, T, Q)
        if absent is not None:
            scores = scores.masked_fill(absent[..., None], -torch.inf)
        found = scores.softmax(dim=1).transpose(1, 2) @ x  # (B, Q, width)
        return torch.cat([(mean - self.mean) * self.scale, found.flatten(1)], dim=1)

    def standardise(self, frames: Tensor, lengths: Tensor) -> None:
        """Take mean and spread of a frame from training clips; before training, once.

        Args:
            frames: (n, C, T).
            lengths: (n,).
        """
        count, total, square = 0, torch.zeros(self.in_dim), torch.zeros(self.in_dim)
        for f, n in zip(frames.split(_AT_ONCE), lengths.split(_AT_ONCE), strict=True):
            real = f.float().transpose(1, 2)[torch.arange(f.shape[2]) < n[:, None]]  # (frames, C)
            count, total, square = count + len(real), total + real.sum(0), square + (real**2).sum(0)
        mean = total / count
        self.mean.copy_(mean)
        self.scale.copy_(1.0 / (square / count - mean**2).clamp(min=1e-6).sqrt())

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return {"kind": self.kind, **self._settings}


def positions(n_frames: int, width: int, device: torch.device) -> Tensor:
    """Sine positions (T, width): each pair of channels turns at a frequency of its own."""
    time = torch.arange(n_frames, device=device, dtype=torch.float32)[:, None]  # (T, 1)
    rate = torch.exp(torch.arange(0, width, 2, device=device, dtype=torch.float32) * (-math.log(1e4) / width))
    return torch.stack([torch.sin(time * rate), torch.cos(time * rate)], dim=2).flatten(1)
