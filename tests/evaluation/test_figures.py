"""Figures are drawn, are the same each time and need matplotlib only when drawn."""

import subprocess
import sys

import numpy as np
import pytest

from askaudio.core.errors import ConfigError
from askaudio.evaluation.compare import compare
from askaudio.evaluation.evaluate import evaluate_embeddings
from askaudio.evaluation.long_tail import Rarity, by_bucket

pytest.importorskip("matplotlib")
from askaudio.evaluation import figures


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    audio = rng.normal(size=(30, 8))
    return evaluate_embeddings(audio, audio + rng.normal(size=(30, 8)), np.arange(30), name="system")


def draw(kind, report, path):
    if kind == "recall":
        figures.recall_figure([report, report], path)
    elif kind == "ranks":
        figures.rank_figure(report, path)
    elif kind == "buckets":
        figures.bucket_figure(by_bucket(report, Rarity(("w",) * 30, np.arange(30))), path)
    elif kind == "comparison":
        figures.comparison_figure(compare({"a": report, "b": report}, resamples=50), path)
    else:
        figures.worst_queries_figure([("a dog", "x", "y")], lambda clip: np.ones((8, 5), dtype=np.float32), path)


@pytest.mark.parametrize("kind", ["recall", "ranks", "buckets", "comparison", "worst"])
def test_a_figure_is_drawn(tmp_path, report, kind):
    draw(kind, report, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_numbers_give_the_same_file(tmp_path, report):
    for suffix in ("png", "pdf"):
        draw("worst", report, tmp_path / f"one.{suffix}")
        draw("worst", report, tmp_path / f"two.{suffix}")
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_vector_formats_and_a_wrong_one(tmp_path, report):
    draw("worst", report, tmp_path / "f.svg")
    assert "<svg" in (tmp_path / "f.svg").read_text()
    with pytest.raises(ConfigError, match=r"must end in one of .png, .svg, .pdf"):
        figures.rank_figure(report, tmp_path / "f.doc")


def test_the_worst_queries_come_first(report):
    worst = figures.worst_queries(report, 5)
    first = report.directions["t2a"].ranks.first()
    assert [rank for _, rank in worst] == sorted(first, reverse=True)[:5]


def test_evaluation_needs_neither_torch_nor_matplotlib():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['matplotlib'] = None\n"
        "import numpy as np\n"
        "from askaudio.evaluation import figures\n"
        "from askaudio.evaluation.evaluate import evaluate_embeddings\n"
        "report = evaluate_embeddings(np.eye(3), np.eye(3), [0, 1, 2])\n"
        "assert report['t2a/R@1'] == 1.0\n"
        "try: figures.rank_figure(report, 'x.png')\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'askaudio[figures]'" in done.stdout
