"""`askaudio bench`: every figure is there and plausible; wrong numbers are refused."""

import json

from askaudio.cli import main
from askaudio.cli.bench import measure_search

SMALL = ["--vectors", "2000", "--dim", "32", "--repeat", "1"]


def test_bench_measures_everything(capsys):
    assert main(["bench", "--model", "toy:dim=64", *SMALL, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["machine"]["cores"] >= 1
    assert {"wav", "flac", "ogg"} <= set(facts["decoding"])
    assert all(one["x_real_time"] > 1 for name, one in facts["decoding"].items() if name in ("wav", "flac", "ogg"))
    assert facts["model"]["embed_dim"] == 64 and facts["model"]["encode_x_real_time"] > 1
    assert facts["model"]["text_query_ms"] > 0
    search = facts["search"]
    assert (search["vectors"], search["dim"]) == (2000, 32)
    assert search["exact_ms"] > 0 and search["accelerator_ms"] > 0 and search["accelerator_recall"] >= 0.95


def test_bench_for_people_and_faults(capsys):
    assert main(["bench", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "decode flac" in out and "x real time" in out and "recall" in out
    assert main(["bench", "--vectors", "3"]) == 2
    assert main(["bench", "--model", "no/such/model", *SMALL]) == 2


def test_exact_scan_agrees_with_the_accelerator_on_easy_vectors(tmp_path):
    assert measure_search(500, 64, 5, tmp_path)["accelerator_recall"] == 1.0
