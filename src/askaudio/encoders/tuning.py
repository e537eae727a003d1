"""What search knows about a model beside its vectors: how reliable a cosine is, and in which direction its hubs lie.

A model's folder may have a file ``search.json`` (``benchmarks/everyday/tune.py`` writes it, from recordings that the
model has not been trained on). It is used only with the encoder whose fingerprint it names; without it, search works
as for any other model.

**Match.** ``MatchCurve`` maps a hit's cosine, and its place above the background of the collection, to the probability
that the hit is right.

**Hubs.** A hub is a stored vector that is near to many texts. Its hubness is the mean of the k largest cosines with a
bank of texts that describe sounds. Search can take a share of it away from the cosine. The hubness is nearly a linear
function of the vector (R2 = .87 for k = 64, .999 for the mean of all), so the file has the vector ``w`` of that
function in place of the bank: cosine(q, v) - share * (w . v) = (q - share * w) . v, so the query is changed instead.
Nothing is stored beside the vectors, and every store, filter and accelerator works as before.

Source: QB-Norm (arXiv 2112.12777) and NNN (arXiv 2410.24114) for hubness by a bank of queries.
Differs: a linear function of the stored vector replaces the bank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from pathlib import Path
from typing import Any, Literal

import numpy as np

from askaudio.core.errors import ModelError
from askaudio.core.files import read_json
from askaudio.core.types import FloatArray

TUNING_FILE = "search.json"
QueryKind = Literal["text", "sound"]


@dataclass(frozen=True, slots=True)
class MatchCurve:
    """A logistic function: probability that a hit is right.

    Attributes:
        bias: Constant term.
        z: Weight of the cosine's distance from the median of the collection, in spreads.
        cosine: Weight of the cosine itself.
        spread: Weight of the spread of the query's cosines in the collection.
    """

    bias: float
    z: float
    cosine: float = 0.0
    spread: float = 0.0

    def __call__(self, z: float, cosine: float, spread: float) -> float:
        """Probability in percent, one decimal place."""
        value = self.bias + self.z * z + self.cosine * cosine + self.spread * spread
        return round(100.0 / (1.0 + exp(-max(-30.0, min(30.0, value)))), 1)


@dataclass(frozen=True, slots=True, eq=False)
class HubCorrection:
    """What is taken away from a query, see the head of this file.

    Attributes:
        taken: (D,) ``share * w``.
        least_words: A text of fewer words is corrected only if a caller says so. Descriptions gain by the correction;
            the names of steady noises lose, because those noises are hubs themselves.
    """

    taken: FloatArray
    least_words: int = 0


@dataclass(frozen=True, slots=True)
class Tuning:
    """The content of ``search.json``.

    Attributes:
        match: Curve for queries by text and by sound; a missing kind has the curve of any other model.
        hubs: The correction for queries by text and by sound.
    """

    match: Mapping[QueryKind, MatchCurve] = field(default_factory=dict)
    hubs: Mapping[QueryKind, HubCorrection] = field(default_factory=dict)


def read_tuning(folder: Path, fingerprint: str, embed_dim: int) -> Tuning | None:
    """The tuning of an encoder folder; None without a file, or if the file is of another encoder.

    Args:
        folder: Folder that may hold ``search.json``.
        fingerprint: Of the encoder.
        embed_dim: D.

    Raises:
        ModelError: The file is damaged.
    """
    path = folder / TUNING_FILE
    if not path.is_file():
        return None
    try:
        content = read_json(path)
        if content["fingerprint"] != fingerprint:
            return None
        return _tuning(content, embed_dim)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error!r}); remove it, or install the model again") from error


def _tuning(content: Any, embed_dim: int) -> Tuning:
    hubs = {
        kind: HubCorrection(np.array(row["taken"], np.float32), int(row["least_words"]))
        for kind, row in content["hubs"].items()
    }
    if any(hub.taken.shape != (embed_dim,) for hub in hubs.values()):
        raise ValueError(f"a correction of another length than {embed_dim}")
    match = {kind: MatchCurve(**{name: float(v) for name, v in row.items()}) for kind, row in content["match"].items()}
    return Tuning(match, hubs)
