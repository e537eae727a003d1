"""Hubs and the correction of queries."""

from __future__ import annotations

import numpy as np

from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.evaluation.hubs import score_hubs
from askaudio.evaluation.relevance import Relevance


def test_ranks_gain_and_the_largest_hub() -> None:
    """Clip 0 is nearest to every text; without its axis, each text finds its own clip."""
    clips = [Clip(f"c{n:02d}", f"{n}.wav", (Caption(f"c{n:02d}#0", f"text {n}"),)) for n in range(20)]
    relevance = Relevance.from_clips(Manifest("m", tuple(clips)))
    audio, text = np.eye(20, 21, k=1, dtype=np.float32), np.eye(20, 21, k=1, dtype=np.float32)
    audio[0], text[:, 0] = np.eye(21)[0], 2.0
    text[0] = np.eye(21)[0]
    taken = 1.9 * np.eye(21, dtype=np.float32)[0]
    corrected = text - taken
    corrected[0] = text[0]
    report = score_hubs(text, corrected, audio, relevance)
    assert report.recall[1][:3] == (5.0, 100.0, 95.0)
    assert report.recall[10][:2] == (100.0, 100.0)
    assert report.largest[0] == 20
    assert "R@1" in report.table() and report.to_json()["recall"]["R@1"][0] == 5.0


def test_the_same_queries_gain_nothing() -> None:
    clips = [Clip(f"c{n}", f"{n}.wav", (Caption(f"c{n}#0", f"text {n}"),)) for n in range(6)]
    relevance = Relevance.from_clips(Manifest("m", tuple(clips)))
    rows = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
    report = score_hubs(rows, rows, rows, relevance)
    assert report.recall[1] == (100.0, 100.0, 0.0, 0.0, 0.0) and report.skewness[0] == report.skewness[1]
