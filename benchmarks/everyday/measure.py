"""Measure how a model answers everyday queries on recordings that it has not been trained on.

    python benchmarks/everyday/measure.py --models small efficientat     # a minute for each; needs mixtures.py

Searches with the engine of ``askaudio search``, by vectors alone (names of files are not read), in the test gallery of
``gallery.py``. Writes ``results.json`` and ``reliability.png``.

- ``precision@5``: share of right clips among the first five (or among as many as there are right ones), of the queries
  with at least two right clips; by whole gallery and by pack. urbansound8k is the pack that no training has used.
- ``strong_wrong``: share of the wrong hits among the first five that are called a strong match (60 or more).
- ``calibration_error``: expected calibration error of ``match`` in ten bins, over all everyday queries, those without a
  right clip included.
- ``nothing_fits``: how often the answer says so: for queries that name no sound at all (``no_sounds`` of queries.json),
  for sounds of which the gallery has none, and for queries with at least two right clips.
- ``sentences R@10``: descriptions of mixtures. ``titles R@10``. ``labels``: street clips by the nearest label text.
- ``hubs``: skewness of how often a clip is among the first ten, and the largest such number, for sentences.

Intervals: 95 %, 1,000 resamples of recordings (of sentences and titles: of queries by recording).
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
from pathlib import Path

import numpy as np
from gallery import engine_of, gallery, queries, relevance
from mixtures import Mixtures, mixtures
from tune import by_clip
from vectors import Encoded, encoded, group_of, source_of, split_of

from askaudio.core.files import read_json, write_json
from askaudio.encoders.load import load
from askaudio.encoders.onnx import OnnxEncoder
from askaudio.engines.exact import ExactStore
from askaudio.evaluation.figures import COLOURS
from askaudio.evaluation.significance import bootstrap, interval, unit_rows
from askaudio.index.entries import Entry, Identity
from askaudio.search.engine import SearchEngine
from askaudio.search.hits import STRONG

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "results.json", HERE / "reliability.png"
FIRST, DEPTH, RESAMPLES, BINS = 5, 40, 1000, 10
PACKS = ("kitchen20", "debian", "urbansound8k")


class Answers:
    """The hits of all everyday queries in one gallery.

    Attributes:
        right: (Q, DEPTH) whether a hit is right; False where there are fewer hits.
        match: (Q, DEPTH) match of a hit; NaN where there are fewer.
        recording: (Q, DEPTH) number of a hit's recording.
        count: (Q,) right clips in the gallery.
        fits: (Q,) whether the answer says that something fits.
    """

    def __init__(self, some: Encoded, encoder: OnnxEncoder, correct_hubs: bool | None = None) -> None:
        rows = queries()
        judged = relevance(rows, some.clips)
        place = {clip.clip_id: n for n, clip in enumerate(some.clips)}
        recordings = unit_rows([group_of(clip) for clip in some.clips])
        shape = len(rows), DEPTH
        self.right, self.match, self.recording = np.zeros(shape, bool), np.full(shape, np.nan), np.full(shape, -1)
        self.count, self.fits = judged.sum(1), np.zeros(len(rows), bool)
        with engine_of(some, encoder) as engine:
            for q, row in enumerate(rows):
                hits = engine.search(row["query"], top_k=DEPTH, words=False, correct_hubs=correct_hubs)
                self.fits[q] = hits.fits
                for k, hit in enumerate(hits):
                    n = place[hit.clip_id]
                    self.right[q, k], self.match[q, k], self.recording[q, k] = judged[q, n], hit.match, recordings[n]

    def precision(self, weight: np.ndarray | None = None) -> float:
        """Precision@5; ``weight`` (recordings,) says how often each recording is in a resampled gallery."""
        asked = np.flatnonzero(self.count >= 2)
        depth = np.minimum(FIRST, self.count[asked])[:, None]
        often = np.ones((len(asked), DEPTH)) if weight is None else weight[self.recording[asked]]
        often = np.where(self.recording[asked] < 0, 0, often)
        before = np.cumsum(often, axis=1) - often
        taken = np.clip(depth - before, 0, often)  # copies of a hit that are among the first five
        return float(((taken * self.right[asked]).sum(1) / depth[:, 0]).mean())

    def figure(self) -> dict[str, float]:
        """Precision@5 with its interval over recordings."""
        rng = np.random.default_rng(0)
        number = int(self.recording.max()) + 1
        draws = [self.precision(np.bincount(rng.integers(0, number, number), minlength=number)) for _ in range(300)]
        # a resample has 63 % of the recordings, so it is compared with its own mean and centred on the figure
        low, high = interval(np.array(draws) - np.mean(draws) + self.precision())
        return {**_rounded(self.precision(), low, high), "queries": int((self.count >= 2).sum())}

    def first(self) -> tuple[np.ndarray, np.ndarray]:
        """Match in [0, 1] and whether right, of the first five hits of all queries."""
        shown = ~np.isnan(self.match[:, :FIRST])
        return self.match[:, :FIRST][shown] / 100, self.right[:, :FIRST][shown]


def fits_nothing(some: Encoded, encoder: OnnxEncoder) -> float:
    """Share of the queries that name no sound for which the answer says that nothing fits."""
    texts = json.loads((HERE / "queries.json").read_text(encoding="utf-8"))["no_sounds"]
    with engine_of(some, encoder) as engine:
        return float(np.mean([not engine.search(text, words=False).fits for text in texts]))


def _rounded(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def calibration(match: np.ndarray, right: np.ndarray) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error, and for each bin the mean match, the share of right hits and the number of hits."""
    bins = np.minimum((match * BINS).astype(int), BINS - 1)
    rows = [(match[bins == b].mean(), right[bins == b].mean(), int((bins == b).sum())) for b in sorted(set(bins))]
    return float(sum(n * abs(p - share) for p, share, n in rows) / len(match)), rows


