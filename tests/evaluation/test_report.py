"""Report and comparison: numbers, tables, files, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest

from askaudio.core.errors import ConfigError, DataError
from askaudio.evaluation.compare import compare
from askaudio.evaluation.evaluate import evaluate, evaluate_embeddings
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.report import Report, show
from askaudio.evaluation.run import Run
from askaudio.evaluation.tables import render

OWNER = np.repeat(np.arange(40), 3)


def system(noise, seed=0, name="system", n_clips=40):
    rng = np.random.default_rng(1)
    audio = rng.normal(size=(40, 16))[:n_clips]
    owner = OWNER[: 3 * n_clips]
    text = audio[owner] + noise * np.random.default_rng(100 + seed).normal(size=(3 * n_clips, 16))
    return evaluate_embeddings(audio, text, owner, name=name, n_missing_clips=2)


def test_a_report_answers_for_every_metric():
    report = system(0.8)
    assert report["t2a/R@1"] == report.per_query("t2a/R@1").mean()
    assert report["t2a/R@1"] <= report["t2a/R@7"] <= 1.0
    assert set(report.values) == {f"{d}/{m}" for d in ("t2a", "a2t") for m in report.metrics}
    low, high = report.intervals["t2a/R@1"]
    assert low <= report["t2a/R@1"] <= high
    assert report.primary_metric == "t2a/mAP@10"
    assert report.greater_is_better


def test_directions_equal_runs_scored_one_by_one(rng):
    audio, text = rng.normal(size=(10, 8)), rng.normal(size=(30, 8))
    relevance = Relevance.from_owner(np.repeat(np.arange(10), 3))
    both = evaluate_embeddings(audio, text, relevance)
    run = Run.from_embeddings(text, audio, relevance.query_ids, relevance.gallery_ids)
    assert evaluate(run, relevance, directions=("a2t",))["a2t/mAP@5"] == both["a2t/mAP@5"]
    lists = Run.from_dict(run.transposed().top(30))
    assert evaluate(lists, relevance, directions=("a2t",))["a2t/mAP@5"] == pytest.approx(both["a2t/mAP@5"])


def test_clips_without_captions_are_distractors_that_ask_nothing(rng):
    audio, text = rng.normal(size=(4, 8)), rng.normal(size=(4, 8))
    report = evaluate_embeddings(audio, text, [0, 0, 3, 3])
    assert report.n_clips == 4
    assert report.directions["t2a"].ranks.n_gallery == 4
    assert report.directions["a2t"].query_ids == ("c0", "c3")


def test_a_report_comes_back_from_disk(tmp_path):
    report = system(0.8)
    report.save(tmp_path)
    back = Report.load(tmp_path)
    assert back.values == report.values
    assert back.to_json() == report.to_json()
    assert back["a2t/nDCG@3"] == report["a2t/nDCG@3"]
    assert compare({"a": report, "b": back}).differences[0].p == 1.0


def test_a_broken_report_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Report.load(tmp_path)
    system(0.8).save(tmp_path)
    (tmp_path / "ranks.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="not a complete report"):
        Report.load(tmp_path)
    about = json.loads((tmp_path / "report.json").read_text())
    del about["pools"]
    (tmp_path / "report.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="not a complete report"):
        Report.load(tmp_path)


@pytest.mark.parametrize("style", ["table", "markdown", "latex"])
def test_every_table_has_numbers_counts_and_protocol(style):
    text = system(0.8).table(style)
    for part in ("R@10", "mAP@10", "40 clips, 120 captions, missing clips: 2", "ties pessimistic", "any-of-n"):
        assert part in text
    if style == "latex":
        assert text.count("\\\\") == 9  # a heading and eight metrics


def test_unknown_styles_metrics_and_directions_are_refused():
    report = system(0.8)
    with pytest.raises(ConfigError, match="table, markdown or latex"):
        report.table("html")
    with pytest.raises(ConfigError, match="unknown metric"):
        report["t2a/accuracy"]
    with pytest.raises(ConfigError, match="direction/name"):
        report["R@1"]
    with pytest.raises(ConfigError, match="directions are t2a and a2t"):
        evaluate(Run.from_dict({"q": {"a": 1.0}}), Relevance.from_dict({"q": ["a"]}), directions=("audio",))
    with pytest.raises(ConfigError, match="ties must be one of"):
        evaluate(Run.from_dict({"q": {"a": 1.0}}), Relevance.from_dict({"q": ["a"]}), ties="optimistic")


def test_cells_are_escaped():
    assert "a\\_b \\& 5\\%" in render(["x", "y"], [["a_b & 5%", "1"]], "latex")
    assert "a\\|b" in render(["x", "y"], [["a|b", "1"]], "markdown")


def test_percent_and_ranks_are_printed_as_such():
    assert show(0.4567, "t2a/R@1") == "45.7"
    assert show(3.0, "a2t/MedR") == "3.0"


def test_a_better_system_is_found_better_and_noise_is_not():
    c = compare({"base": system(1.0), "other": system(1.0, seed=1), "good": system(0.5)}, "t2a/mAP@10")
    noise, good = c.differences
    assert good.value > 0 and good.p_holm < 0.01 and good.low > 0
    assert noise.p > 0.05
    assert noise.p_holm >= noise.p
    lines = c.table().splitlines()
    assert lines[8].endswith("not significant")
    assert lines[9].endswith("better")
    assert c.to_json()["counts"] == {"queries": 120, "clips": 40}


def test_lower_ranks_are_better():
    c = compare({"base": system(1.0), "good": system(0.4)}, "t2a/MeanR", resamples=500)
    assert c.differences[0].value < 0
    assert "better" in c.table("markdown")


def test_seeds_are_averaged_and_resampled():
    base, good = [system(1.0, s) for s in range(3)], [system(0.5, s) for s in range(3)]
    c = compare({"base": base, "good": good}, resamples=2000)
    assert c.over == "both"
    assert c.systems[0].n_seeds == 3
    assert c.systems[0].value == pytest.approx(np.mean([r["t2a/R@1"] for r in base]))
    assert compare({"base": base, "good": good[0]}, resamples=100).over == "clips"


def test_all_pairs_share_one_correction():
    c = compare({"a": system(1.0), "b": system(0.8), "c": system(0.6)}, all_pairs=True, resamples=500)
    assert [(d.first, d.second) for d in c.differences] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(d.p_holm >= d.p for d in c.differences)


def test_other_pools_are_refused_unless_forced():
    whole, smaller = system(1.0), system(1.0, n_clips=30)
    with pytest.raises(DataError, match=r"40 clips, 120 captions.* 30 clips, 90 captions.*--force-pools"):
        compare({"whole": whole, "smaller": smaller})
    c = compare({"whole": whole, "smaller": smaller}, force_pools=True, resamples=200)
    assert c.n_queries == 90
    assert "pools differ" in c.warnings[0]
    assert c.systems[0].value == pytest.approx(whole.per_query("t2a/R@1")[:90].mean())


def test_the_order_of_queries_does_not_matter_when_comparing(rng):
    relevance = Relevance.from_dict({f"q{i}": [f"c{i}"] for i in range(20)})
    backwards = Relevance.from_dict({f"q{i}": [f"c{i}"] for i in reversed(range(20))})
    scores = rng.normal(size=(20, 20))
    run = Run.from_matrix(scores, relevance.query_ids, relevance.gallery_ids)
    c = compare({"a": evaluate(run, relevance), "b": evaluate(run, backwards)}, "t2a/MRR", resamples=100)
    assert c.differences[0].value == 0 and c.differences[0].p == 1.0


def test_a_comparison_needs_two_systems_scored_alike():
    report = system(1.0)
    with pytest.raises(ConfigError, match="two systems or more"):
        compare({"only": report})
    one_way = replace(report, directions={"t2a": report.directions["t2a"]})
    assert one_way.primary_metric == "t2a/mAP@10"
    with pytest.raises(ConfigError, match="b was not scored in direction a2t"):
        compare({"a": report, "b": one_way}, "a2t/R@1")
    with pytest.raises(ConfigError, match="not scored audio-to-text"):
        one_way["a2t/R@1"]


def test_tie_rules_are_made_equal_to_the_first():
    audio, text = np.ones((5, 3)), np.ones((5, 3))
    hard, fair = (evaluate_embeddings(audio, text, np.arange(5), ties=t) for t in ("pessimistic", "expected"))
    c = compare({"hard": hard, "fair": fair}, resamples=50)
    assert [s.value for s in c.systems] == [0.0, 0.0]
