"""`askaudio data suspects`: exchanged captions are found at the top; JSON, CSV, and taking them out."""

import csv
import json

import numpy as np
import pytest
import soundfile

from askaudio.cli import main

RATE_HZ = 32_000


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """160 short chords of two tones with captions that name them; 32 captions went to another chord."""
    folder = tmp_path_factory.mktemp("chords")
    rng = np.random.default_rng(0)
    tones_hz = np.geomspace(200, 9000, 12).round()
    pairs = [tuple(sorted(rng.choice(12, 2, replace=False))) for _ in range(160)]
    time_s = np.arange(RATE_HZ // 8) / RATE_HZ
    texts = []
    for i, pair in enumerate(pairs):
        sound = sum(0.2 * np.sin(2 * np.pi * tones_hz[k] * time_s + rng.uniform(0, 6)) for k in pair)
        soundfile.write(folder / f"{i:03d}.wav", sound + 0.003 * rng.standard_normal(len(time_s)), RATE_HZ)
        texts.append(" and ".join(f"{tones_hz[k]:.0f} hz" for k in pair))
    moved = rng.choice(160, 32, replace=False)
    captions = list(texts)
    for at, take in zip(moved, np.roll(moved, 1), strict=True):
        captions[at] = texts[take]
    wrong = {f"{i:03d}" for i in range(160) if captions[i] != texts[i]}
    with (folder / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "caption"), *((f"{i:03d}.wav", c) for i, c in enumerate(captions))])
    return folder, wrong


def test_exchanged_captions_stand_at_the_top(exchanged, tmp_path, capsys):
    folder, wrong = exchanged
    options = ["--model", "toy", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "bad.csv")]
    assert main(["data", "suspects", str(folder / "captions.csv"), *options, "-n", "12", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["pairs"], facts["clips"]) == (160, 160) and 0.08 < facts["share"] < 0.3
    top = [one["clip_id"] for one in facts["suspects"]]
    assert len(top) == 12 and len(wrong.intersection(top)) >= 11  # precision at the top
    posteriors = [one["posterior"] for one in facts["suspects"]]
    assert posteriors == sorted(posteriors) and posteriors[-1] < 0.5
    doubted = {row["clip_id"] for row in csv.DictReader((tmp_path / "bad.csv").open())}
    assert len(wrong & doubted) > 0.7 * len(wrong) and len(doubted - wrong) < 0.1 * 128
    rows = list(csv.DictReader((tmp_path / "bad.csv").open()))
    assert len(rows) == facts["doubted"] and rows[0]["clip_id"] == top[0]
    assert [row["suggested"] for row in rows[:12]] == [one["suggested"] for one in facts["suspects"]]
    assert main(["data", "suspects", str(folder / "captions.csv"), *options]) == 0  # from the cache
    out = capsys.readouterr().out
    assert "160 pairs of 160 clips; features: model toy" in out and "estimated share of unreliable pairs" in out
    clean = tmp_path / "clean.jsonl"
    drop = f"ids={tmp_path / 'bad.csv'}"
    assert main(["data", "convert", str(folder / "captions.csv"), str(clean), "--without", drop]) == 0
    assert len(clean.read_text().splitlines()) == 160 - len(rows)


def test_faults_are_named(exchanged, tmp_path, capsys):
    folder, _ = exchanged
    data = str(folder / "captions.csv")
    assert main(["data", "suspects", data]) == 2
    assert "--tower" in capsys.readouterr().err
    assert main(["data", "suspects", data, "--tower", "no.onnx", "--model", "toy"]) == 2
    assert main(["data", "suspects", data, "--model", "toy", "--below", "2"]) == 2
    few = tmp_path / "few.csv"
    few.write_text(f"path,caption\n{folder / '000.wav'},one\n{folder / '001.wav'},two\n")
    capsys.readouterr()
    assert main(["data", "suspects", str(few), "--model", "toy", "--cache", str(tmp_path / "cache")]) == 2
    assert "at least 64 pairs" in capsys.readouterr().err


def test_phrases_that_the_sound_does_not_support(exchanged, tmp_path, capsys):
    folder, wrong = exchanged
    options = ["--model", "toy", "--cache", str(tmp_path / "cache"), "--phrases"]
    out = tmp_path / "phrases.csv"
    data = str(folder / "captions.csv")
    assert main(["data", "suspects", data, *options, "-n", "20", "--out", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["phrases"], facts["clips"]) == (320, 160)
    top = [one["clip_id"] for one in facts["suspects"]]
    assert sum(clip in wrong for clip in top) >= 16
    for one in facts["suspects"]:
        assert one["caption"][one["start"] : one["stop"]] == one["phrase"]
        assert one["suggested"].endswith(" hz") and one["suggested"] not in one["caption"]
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == facts["doubted"] and rows[0]["phrase"] == facts["suspects"][0]["phrase"]
    assert main(["data", "suspects", data, *options, "-n", "1"]) == 0
    text = capsys.readouterr().out
    first = facts["suspects"][0]
    assert f"[{first['phrase']}]" in text and f"-> {first['suggested']}" in text
