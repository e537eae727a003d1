"""Metrics of queries with frequent, medium and rare words in training: head, mid and tail.

The frequency of a query is that of its rarest content word (or of its label) in the training captions. Queries are
divided into three buckets, by thirds or by given frequencies. Each bucket has its own metrics; macro averages over the
buckets and over the words (or labels) give a word of a hundred queries the same weight as a word of one.

Source: no standard split exists for captions; buckets by training frequency follow Liu et al., "Large-scale long-tailed
recognition in an open world" (CVPR 2019), whose cuts (many: above 100, few: below 20) can be passed as ``cuts``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import IntArray, Json
from askaudio.evaluation.metrics import Values, aggregate
from askaudio.evaluation.report import Report, show
from askaudio.evaluation.significance import bootstrap, interval, unit_rows
from askaudio.evaluation.tables import render
from askaudio.evaluation.words import content_words

BUCKETS = ("head", "mid", "tail")
_RESAMPLES = 2000  # intervals of three buckets and several metrics: a fifth of the draws of a comparison


def word_frequencies(train_texts: Iterable[str]) -> Counter[str]:
    """Number of training captions in which each content word occurs."""
    return Counter(word for text in train_texts for word in set(content_words(text)))


def rarest_word(text: str, frequencies: Mapping[str, int]) -> tuple[str, int]:
    """The content word that is rarest in training, with its frequency; ties alphabetically; ("", 0) without words."""
    return min(
        ((w, frequencies.get(w, 0)) for w in set(content_words(text))), key=lambda p: (p[1], p[0]), default=("", 0)
    )


@dataclass(frozen=True)
class Rarity:
    """Training frequency of each query.

    Attributes:
        keys: Q rarest words or labels.
        frequency: (Q,) their training frequency.
    """

    keys: tuple[str, ...]
    frequency: IntArray

    @classmethod
    def of_texts(cls, texts: Iterable[str], frequencies: Mapping[str, int]) -> Rarity:
        """Frequencies of the rarest content word of each query's text."""
        pairs = [rarest_word(text, frequencies) for text in texts]
        return cls(tuple(w for w, _ in pairs), np.array([n for _, n in pairs], dtype=np.int64))

    @classmethod
    def of_labels(cls, labels: Iterable[str], train_labels: Iterable[str]) -> Rarity:
        """Frequencies of the label of each query's clip: its number of training clips."""
        counts = Counter(train_labels)
        keys = tuple(labels)
        return cls(keys, np.array([counts[k] for k in keys], dtype=np.int64))

    def buckets(self, cuts: tuple[int, int] | None = None) -> npt.NDArray[np.str_]:
        """(Q,) ``head``, ``mid`` or ``tail``.

        Args:
            cuts: (low, high): tail is below ``low``, head is ``high`` and above; default thirds of the queries.

        Raises:
            ConfigError: ``low`` is above ``high``.
        """
        low, high = cuts if cuts is not None else (float(x) for x in np.quantile(self.frequency, [1 / 3, 2 / 3]))
        if low > high:
            raise ConfigError(f"bucket cuts must rise, got {low:g} and {high:g}")
        # by thirds, many queries may have exactly the frequency of both cuts: the lower cut then belongs to the tail
        tail = self.frequency <= low if cuts is None else self.frequency < low
        head = self.frequency > high if cuts is None else self.frequency >= high
        return np.where(tail, "tail", np.where(head, "head", "mid"))


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Metrics of one bucket.

    Attributes:
        name: ``head``, ``mid`` or ``tail``.
        n_queries: Queries in the bucket.
        n_keys: Distinct rarest words (or labels) of these queries.
        least: Smallest training frequency in the bucket.
        most: Largest training frequency in the bucket.
        values: Metric -> (value, low, high) with a 95 % interval.
    """

    name: str
    n_queries: int
    n_keys: int
    least: int
    most: int
    values: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True)
class BucketReport:
    """Text-to-audio metrics of head, mid and tail, with macro averages over the buckets and over the words."""

    buckets: tuple[Bucket, ...]
    macro_buckets: Mapping[str, float]
    macro_keys: Mapping[str, float]

    def table(self, style: str = "table") -> str:
        """One row a bucket and one a macro average, as ``table``, ``markdown`` or ``latex``."""
        names = list(self.macro_buckets)
        rows = [
            [b.name, f"{b.least:,}-{b.most:,}", f"{b.n_queries:,}", f"{b.n_keys:,}"]
            + [f"{show(v, m)} [{show(low, m)}, {show(high, m)}]" for m, (v, low, high) in b.values.items()]
            for b in self.buckets
        ]
        rows.append(["macro, buckets", "", "", "", *(show(self.macro_buckets[m], m) for m in names)])
        rows.append(["macro, words", "", "", "", *(show(self.macro_keys[m], m) for m in names)])
        return render(["t2a bucket", "train freq.", "queries", "words", *names], rows, style)

    def to_json(self) -> Json:
        """All numbers, shares not percent."""
        return {
            "direction": "t2a",
            "buckets": [vars(b) | {"values": {m: list(v) for m, v in b.values.items()}} for b in self.buckets],
            "macro_buckets": dict(self.macro_buckets),
            "macro_keys": dict(self.macro_keys),
        }


def by_bucket(
    report: Report,
    rarity: Rarity,
    *,
    metrics: Sequence[str] = ("R@1", "R@10", "mAP@10"),
    cuts: tuple[int, int] | None = None,
) -> BucketReport:
    """Text-to-audio metrics of each bucket.

    Args:
        report: Outcome of an evaluation.
        rarity: Rarity of the report's Q text queries, in their order.
        metrics: Names without direction.
        cuts: Training frequencies that separate the buckets; default thirds of the queries.

    Raises:
        DataError: The rarity has another number of queries than the report.
        ConfigError: The report has no text-to-audio direction, or an unknown metric.
    """
    values = {m: report.per_query(f"t2a/{m}") for m in metrics}
    units = np.array(report.directions["t2a"].query_units)
    if len(rarity.keys) != len(units):
        raise DataError(f"rarity of {len(rarity.keys)} queries does not fit the report's {len(units)} t2a queries")
    names, keys = rarity.buckets(cuts), np.array(rarity.keys)
    buckets = []
    for name in BUCKETS:
        rows = np.flatnonzero(names == name)
        if len(rows):
            frequency = rarity.frequency[rows]
            numbers = {m: _number(v[rows], units[rows], m) for m, v in values.items()}
            buckets.append(
                Bucket(
                    name=name,
                    n_queries=len(rows),
                    n_keys=len(set(keys[rows])),
                    least=int(frequency.min()),
                    most=int(frequency.max()),
                    values=numbers,
                )
            )
    return BucketReport(
        tuple(buckets),
        {m: float(np.mean([b.values[m][0] for b in buckets])) for m in metrics},
        {m: _macro(values[m], keys, m) for m in metrics},
    )


def _number(values: Values, units: npt.NDArray[np.str_], metric: str) -> tuple[float, float, float]:
    drawn = bootstrap([values], unit_rows(units.tolist()), median=metric == "MedR", resamples=_RESAMPLES)
    return (aggregate(values, metric), *interval(drawn[:, 0]))


def _macro(values: Values, keys: npt.NDArray[np.str_], metric: str) -> float:
    return float(np.mean([aggregate(values[keys == key], metric) for key in np.unique(keys)]))
