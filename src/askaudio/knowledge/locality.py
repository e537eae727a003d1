"""The locality meter: how much of the corpus a step's gradient has seen (the Gradient Locality Bottleneck, measured).

- reach: share of the N entries with a non-zero coefficient in a step's gradient (B / N for the plain loss);
- effective contributors: exp(entropy of the absolute coefficients), mean over anchors;
- fidelity: mean cosine between the step's gradient on the embeddings and the gradient of the same contrast with all N
  pairs as candidates. 1: both have the same direction; near 0: the directions are unrelated.

Where the plain loss already has a fidelity near 1 there is no bottleneck, and a knowledge base cannot help. Cost of
one measurement: two (B, N) products and their gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from askaudio.core.errors import DataError

PIECE = 1024  # items compared at once with all others
StepLoss = Callable[[Tensor, Tensor], Tensor]
"""(audio (B, D), text (B, D)) -> scalar loss of the step."""


@dataclass(frozen=True)
class Locality:
    """What one step's gradient saw: see the head of this file."""

    reach: float
    contributors: float
    fidelity: float


def coefficients(anchors: Tensor, candidates: Tensor, own: Tensor, temperature: float) -> Tensor:
    """Gradient coefficients p_ij - [j is i's own] of a softmax contrast.

    The gradient of anchor i's loss is the sum of the candidates weighted by row i, divided by the temperature.

    Args:
        anchors: (B, D) rows of length 1.
        candidates: (N, D) rows of length 1.
        own: (B,) row of each anchor's own partner among the candidates.
        temperature: Divides the cosines.

    Returns:
        (B, N) float32; rows sum to 0.
    """
    p = torch.softmax(anchors.float() @ candidates.float().T / temperature, dim=1)
    p[torch.arange(len(own)), own] -= 1.0
    return p


def reach(coefficient: Tensor, n: int) -> float:
    """Share of n entries on which the coefficient (B, C) of some anchor is not 0."""
    return float((coefficient != 0).any(dim=0).sum()) / n


def effective_contributors(coefficient: Tensor) -> float:
    """exp(entropy) of the absolute coefficients (B, C), scaled to sum 1 per anchor; mean over anchors."""
    share = coefficient.abs() / coefficient.abs().sum(dim=1, keepdim=True).clamp_min(1e-30)
    entropy = -(share * share.clamp_min(1e-30).log()).sum(dim=1)
    return float(entropy.exp().mean())


def full_contrast(
    audio: Tensor, text: Tensor, rows: Tensor, all_audio: Tensor, all_text: Tensor, temperature: float
) -> Tensor:  # fmt: skip
    """The plain contrast of a batch with all N pairs as candidates, the batch's own rows being live.

    Args:
        audio: (B, D) live embeddings.
        text: (B, D) live embeddings.
        rows: (B,) rows of the batch among the N pairs.
        all_audio: (N, D) constant.
        all_text: (N, D) constant.
        temperature: Divides the cosines.

    Returns:
        Scalar; gradients reach ``audio`` and ``text`` as anchors and as candidates.
    """
    candidates_text = all_text.to(text.dtype).index_copy(0, rows, text)  # (N, D)
    candidates_audio = all_audio.to(audio.dtype).index_copy(0, rows, audio)
    a2t = torch.nn.functional.cross_entropy(audio @ candidates_text.T / temperature, rows)
    t2a = torch.nn.functional.cross_entropy(text @ candidates_audio.T / temperature, rows)
    return (a2t + t2a) / 2


def gradients(loss: StepLoss, audio: Tensor, text: Tensor) -> Tensor:
    """Gradient of a step's loss on the embeddings.

    Args:
        loss: Maps audio (B, D) and text (B, D) to a scalar.
        audio: (B, D); detached here, so that no graph of the encoders is needed or changed.
        text: (B, D), likewise.

    Returns:
        (2B, D): the gradients of the audio rows, then those of the text rows.
    """
    a = audio.detach().requires_grad_()
    t = text.detach().requires_grad_()
    with torch.enable_grad():
        grads = torch.autograd.grad(loss(a, t), (a, t))
    return torch.cat(grads)


