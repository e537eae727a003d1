"""NT-Xent (InfoNCE) between audio and text, both ways, with several positives, pair weights and reliabilities.

For audio i with positives P_i (its own text and any other caption of its clip in the batch)

    l_i = mean over p in P_i of  -log( r_p e^(s_ip) / (r_p e^(s_ip) + sum over n not in P_i of r_n e^(s_in)) ),

s = cosine / temperature, r = reliability of a text (1 unless given). The other positives are in no denominator. The
loss is the mean over both directions. Cost: one (B, B) product and a handful of (B, B) arrays.

Source: van den Oord et al. 2018 (arXiv 1807.03748); Chen et al. 2020 (arXiv 2002.05709), section 2.1.
Differs: positives are masked before the softmax; an unreliable pair also weighs less in every denominator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.losses.positives import check_batch
from askaudio.losses.reduce import log_reliability, weighted_mean, working


def _one_way(logits: Tensor, positives: Tensor | None) -> Tensor:
    """Logits (B, B), anchors in rows -> one loss per anchor (B,)."""
    if positives is None:
        own = torch.arange(logits.shape[0], device=logits.device)
        return F.cross_entropy(logits, own, reduction="none")
    lowest = torch.finfo(logits.dtype).min / 4  # finite: a row without negatives gives 0 and no NaN gradient
    negatives = logits.masked_fill(positives, lowest).logsumexp(dim=1, keepdim=True)  # (B, 1)
    each = F.softplus(negatives - logits)  # (B, B): -log of a two-way softmax, one positive against all negatives
    return (each * positives).sum(dim=1) / positives.sum(dim=1)


def ntxent(
    audio: Tensor,
    text: Tensor,
    temperature: float | Tensor = 0.07,
    positives: Tensor | None = None,
    weights: Tensor | None = None,
    reliability: Tensor | None = None,
) -> Tensor:
    """Symmetric NT-Xent of a batch.

    Args:
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1; row i describes audio i.
        temperature: Divides the cosines; a tensor may be learned.
        positives: (B, B) bool from ``same_clip``; None means the diagonal.
        weights: (B,) in [0, 1]: how much each pair's own loss counts.
        reliability: (B,) in [0, 1]: how much each pair counts in every denominator.

    Returns:
        Scalar.

    Raises:
        DataError: Shapes do not fit.
    """
    check_batch(audio, text, positives)
    logits = working(audio) @ working(text).T / temperature  # (B, B)
    a2t, t2a = logits, logits.T
    if reliability is not None:
        bias = log_reliability(reliability, logits.dtype)  # (B,), by column: the candidate's own reliability
        a2t, t2a = a2t + bias, t2a + bias
    per_pair = (_one_way(a2t, positives) + _one_way(t2a, None if positives is None else positives.T)) / 2  # (B,)
    return weighted_mean(per_pair, weights)


class NTXent(nn.Module):
    """``ntxent`` as a module.

    Args:
        temperature: First (or only) temperature.
        learn_temperature: Learn log(1 / temperature); the temperature stays between 1 / 100 and 1.

    Example:
        >>> import torch
        >>> audio, text = torch.nn.functional.normalize(torch.eye(4)), torch.nn.functional.normalize(torch.eye(4))
        >>> loss = NTXent(0.07)(audio, text)
        >>> bool(loss < 1e-4)
        True
    """

    def __init__(self, temperature: float = 0.07, learn_temperature: bool = False) -> None:
        super().__init__()
        scale = torch.tensor(1.0 / temperature).log()
        self.log_scale = nn.Parameter(scale, requires_grad=learn_temperature)

    @property
    def temperature(self) -> Tensor:
        """Scalar temperature in use."""
        return (-self.log_scale.clamp(0.0, 4.6052)).exp()

    def forward(
        self,
        audio: Tensor,
        text: Tensor,
        positives: Tensor | None = None,
        weights: Tensor | None = None,
        reliability: Tensor | None = None,
    ) -> Tensor:
        """Compute ``ntxent``, which documents the arguments, at the temperature of the module."""
        return ntxent(audio, text, self.temperature, positives, weights, reliability)
