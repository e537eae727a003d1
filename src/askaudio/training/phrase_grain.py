"""The grain of events: phrases of captions contrasted with segments of clips, with a knowledge base of its own.

An entry is a couple (clip, phrase). Its text is the phrase; its audio is the mean over the clip's segments, weighted by
a softmax of their scores for the phrase, so that alignment and embeddings learn together. The couples of a batch go to
an ``ASK`` objective like any pairs: its base holds all couples of the training set, is encoded (and aligned) again at
every refresh, and weighs each couple by the reliability of its phrase. Equal phrases are positives of each other.
Cost: S segments and all phrases of a batch are encoded at each step, and those of all clips at each refresh.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from askaudio.ask.objective import ASK, ASKOutput
from askaudio.ask.refresher import Reliability
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.knowledge.injection.coarse import CoarseGrainedInjection
from askaudio.knowledge.injection.fine import FineGrainedInjection
from askaudio.knowledge.refinement.policies import RefinementPolicy
from askaudio.models.dual_encoder import DualEncoder

ATTENTION = 0.1  # temperature of the softmax over segments
_AT_ONCE = 2048  # couples encoded in one piece for the base


@dataclass(frozen=True)
class Couples:
    """N couples of a clip and a phrase of one of its captions.

    Attributes:
        segments: (M, S, A) features of the clips' segments, or (M, S, A, T) frames for a head over frames.
        texts: (U, C) features of the distinct phrases.
        clip: (N,) row of each couple's clip.
        phrase: (N,) row of each couple's phrase.
        entry: (N,) number of the (clip, caption) pair that the couple belongs to, ascending.
    """

    segments: Tensor
    texts: Tensor
    clip: Tensor
    phrase: Tensor
    entry: Tensor

    def rows_of(self, entries: Tensor) -> Tensor:
        """Rows of all couples of some pairs."""
        first, stop = (torch.searchsorted(self.entry, entries.cpu(), right=side) for side in (False, True))
        return torch.cat([torch.arange(a, b) for a, b in zip(first.tolist(), stop.tolist(), strict=True)])


class PhraseGrain(nn.Module):
    """``ASK`` over couples.

    Args:
        model: Encodes the base.
        couples: Of the training set.
        loss: Loss of the couples of a batch; its temperature is that of all parts.
        weight: Weight of the whole part beside the objective over pairs.
        refine: When the base is encoded again; None for no base: the couples of a batch alone.
        neighbors: K of the base.
        reliability: (N,) reliability of each couple, see ``ASK``.
    """

    def __init__(
        self,
        model: DualEncoder,
        couples: Couples,
        loss: nn.Module,
        weight: float = 1.0,
        *,
        refine: RefinementPolicy | None = None,
        neighbors: int = 0,
        reliability: Reliability = None,
    ) -> None:
        super().__init__()
        self.couples, self.weight = couples, weight

        def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
            was_training = model.training
            model.eval()
            with torch.no_grad():
                pieces = [embed_couples(model, couples, piece) for piece in rows.cpu().split(_AT_ONCE)]
            model.train(was_training)
            return torch.cat([a.cpu() for a, _ in pieces]), torch.cat([t.cpu() for _, t in pieces])

        base = None if refine is None else KnowledgeBase.encoded(couples.phrase.tolist(), encode)
        fine, coarse = FineGrainedInjection(neighbors), CoarseGrainedInjection(1)
        self.ask = ASK(
            base, loss, encode=encode, refine=refine, fine=fine, coarse=coarse, coarse_weight=0.0,
            reliability=None if base is None else reliability,
        )  # fmt: skip

    def forward(self, model: DualEncoder, entries: Tensor) -> ASKOutput:
        """Loss of the couples of a batch.

        Args:
            model: Encodes them.
            entries: (B,) numbers of the batch's pairs.
        """
        rows = self.couples.rows_of(entries)
        audio, text = embed_couples(model, self.couples, rows)
        known = None if self.ask.base is None else rows
        return self.ask(audio, text, self.couples.phrase[rows], rows=known)


def embed_couples(model: DualEncoder, couples: Couples, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Aligned audio (n, D) and text (n, D) of some couples, rows of length 1."""
    device = model.log_logit_scale.device
    clips, place = torch.unique(couples.clip[rows], return_inverse=True)
    chosen = couples.segments[clips]  # (m, S, ...)
    flat = chosen.flatten(0, 1).to(device)
    if flat.ndim == 2:
        segments = model.encode_audio(flat)  # (m S, D)
    else:
        segments = model.encode_audio((flat, torch.full((len(flat),), flat.shape[2], device=device)))
    segments = segments.float().reshape(*chosen.shape[:2], -1)[place]  # (n, S, D)
    text = model.encode_text(couples.texts[couples.phrase[rows]].to(device)).float()  # (n, D)
    return attend(segments, text), text


def attend(segments: Tensor, text: Tensor) -> Tensor:
    """Mean of the segments (n, S, D), weighted by their scores for the text (n, D); rows of length 1."""
    scores = torch.einsum("nsd,nd->ns", segments, text)
    return F.normalize(torch.einsum("ns,nsd->nd", torch.softmax(scores / ATTENTION, dim=1), segments), dim=1)
