"""The main job with the toy encoder: a folder is indexed, searched by words and by a sound, and scored."""

import json

import numpy as np
import pytest
import soundfile

from askaudio.cli import main

RATE = 16000


@pytest.fixture
def library(tmp_path):
    """Four kinds of sound at different places of the frequency axis, with captions that the toy encoder knows."""
    folder = tmp_path / "library"
    folder.mkdir()
    rng = np.random.default_rng(0)
    t = np.arange(RATE) / RATE
    sounds = {
        "a deep rumble": 0.3 * np.sin(2 * np.pi * 70 * t),
        "a horn": 0.3 * np.sin(2 * np.pi * 400 * t),
        "a bright whistle": 0.3 * np.sin(2 * np.pi * 3200 * t),
        "rain": 0.1 * rng.standard_normal(RATE),
    }
    rows = []
    for k, (caption, samples) in enumerate(sounds.items()):
        soundfile.write(folder / f"{k}.flac", samples, RATE)
        rows.append({"clip_id": f"s{k}", "path": f"{k}.flac", "captions": [caption], "split": "test"})
    (folder / "broken.wav").write_bytes(b"no sound")
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_index_search_evaluate(library, tmp_path, capsys):
    collection = str(tmp_path / "collection")

    def call(*arguments):
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    code, told = call("index", str(library), "--collection", collection, "--model", "toy", "--workers", "1")
    assert code == 1 and told["added"] == 4 and len(told["broken"]) == 1  # 1: a file could not be read

    for text, expected in {"deep rumble": "0.flac", "horn": "1.flac", "whistle": "2.flac", "rain": "3.flac"}.items():
        code, hits = call("search", text, "--collection", collection, "--vectors-only")
        best = hits[0]
        assert code == 0 and best["path"].endswith(expected), (text, best)
        assert best["start_s"] == 0 and best["end_s"] == pytest.approx(1.0, abs=0.01)

    code, hits = call("search", "--audio", str(library / "2.flac"), "--collection", collection)
    best = hits[0]
    assert best["path"].endswith("2.flac") and best["score"] == pytest.approx(1.0, abs=1e-3)

    code, again = call("index", str(library), "--collection", collection)
    assert again["added"] == 0 and again["unchanged"] == 4

    code, report = call("evaluate", "--model", "toy", "--data", str(library / "manifest.jsonl"))
    assert code == 0 and report["counts"] == {"clips": 4, "captions": 4, "missing_clips": 0}
    assert report["metrics"]["t2a/R@1"]["value"] == report["metrics"]["a2t/R@1"]["value"] == 1.0