def fidelity(
    loss: StepLoss,
    audio: Tensor,
    text: Tensor,
    rows: Tensor,
    all_audio: Tensor,
    all_text: Tensor,
    temperature: float,
) -> float:
    """Mean cosine, over the batch's audio and text, of the step's gradient and the full contrast's.

    Only the part that turns an embedding counts: embeddings have length 1, so both gradients are projected on the
    sphere first.

    Args:
        loss: The step's loss, of audio (B, D) and text (B, D).
        audio: (B, D) the batch's embeddings, rows of length 1.
        text: (B, D) likewise.
        rows: (B,) rows of the batch among the N pairs.
        all_audio: (N, D) embeddings of all pairs by the same encoders.
        all_text: (N, D) likewise.
        temperature: Of the full contrast; use that of the loss.

    Returns:
        -1 to 1; 1 means that both gradients have the same direction.

    Raises:
        DataError: The batch's rows do not lie within the N pairs.
    """
    n = len(all_text)
    if len(rows) != len(audio) or int(rows.min()) < 0 or int(rows.max()) >= n:
        raise DataError(f"rows must give each of the {len(audio)} pairs its place among the {n} pairs")
    full = gradients(lambda a, t: full_contrast(a, t, rows, all_audio, all_text, temperature), audio, text)
    return agreement(loss, audio, text, full)


def agreement(loss: StepLoss, audio: Tensor, text: Tensor, target: Tensor) -> float:
    """Mean cosine of a step's gradient on its embeddings and a target gradient, both projected on the sphere.

    Args:
        loss: The step's loss, of audio (B, D) and text (B, D).
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1.
        target: (2B, D) gradient to compare with, audio rows first, as ``gradients`` returns it.

    Returns:
        -1 to 1, the mean over the 2B rows.
    """
    points = torch.cat([audio, text]).detach()
    step, target = (
        g - (g * points).sum(dim=1, keepdim=True) * points for g in (gradients(loss, audio, text), target)
    )  # fmt: skip
    return float(torch.nn.functional.cosine_similarity(step, target, dim=1).mean())


def whole_gradient(audio: Tensor, text: Tensor, temperature: float) -> Tensor:
    """Gradient of the plain contrast of all N pairs as one batch, at every embedding.

    In ``full_contrast`` only the batch's items are anchors. Here all N are: an embedding gets a gradient as an anchor
    and as a candidate of every other anchor. Costs an (N, N) product in pieces, so it is for measuring only.

    Args:
        audio: (N, D) rows of length 1.
        text: (N, D) rows of length 1; row i belongs to audio i.
        temperature: Divides the cosines.

    Returns:
        (2N, D): the gradients of the audio rows, then those of the text rows.
    """
    n = len(audio)
    out = torch.cat([-2.0 * text, -2.0 * audio])  # (2N, D): the own partner, in both directions
    u, v = audio / temperature, text / temperature
    of_audio = torch.cat([(u[i : i + PIECE] @ text.T).logsumexp(1) for i in range(0, n, PIECE)])  # (N,)
    of_text = torch.cat([(v[i : i + PIECE] @ audio.T).logsumexp(1) for i in range(0, n, PIECE)])
    for i in range(0, n, PIECE):
        logits = u[i : i + PIECE] @ text.T  # (n, N)
        share = (logits - of_audio[i : i + PIECE, None]).exp() + (logits - of_text).exp()
        out[i : min(i + PIECE, n)] += share @ text
        out[n:] += share.T @ audio[i : i + PIECE]
    return out / (2.0 * temperature * n)


def measure_locality(
    loss: StepLoss,
    audio: Tensor,
    text: Tensor,
    rows: Tensor,
    all_audio: Tensor,
    all_text: Tensor,
    temperature: float,
    *,
    candidates: Tensor | None = None,
) -> Locality:
    """All three numbers for one step.

    Args:
        loss: The step's loss.
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1.
        rows: (B,) rows of the batch among the N pairs.
        all_audio: (N, D) current embeddings of all pairs.
        all_text: (N, D) current embeddings of all pairs.
        temperature: Of the full contrast.
        candidates: (C,) rows that the loss contrasts with beside the batch; None means the batch alone.

    Returns:
        Reach, effective contributors, fidelity.
    """
    seen = rows if candidates is None else torch.unique(torch.cat([rows, candidates]))  # (C,)
    own = torch.searchsorted(seen, rows) if candidates is not None else torch.arange(len(rows))
    coefficient = coefficients(audio.detach(), all_text[seen], own, temperature)
    return Locality(
        reach(coefficient, len(all_text)),
        effective_contributors(coefficient),
        fidelity(loss, audio, text, rows, all_audio, all_text, temperature),
    )
