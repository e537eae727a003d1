"""Zero-shot classification of recordings into UCS categories, with calibrated probabilities.

Every prompt of a category, in several wordings, becomes a text vector. The score of a category is a soft maximum over
the cosines between its prompts and the recording. Categories that people have many words for gain by it, which is
right: they are the frequent ones. The words of the file's name are compared with the same prompts by their text
vectors. A softmax over the weighted sum gives shares, and a logistic curve turns the share of a category into the
probability that it is right. The weights of each model are fitted to labelled recordings by
``benchmarks/tagging/run.py`` and stored in ``calibration.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray
from askaudio.data.cache import FeatureCache
from askaudio.encoders.encoder import Encoder
from askaudio.tagging.categories import Category, categories

WORDINGS = ("{}", "the sound of {}", "a recording of {}")
SHARPNESS = 4.0  # of the soft maximum over the prompts of a category; infinity is the maximum
NAME_SHARPNESS = 40.0  # a name says one thing


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights of one model.

    Attributes:
        audio: Weight of the score of the recording.
        name: Weight of the score of the words of the file's name.
        slope: Of the logistic curve over the log-odds of a share.
        offset: Of the logistic curve.
        known: Fitted to labelled recordings; else probabilities are only a guess.
    """

    audio: float = 20.0
    name: float = 10.0
    slope: float = 1.0
    offset: float = 0.0
    known: bool = False

    @classmethod
    def of(cls, fingerprint: str) -> Calibration:
        """The stored calibration of an encoder, or a guess.

        Args:
            fingerprint: Of the encoder.
        """
        found = json.loads(files("askaudio.tagging").joinpath("calibration.json").read_text(encoding="utf-8"))
        row = found["models"].get(fingerprint)
        if row is None:
            return cls()
        return cls(row["audio"], row["name"], row["slope"], row["offset"], known=True)

    def probability(self, shares: FloatArray) -> FloatArray:
        """Probability that a category is right, from its share of the softmax; several may be right for one sound."""
        clipped = np.clip(shares, 1e-6, 1 - 1e-6)
        odds = np.log(clipped / (1 - clipped))
        return np.asarray(1 / (1 + np.exp(-(self.slope * odds + self.offset))), np.float32)


class ZeroShot:
    """Classifies vectors of recordings.

    Args:
        encoder: Made the vectors.
        cache: Folder for the vectors of the prompts, which take seconds to compute; None keeps none.
        calibration: Weights; default: those of the encoder.
    """

    def __init__(
        self, encoder: Encoder, cache: Path | str | None = None, calibration: Calibration | None = None
    ) -> None:
        self.encoder = encoder
        self.categories = categories()
        self.calibration = calibration or Calibration.of(encoder.fingerprint)
        self.prompts = [(k, prompt) for k, one in enumerate(self.categories) for prompt in one.prompts]
        self._starts = np.array([k for k, (owner, _) in enumerate(self.prompts)
                                 if not k or owner != self.prompts[k - 1][0]])  # fmt: skip
        self.rows = self._prompt_rows(cache)  # (P, D)

    def _prompt_rows(self, cache: Path | str | None) -> FloatArray:
        """Mean over the wordings of each prompt, length 1."""
        texts = [prompt for _, prompt in self.prompts]
        if cache is None:
            return self._encode(texts)
        settings = {"prompts": texts, "wordings": WORDINGS, "encoder": self.encoder.fingerprint}
        return np.asarray(FeatureCache(cache, settings).collect(["all"], lambda _: [self._encode(texts)])[0])

    def _encode(self, texts: Sequence[str]) -> FloatArray:
        return normalise_rows(sum(self.encoder.encode_text([w.format(t) for t in texts]) for w in WORDINGS))

    def scores(self, vectors: FloatArray, sharpness: float = SHARPNESS) -> FloatArray:
        """Soft maximum of the cosines of each vector with the prompts of each category.

        Args:
            vectors: (N, D), rows of length 1.
            sharpness: Of the maximum.

        Returns:
            (N, C).
        """
        near = np.exp(sharpness * (vectors @ self.rows.T - 1))
        return np.asarray(np.log(np.add.reduceat(near, self._starts, axis=1)) / sharpness + 1, np.float32)

    def name_scores(self, names: Sequence[str]) -> FloatArray:
        """The same for the words of names; zeros for a name without words: (N, C)."""
        found = np.zeros((len(names), len(self.categories)), np.float32)
        rows = [k for k, name in enumerate(names) if name]
        if rows:
            found[rows] = self.scores(self.encoder.encode_text([names[k] for k in rows]), NAME_SHARPNESS)
        return found

    def probabilities(self, vectors: FloatArray, names: Sequence[str] = ()) -> FloatArray:
        """Probability that each category is right; rows may sum to more than 1, since several may be right.

        Args:
            vectors: (N, D), one of each recording, of length 1.
            names: Words of the name of each; none to judge by sound alone.

        Returns:
            (N, C) float32.
        """
        logits = self.calibration.audio * self.scores(vectors)
        if names:
            logits = logits + self.calibration.name * self.name_scores(names)
        return self.calibration.probability(softmax(logits))

    def ranked_words(self, category: Category, vector: FloatArray) -> list[tuple[str, float]]:
        """Words of a category and their cosines with a recording (D,), the nearest first."""
        start = int(self._starts[self.categories.index(category)])
        cosines = self.rows[start : start + len(category.words)] @ vector
        order = np.argsort(-cosines, kind="stable")
        return [(category.words[k], float(cosines[k])) for k in order]


def softmax(logits: FloatArray) -> FloatArray:
    """Rows with sum 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
