"""askaudio demo --quick: every step runs, results are whole, and a second run goes on from what is there."""

import json
import subprocess
import sys

import pytest

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


WITHOUT_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "onnx", "lightning", "scipy", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Block())
from askaudio.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_light(*argv, cwd):
    command = [sys.executable, "-c", WITHOUT_TORCH, *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_demo_searches_without_the_extra_and_says_how_to_install_it(tmp_path):
    done = run_light("demo", "--quick", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 added" in done.stdout and "Traceback" not in done.stderr
    assert all(f"askaudio search '{query}'" in done.stdout for query in QUERIES)
    assert "pip install 'askaudio[train]'" in done.stdout
    assert "askaudio serve --collection demo/collection-small --open" in done.stdout
    assert "R@10" not in done.stdout
    found = run_light("search", "a dog is barking", "--collection", "demo/collection-small", "--json", cwd=tmp_path)
    assert len(json.loads(found.stdout)) == 10


@pytest.mark.parametrize(
    "argv",
    [
        ("train", "demo", "data.manifest=x.csv"),
        ("train", "--init", "small", "x.csv"),
        ("diagnose", "x.csv", "--model", "small"),
        ("export", "x"),
        ("export", "x", "y"),
    ],
)
def test_commands_that_need_torch_end_with_the_pip_line(argv, tmp_path):
    (tmp_path / "x.csv").write_text("path,caption\na.wav,rain\n")
    done = run_light(*argv, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "pip install 'askaudio[train]'" in done.stderr or argv == ("export", "x")


def test_doctor_agrees(tmp_path):
    done = run_light("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["extra train"]["state"] == "note"
    assert "askaudio[train]" in findings["extra train"]["fix"]
