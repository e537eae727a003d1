"""Ways for knowledge to enter: ``blend`` into the embeddings, ``augment`` a query at inference.

The third and default way, contrast, needs no code here: the base's rows are the candidates of the loss.

blend:    a~_i = normalise(a_i + fine sum_j w_ij A_j + coarse sum_p pi_ip c^a_p), and the mirror for text.
augment:  t~ = normalise(t + strength sum_j w_j A_j) over the nearest known captions T_j of a text query t.

The weights of blend depend on the pair's own text, which can leak the label to the audio side. Here the own clip is
never a neighbor. Blend gained nothing where it was measured; it is kept as the literal reading of the paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.base.neighbors import nearest, neighbor_weights
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import Targets


def blend(
    audio: Tensor,
    text: Tensor,
    base: KnowledgeBase,
    neighbors: Targets,
    prototypes: tuple[Tensor, Tensor],
    coarse: CoarseGrainedInjection,
    *,
    fine_share: float = 0.3,
    coarse_share: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Mix neighbors' and prototypes' embeddings into a batch; both sides of a pair get their own side's rows.

    Args:
        audio: (B, D) rows of length 1.
        text: (B, D) rows of length 1.
        base: The snapshot; no gradient flows into it.
        neighbors: Rows and masses; own entries among them are left out here.
        prototypes: Audio and text prototypes (P, D) each, P may be 0.
        coarse: Gives the assignments pi.
        fine_share: Weight of the neighbors' mean beside the embedding.
        coarse_share: Weight of the prototypes' mean.

    Returns:
        Audio and text (B, D), rows of length 1; gradients flow to ``audio`` and ``text``.
    """
    mixed_audio, mixed_text = audio, text
    k = neighbors.near
    if k:
        rows = neighbors.rows[:, -k:]  # (B, K)
        mixed_audio = mixed_audio + fine_share * _mean(base.audio, rows, neighbors.to_audio[:, -k:])
        mixed_text = mixed_text + fine_share * _mean(base.text, rows, neighbors.to_text[:, -k:])
    if len(prototypes[0]):
        share = coarse.targets(audio, text, *prototypes).to(audio.dtype)  # (B, P)
        mixed_audio = mixed_audio + coarse_share * share @ prototypes[0].to(audio.dtype)
        mixed_text = mixed_text + coarse_share * share @ prototypes[1].to(text.dtype)
    return F.normalize(mixed_audio, dim=1), F.normalize(mixed_text, dim=1)


def _mean(table: Tensor, rows: Tensor, mass: Tensor) -> Tensor:
    """Weighted mean of rows (B, K) of a table (N, D) -> (B, D); 0 where there is no mass."""
    weights = mass / mass.sum(dim=1, keepdim=True).clamp_min(1e-12)
    dtype = torch.float64 if table.dtype == torch.float64 else torch.float32
    return (weights.to(dtype).unsqueeze(-1) * table[rows].to(dtype)).sum(dim=1)


@torch.no_grad()
def augment(
    text: Tensor, base: KnowledgeBase, *, k: int = 8, strength: float = 0.3, temperature: float = 0.05
) -> Tensor:  # fmt: skip
    """Enrich text queries with the audio of their nearest known captions. Inference only, to be reported apart.

    Args:
        text: (Q, D) query embeddings of length 1.
        base: Entries with audio are used; the base must hold nothing of the gallery that is searched.
        k: Captions taken.
        strength: Weight of their audio beside the query; 0 returns the query.
        temperature: Sharpness of their weights.

    Returns:
        (Q, D) rows of length 1.
    """
    if len(base) == 0 or strength == 0:
        return text
    score, rows = nearest(text, base.text, k, eligible=base.index.has_audio)
    weights = neighbor_weights(score, rows, None, temperature)  # (Q, K)
    known = (weights.unsqueeze(-1) * base.audio[rows].to(weights.dtype)).sum(dim=1)  # (Q, D)
    return F.normalize(text + strength * F.normalize(known, dim=1).to(text.dtype), dim=1)
