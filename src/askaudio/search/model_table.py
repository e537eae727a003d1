"""How several models answer the same sounds: the table of ``askaudio models compare``.

Every distinct text of the sounds (titles or captions), and every label, is a query; the sounds that carry it are right.
Queries are answered by the search engine, by vectors alone. Vectors are kept in memory and never written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np

from askaudio.core.errors import DataError
from askaudio.core.types import FloatArray, Json, Progress, silent
from askaudio.data.manifest import Clip
from askaudio.encoders.recording import READ_ERRORS, FileEncoder, encode_recording, reason_of
from askaudio.engines.exact import ExactStore
from askaudio.evaluation.significance import Floats, bootstrap, interval, unit_rows
from askaudio.index.entries import Entry, Identity
from askaudio.search.engine import SearchEngine
from askaudio.search.hits import STRONG

_DEPTH = 10
_BINS = 10


@dataclass(frozen=True)
class ModelRow:
    """What one model makes of the sounds.

    Attributes:
        name: Of the model.
        queries: The texts that were asked.
        found: (Q,) rank of the first right sound; more than 10 means that it is not among the first ten.
        right: (Q, 5) whether each of the first five hits is right.
        match: (Q, 5) match of each, 0 to 1; NaN where there are fewer sounds.
        labels: (N,) whether a sound's nearest label is its own; empty without labels.
        count: (Q,) right sounds of each query.
        often: (N,) how often a sound is among the first ten.
        seconds: CPU seconds for each sound, decoding included.
        broken: Path -> reason for sounds that cannot be read.
    """

    name: str
    queries: Sequence[str]
    found: Floats
    right: Floats
    match: Floats
    labels: Floats
    count: Floats
    often: Floats
    seconds: float
    broken: dict[str, str]

    def precision(self) -> Floats:
        """Precision@5 of each query that has two right sounds or more; of as many hits as there are right sounds."""
        asked = self.count >= 2
        depth = np.minimum(5, self.count[asked])
        shown = np.arange(5)[None] < depth[:, None]
        return np.asarray((self.right[asked] * shown).sum(1) / depth, np.float64)

    def figures(self) -> Json:
        """The figures as JSON; None where the sounds do not give them."""
        shown = ~np.isnan(self.match)
        match, right = self.match[shown], self.right[shown] > 0
        bins = np.minimum((match * _BINS).astype(int), _BINS - 1)
        gaps = [abs(match[bins == b].sum() - right[bins == b].sum()) for b in set(bins.tolist())]
        deviation = float(self.often.std())
        precision = self.precision()
        return {
            "model": self.name,
            "queries": len(self.queries),
            "R@1": float((self.found <= 1).mean()),
            "R@10": float((self.found <= 10).mean()),
            "precision@5": float(precision.mean()) if len(precision) else None,
            "labels": float(self.labels.mean()) if len(self.labels) else None,
            "calibration_error": float(sum(gaps) / max(len(match), 1)),
            "strong_wrong": float((match[~right] >= STRONG / 100).mean()) if (~right).any() else 0.0,
            "hub_skewness": float(((self.often - self.often.mean()) ** 3).mean() / deviation**3) if deviation else 0.0,
            "largest_hub": int(self.often.max()),
            "seconds_a_sound": self.seconds,
            "broken": len(self.broken),
        }


def answer_all(encoder: FileEncoder, clips: Sequence[Clip], progress: Progress = silent) -> ModelRow:
    """Encode sounds with one model, and ask for each of their texts.

    Args:
        encoder: The model.
        clips: N sounds with captions or labels.
        progress: Called with the sounds done.

    Raises:
        DataError: No sound can be read, or none has a text or label.
    """
    store = ExactStore(Identity.of(encoder))
    broken: dict[str, str] = {}
    windows: list[FloatArray] = []
    kept: list[Clip] = []
    began = process_time()
    for done, clip in enumerate(clips, start=1):
        try:
            rows = encode_recording(encoder, clip.path).vectors
        except READ_ERRORS as error:
            broken[clip.path] = reason_of(error)
            continue
        store.add(Entry(f"{clip.clip_id}#{n}", clip.clip_id, row, n, n + 1, clip.path) for n, row in enumerate(rows))
        windows.append(rows)
        kept.append(clip)
        progress(done, len(clips))
    seconds = (process_time() - began) / max(len(clips), 1)
    if not kept:
        raise DataError(f"none of {len(clips)} sounds could be read; the first: {next(iter(broken.items()), '')}")
    texts = [{c.text for c in clip.captions} | ({clip.label} if clip.label else set()) for clip in kept]
    queries = sorted(set().union(*texts))
    if not queries:
        raise DataError("the sounds have neither captions nor labels, so there is nothing to ask for")
    return _asked(encoder, store, kept, texts, queries, windows, seconds, broken)


def _asked(
    encoder: FileEncoder, store: ExactStore, clips: Sequence[Clip], texts: Sequence[set[str]], queries: Sequence[str],
    windows: Sequence[FloatArray], seconds: float, broken: dict[str, str],
) -> ModelRow:  # fmt: skip
    number = {clip.clip_id: n for n, clip in enumerate(clips)}
    found, right = np.full(len(queries), np.inf), np.zeros((len(queries), 5))
    match, often = np.full((len(queries), 5), np.nan), np.zeros(len(clips))
    with SearchEngine(store, encoder) as engine:
        for q, query in enumerate(queries):
            for hit in engine.search(query, top_k=_DEPTH, words=False, fold_twins=False):
                n = number[hit.clip_id]
                often[n] += 1
                is_right = query in texts[n]
                if is_right:
                    found[q] = min(found[q], hit.rank)
                if hit.rank <= 5:
                    right[q, hit.rank - 1], match[q, hit.rank - 1] = is_right, hit.match / 100
    count = np.array([float(sum(query in own for own in texts)) for query in queries])
    labels = _nearest_labels(encoder, clips, windows)
    return ModelRow(encoder.name, queries, found, right, match, labels, count, often, seconds, broken)


def _nearest_labels(encoder: FileEncoder, clips: Sequence[Clip], windows: Sequence[FloatArray]) -> Floats:
    """(N',) whether the nearest label text is a sound's own, of the sounds that have a label."""
    names = sorted({clip.label for clip in clips if clip.label})
    if len(names) < 2:
        return np.zeros(0)
    rows = encoder.encode_text(names)
    pairs = [(clip.label, own) for clip, own in zip(clips, windows, strict=True) if clip.label]
    return np.array([names[int((rows @ own.T).max(axis=1).argmax())] == label for label, own in pairs], float)


def difference(a: ModelRow, b: ModelRow, resamples: int = 2000) -> tuple[float, float, float]:
    """R@10 of b less that of a, with its 95 % interval over queries."""
    values = [(row.found <= 10).astype(float) for row in (a, b)]
    draws = bootstrap(values, unit_rows(list(a.queries)), resamples=resamples)
    low, high = interval(draws[:, 1] - draws[:, 0])
    return float(values[1].mean() - values[0].mean()), low, high


def table(rows: Sequence[ModelRow], gains: dict[str, tuple[float, float, float]]) -> str:
    """The figures as text, one line for each figure.

    Args:
        rows: Of the models.
        gains: Model -> its R@10 less that of the first model, with the interval.
    """
    figures = [row.figures() for row in rows]
    lines = [" ".join([f"{'':<18}", *(f"{row.name:>14}" for row in rows)])]
    for name in figures[0]:
        if name != "model":
            lines.append(" ".join([f"{name:<18}", *(f"{_shown(own[name]):>14}" for own in figures)]))
    for name, (gain, low, high) in gains.items():
        lines.append(f"R@10 of {name} less that of {rows[0].name}: {gain:+.3f} [{low:+.3f}, {high:+.3f}] (95 %)")
    return "\n".join(lines)


def _shown(value: float | int | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