def ranks(some: Mixtures, encoder: OnnxEncoder, correct_hubs: bool) -> tuple[np.ndarray, dict[str, float]]:
    """Rank of each sentence's mixture by the engine, and how unevenly mixtures are found among the first ten."""
    store = ExactStore(Identity.of(encoder))
    ids = [f"{n:04d}" for n in range(len(some.vectors))]
    store.add(Entry(key, key, vector, 0.0, 8.0, key) for key, vector in zip(ids, some.vectors, strict=True))
    found = np.full(len(some.sentences), 99)
    often = np.zeros(len(ids))
    with SearchEngine(store, encoder) as engine:
        for q, text in enumerate(some.sentences):
            hits = engine.search(text, words=False, fold_twins=False, correct_hubs=correct_hubs)
            for hit in hits:
                often[int(hit.clip_id)] += 1
                if int(hit.clip_id) == q % len(ids):
                    found[q] = hit.rank
    skewness = float(((often - often.mean()) ** 3).mean() / often.std() ** 3)
    return found, {"skewness": round(skewness, 2), "largest": int(often.max())}


def sentences(encoder: OnnxEncoder, half: str) -> dict:
    """R@10 of sentences without and with the correction of hubs, and the difference, paired."""
    some = mixtures(encoder, half)
    (plain, before), (corrected, after) = ranks(some, encoder, False), ranks(some, encoder, True)
    units = np.tile(np.arange(len(some.vectors)), 2)
    draws = bootstrap([plain <= 10, corrected <= 10], units, resamples=RESAMPLES)
    gain = float((corrected <= 10).mean() - (plain <= 10).mean())
    return {
        "R@10 plain": _rounded(float((plain <= 10).mean()), *interval(draws[:, 0])),
        "R@10 corrected": _rounded(float((corrected <= 10).mean()), *interval(draws[:, 1])),
        "gain": _rounded(gain, *interval(draws[:, 1] - draws[:, 0])),
        "hubs plain": before,
        "hubs corrected": after,
    }


