"""What a score means to a person: how far it stands above what this query gives against the collection at large.

A raw cosine depends on the model and on the kind of query (words against sounds lie near 0.1, sounds against sounds
near 0.7). So each query is compared with a fixed sample of the collection: median and spread of those cosines make
its background, and a score becomes its distance from the median in spreads (z). ``match`` draws that on 0-100.
The same sample says how near two takes must be to count as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np

from askaudio.core.types import FloatArray

SAMPLE = 1024  # vectors in the background
HALF_Z = 3.0  # spreads above the median at which match is 50
SLOPE_Z = 0.8
_LEAST_SPREAD = 0.02  # of a collection whose sounds are all alike
TWIN = 0.995  # cosine from which two takes count as the same, where sounds differ as they should
_TWIN_SHARE = 0.02  # and their distance must be below this share of the usual distance in the collection
_PAIRS = 256
_SAME = 0.999  # the very same sound, whatever the background


@dataclass(frozen=True, slots=True)
class Background:
    """Median and spread of a query's cosines with the sample."""

    median: float
    spread: float

    def z(self, score: float) -> float:
        """Distance from the median in spreads."""
        return (score - self.median) / self.spread

    def match(self, score: float) -> float:
        """0-100: 50 stands out clearly, 90 is strong, under 20 is what any sound of the collection gives."""
        return as_match(self.z(score)) if score < _SAME else 100.0


def as_match(z: float) -> float:
    """A z on the scale 0-100."""
    return round(100.0 / (1.0 + exp(-max(-30.0, min(30.0, (z - HALF_Z) / SLOPE_Z)))), 1)


def background_of(query: FloatArray, sample: FloatArray) -> Background:
    """Background of a query (D,) against a sample (M, D) of the collection."""
    if len(sample) < 2:
        return Background(0.0, 0.1)
    scores = np.sort(sample @ query)
    # as np.quantile, in a tenth of its time
    low, median, high = np.interp(np.array([0.159, 0.5, 0.841]) * (len(scores) - 1), np.arange(len(scores)), scores)
    # the half below the median: the half above may hold what the query is looking for
    return Background(float(median), max(float(median - low), float(high - low) / 4, _LEAST_SPREAD))


def twin_cosine(sample: FloatArray) -> float:
    """Cosine from which two takes count as the same, given a sample (M, D) of the collection.

    Where an encoder puts all sounds close together (a short training does), 0.995 would make everything one take.
    """
    some = sample[:: max(1, len(sample) // _PAIRS)]
    if len(some) < 2:
        return TWIN
    pairs = (some @ some.T)[np.triu_indices(len(some), 1)]
    return max(TWIN, 1.0 - _TWIN_SHARE * (1.0 - float(np.median(pairs))))
