"""Confidence intervals and tests: paired bootstrap over clips, over seeds, or both; Holm correction.

Captions of one clip are correlated, so the resampled unit is the clip, never the caption: intervals of 5,225 captions
that are treated as independent are up to half too narrow. All systems and metrics share the drawn clips, so that
differences are paired. 10,000 resamples of 5,225 captions in 1,045 clips take about 0.3 s on one core, MedR 0.6 s.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 16; Holm, Scand. J. Stat. 6, 1979;
narrowness correction of a bootstrap over few seeds: Hesterberg, The American Statistician 69, 2015, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import ConfigError
from askaudio.core.types import IntArray

Floats = npt.NDArray[np.float64]
Over = Literal["clips", "seeds", "both"]
OVER: tuple[Over, ...] = ("clips", "seeds", "both")
RESAMPLES = 10_000
_LEVEL = 0.95  # of intervals
_CHUNK = 1 << 21  # drawn units in memory at once


def unit_rows(units: Sequence[str]) -> IntArray:
    """(Q,) row of each query's unit, units numbered by name (so the order of queries does not matter)."""
    return np.unique(np.asarray(units), return_inverse=True)[1].astype(np.int64)


def bootstrap(
    values: Sequence[npt.ArrayLike],
    units: IntArray,
    *,
    over: Over = "clips",
    median: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Floats:
    """Resampled scores of several systems, paired by the drawn clips.

    Args:
        values: For each system its per-query values, (Q,) or (seeds, Q), queries in one common order.
        units: (Q,) row of the clip that each query belongs to, from ``unit_rows``.
        over: Resample ``clips`` (seeds are averaged), ``seeds`` (independently for each system) or ``both``.
        median: Aggregate queries by the median (MedR) instead of the mean.
        resamples: R.
        seed: Seed of the draws; the same seed gives the same draws for any number of systems.

    Returns:
        (R, systems) resampled scores.

    Raises:
        ConfigError: Unknown ``over``; a system with one seed when seeds are resampled; lengths that differ.
    """
    tables = [np.atleast_2d(np.asarray(v, dtype=np.float64)) for v in values]  # (S_i, Q)
    _check(tables, units, over, resamples)
    if over == "seeds":
        score = np.median if median else np.mean
        per_seed = [np.broadcast_to(score(t, axis=1), (resamples, len(t))) for t in tables]
    else:
        stacked = _resample_clips(np.concatenate(tables), units, median, resamples, np.random.default_rng([seed, 0]))
        per_seed = np.split(stacked, np.cumsum([len(t) for t in tables])[:-1], axis=1)  # (R, S_i) each
    if over == "clips":
        return np.stack([p.mean(axis=1) for p in per_seed], axis=1)
    rng = np.random.default_rng([seed, 1])
    return np.stack([_resample_seeds(p, rng) for p in per_seed], axis=1)


def _check(tables: list[Floats], units: IntArray, over: str, resamples: int) -> None:
    if over not in OVER:
        raise ConfigError(f"over must be one of {', '.join(OVER)}, got {over!r}")
    if resamples < 1:
        raise ConfigError(f"resamples must be at least 1, got {resamples}")
    if any(t.shape[1] != len(units) for t in tables):
        raise ConfigError(f"values of {[t.shape[1] for t in tables]} queries do not fit {len(units)} units")
    few = [i for i, t in enumerate(tables) if len(t) < 2]
    if over != "clips" and few:
        raise ConfigError(
            f"system {few[0] + 1} has one seed, so seeds cannot be resampled; "
            "train it with more seeds, or resample clips"
        )


def _draws(n_units: int, resamples: int, rng: np.random.Generator, step: int) -> Iterator[tuple[slice, IntArray]]:
    """Chunks of counts (step, units): how often each unit was drawn."""
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n_units, size=(rows, n_units))
        drawn += np.arange(rows)[:, None] * n_units
        counts = np.bincount(drawn.ravel(), minlength=rows * n_units).reshape(rows, n_units)
        yield slice(start, start + rows), counts.astype(np.int32)


def _resample_clips(table: Floats, units: IntArray, median: bool, resamples: int, rng: np.random.Generator) -> Floats:
    """(rows, Q) values -> (R, rows) means (or medians) over resampled units."""
    n_units = int(units.max()) + 1
    out = np.empty((resamples, len(table)))
    size = np.bincount(units, minlength=n_units).astype(np.float64)
    sums = np.stack([np.bincount(units, weights=row, minlength=n_units) for row in table], axis=1)  # (C, rows)
    order = np.argsort(table, axis=1, kind="stable")
    step = max(1, _CHUNK // (table.shape[1] if median else n_units))
    for rows, counts in _draws(n_units, resamples, rng, step):
        if not median:
            weights = counts.astype(np.float64)
            out[rows] = (weights @ sums) / (weights @ size)[:, None]
            continue
        for i, row in enumerate(table):
            out[rows, i] = _weighted_median(row[order[i]], np.take(counts, units[order[i]], axis=1))
    return out


def _weighted_median(ascending: Floats, weights: IntArray) -> Floats:
    """Median of values (Q,) repeated ``weights`` (R, Q) times, the two middle ones averaged -> (R,)."""
    below = np.cumsum(weights, axis=1, dtype=np.int32)  # (R, Q)
    total = below[:, -1:].copy()
    below *= 2
    low = np.count_nonzero(below < total, axis=1)
    high = np.count_nonzero(below <= total, axis=1)
    return (ascending[low] + ascending[high]) / 2


def _resample_seeds(per_seed: Floats, rng: np.random.Generator) -> Floats:
    """(R, S) scores of each seed -> (R,) means over resampled seeds, spread widened by sqrt(S / (S - 1))."""
    resamples, n_seeds = per_seed.shape
    drawn = rng.integers(0, n_seeds, size=(resamples, n_seeds))
    centre = per_seed.mean(axis=1)
    again = np.take_along_axis(per_seed, drawn, axis=1).mean(axis=1)
    return centre + np.sqrt(n_seeds / (n_seeds - 1)) * (again - centre)


def interval(samples: Floats) -> tuple[float, float]:
    """95 % percentile interval of resampled scores (R,)."""
    low, high = np.quantile(samples, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def p_value(difference: float, samples: Floats) -> float:
    """Two-sided p of "no difference": how often resampled differences, centred on zero, are as large.

    Args:
        difference: Observed difference.
        samples: (R,) resampled differences.
    """
    beyond = np.abs(samples - difference) >= abs(difference) - 1e-12
    return float((1 + beyond.sum()) / (1 + len(samples)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(x) for x in adjusted]