def titles(some: Encoded, encoder: OnnxEncoder) -> dict[str, float]:
    """R@10 of the distinct titles of the packs that were in training, on recordings that were not."""
    kept = some.where(split_of(some.clips) != "street")
    names = sorted({c.captions[0].text for c in kept.clips if c.captions})
    own = np.array([c.captions[0].text if c.captions else "" for c in kept.clips])
    best = np.argsort(-by_clip(encoder.encode_text(names) @ kept.vectors.T, kept), axis=1, kind="stable")[:, :10]
    hit = [name in own[row] for name, row in zip(names, best, strict=True)]
    groups = [group_of(kept.clips[int(np.flatnonzero(own == name)[0])]) for name in names]
    return _mean(hit, groups)


def labels(some: Encoded, encoder: OnnxEncoder) -> dict[str, float]:
    """Share of clips whose nearest label text is their own."""
    names = sorted({clip.label for clip in some.clips})
    scores = by_clip(encoder.encode_text(names) @ some.vectors.T, some)
    right = [names[k] == clip.label for k, clip in zip(scores.argmax(0), some.clips, strict=True)]
    return _mean(right, [group_of(clip) for clip in some.clips])


def _mean(values: list[bool], groups: list[str]) -> dict[str, float]:
    draws = bootstrap([np.array(values, float)], unit_rows(groups), resamples=RESAMPLES)
    return {**_rounded(float(np.mean(values)), *interval(draws[:, 0])), "n": len(values)}


def measured(encoder: OnnxEncoder, half: str) -> tuple[dict, list]:
    """All figures of one model, and the bins of its reliability."""
    everything = encoded(encoder)
    some = gallery(everything, half)
    source = np.array([source_of(clip) for clip in some.clips])
    answers = Answers(some, encoder)
    match, right = answers.first()
    error, bins = calibration(match, right)
    there, absent = answers.count >= 2, answers.count == 0
    street = gallery(everything, "street")
    return {
        "precision@5": answers.figure(),
        "precision@5 with all queries corrected": round(Answers(some, encoder, True).precision(), 4),
        "precision@5 by pack": {p: Answers(some.where(source == p), encoder).figure() for p in PACKS},
        "strong_wrong": round(float((match[~right] >= STRONG / 100).mean()), 4),
        "strong_right": round(float((match[right] >= STRONG / 100).mean()), 4),
        "calibration_error": round(error, 4),
        "nothing_fits": {
            "no sounds": round(fits_nothing(some, encoder), 3),
            "absent": round(float((~answers.fits[absent]).mean()), 3) if absent.any() else None,
            "present": round(float((~answers.fits[there]).mean()), 3),
        },
        "sentences": sentences(encoder, half),
        "titles R@10": titles(some, encoder),
        "street labels": labels(street, encoder),
        "clips": len(some.clips),
    }, bins


def draw(bins: dict[str, list], path: Path) -> None:
    """The reliability diagram."""
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(4.6, 4.2))
    panel.plot([0, 100], [0, 100], color="grey", lw=1, label="as it should be")
    for colour, (name, rows) in zip(COLOURS, bins.items(), strict=False):
        p, share, n = np.array(rows).T
        panel.plot(100 * p, 100 * share, color=colour, lw=1)
        panel.scatter(100 * p, 100 * share, s=4 + 60 * n / n.max(), color=colour, label=name)
    panel.set(xlabel="match", ylabel="percent of hits that are right", xlim=(0, 100), ylim=(0, 100))
    panel.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["small", "efficientat"], help="names or encoder folders")
    parser.add_argument("--half", default="test", choices=("val", "test"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    results = read_json(args.out) if args.out.is_file() else {}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    bins = {}
    for name in args.models:
        encoder = load(name)
        figures, bins[name] = measured(encoder, args.half)
        about = {"commit": commit, "machine": platform.machine(), "fingerprint": encoder.fingerprint, "half": args.half}
        results[name] = {**figures, **about}
        print(name, figures)
    write_json(args.out, results)
    draw(bins, args.out.with_name(PICTURE.name))


if __name__ == "__main__":
    main()
