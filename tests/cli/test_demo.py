"""askaudio demo --quick: every step runs, results are whole, and a second run goes on from what is there."""

import json

from askaudio.cli import main
from askaudio.cli.demo import QUERIES


def test_quick_demo_from_nothing_and_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--quick", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["library"]["clips"] == 68 and first["library"]["captions"] == 5 * 68
    assert first["library"]["kinds"] >= 30
    assert first["train"]["epochs"] == 2
    assert first["evaluate"]["counts"]["clips"] == 12 and first["index"]["added"] == 12
    for query in QUERIES:
        assert 0 < len(first[query]) <= 3
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "demo" / "library").rglob("*.flac")}
    assert len(made) == 68

    assert main(["demo", "--quick"]) == 0
    out = capsys.readouterr().out
    assert "$ askaudio train demo" in out and "--resume" in out and "0 added" in out
    assert "R@10" in out and "askaudio serve --collection demo/collection" in out
    assert made == {p: p.stat().st_mtime_ns for p in (tmp_path / "demo" / "library").rglob("*.flac")}
