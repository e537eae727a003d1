"""`askaudio data info / check / convert`: tables, JSON, files and exit codes."""

import csv
import json

import pytest
import soundfile

from askaudio.cli import main
from askaudio.data.readers.open import open_dataset
from layouts import RATE_HZ, make_audiocaps, make_clotho, texture, tone


@pytest.fixture
def audiocaps(tmp_path):
    return make_audiocaps(tmp_path / "audiocaps", dead=(18,))


def test_info(audiocaps, capsys):
    assert main(["data", "info", f"audiocaps:{audiocaps}"]) == 0
    out = capsys.readouterr().out
    assert "audiocaps (v1): 23 clips, 67 captions; 1 of 24 listed clips missing (5 captions)" in out
    assert "audiocaps:test (v1): 5 clips, 25 captions; 1 of 6 listed clips missing (5 captions)" in out
    assert main(["data", "info", f"audiocaps:{audiocaps}", "--captions-only", "--json", "--clips", "1"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["pool"]["clips"] == 24 and len(facts["clips"]) == 1 and facts["licence"].startswith("captions MIT")


def test_check_finds_no_error_and_says_what_it_saw(audiocaps, capsys, tmp_path):
    out = tmp_path / "report.json"
    assert main(["data", "check", f"audiocaps:{audiocaps}", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "warning audiocaps: 1 of 24 listed clips have no audio" in text
    assert "0 errors" in text
    report = json.loads(out.read_text())
    assert report["errors"] == 0 and {one["pool"]["name"] for one in report["sets"]} >= {"audiocaps:test"}


def test_check_exits_1_on_errors(audiocaps, capsys):
    (audiocaps / "audio" / "test" / "broken.wav").write_bytes(b"not listed: not read")
    victim = next((audiocaps / "audio" / "test").glob("-id*.wav"))
    victim.write_bytes(b"RIFF")
    assert main(["data", "check", f"audiocaps:{audiocaps}", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [f["kind"] for f in report["findings"] if f["level"] == "error"] == ["broken audio"]
    assert report["findings"][0]["count"] == 1


def test_check_of_two_sets_with_sound(tmp_path, capsys):
    clotho = make_clotho(tmp_path / "clotho", train=2, val=1, test=1)
    sample = next((clotho / "clotho_audio_files" / "evaluation").glob("*.wav"))
    samples, rate = soundfile.read(sample)
    (tmp_path / "mine").mkdir()
    soundfile.write(tmp_path / "mine" / "my own recording.flac", 0.5 * samples, rate)
    soundfile.write(tmp_path / "mine" / "another.flac", tone(300, 99), RATE_HZ)
    specs = [str(tmp_path / "mine"), f"clotho:{clotho}"]
    arguments = ["data", "check", *specs, "--audio", "full", "--cache", str(tmp_path / "cache"), "--json"]
    assert main(arguments) == 0  # a folder without splits may train on nothing of it: a warning
    report = json.loads(capsys.readouterr().out)
    shared = [f for f in report["findings"] if f["kind"] == "shared sound"]
    assert [(f["level"], f["where"], f["count"]) for f in shared] == [("warning", "mine / clotho: all and test", 1)]
    assert list((tmp_path / "cache").rglob("*.safetensors"))


def test_convert_with_a_filter(tmp_path, capsys):
    clotho = make_clotho(tmp_path / "clotho")
    lines = [
        {"path": f"clotho/clotho_audio_files/evaluation/ deep buzz {n}.wav", "caption": "x", "group": f"freesound:{g}"}
        for n, g in ((19, 7019), (23, 1))
    ]
    lines[1]["path"] = "clotho/clotho_audio_files/development/ low hum 0.wav"
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "train.jsonl"
    filters = ["--without", f"no_clotho_test=clotho:{clotho}"]
    assert main(["data", "convert", str(tmp_path / "mine.jsonl"), str(out), *filters]) == 0
    text = capsys.readouterr().out
    assert "1 clips taken out (1 by recording, 0 by name, 0 by sound)" in text
    assert [clip.group for clip in open_dataset(str(out))] == ["freesound:1"]


def test_convert_deals_out_splits(audiocaps, tmp_path, capsys):
    out = tmp_path / "m.jsonl"
    assert main(["data", "convert", f"audiocaps:{audiocaps}", str(out), "--split-by-group", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pool"]["clips"] == 23
    manifest = open_dataset(str(out))
    assert [len(manifest.split(s)) for s in ("train", "val", "test")] == [16, 2, 5]


def test_convert_deals_out_by_sound(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # fingerprints are kept below it
    (tmp_path / "in").mkdir()
    for k in range(8):  # four sounds, each twice
        soundfile.write(tmp_path / "in" / f"sound {'ab'[k % 2]}{k}.wav", texture(k // 2, 1.0), RATE_HZ)
    out = tmp_path / "m.jsonl"
    assert main(["data", "convert", str(tmp_path / "in"), str(out), "--split-by-group", "--by-sound", "--json"]) == 0
    capsys.readouterr()
    splits = {clip.clip_id[-1]: clip.split for clip in open_dataset(str(out))}
    assert all(splits[str(k)] == splits[str(k + 1)] for k in range(0, 8, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nowhere"], "does not exist"),
        (["check", "clotho:/nowhere"], "no Clotho captions under /nowhere"),
        (["convert", ".", "x.csv"], "must end in .jsonl"),
        (["convert", ".", "x.jsonl", "--without", "no_esc50=x"], "expected NAME=DATASET with a name of no_clotho"),
    ],
)
def test_wrong_input_is_exit_code_2(arguments, message, capsys):
    assert main(["data", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_near_misses_as_table_manifest_and_json(tmp_path, capsys):
    data, table, out = tmp_path / "set.csv", tmp_path / "near.csv", tmp_path / "near.jsonl"
    data.write_text("file,caption\na.wav,a dog barks then a bell rings\nb.wav,rain falls\nc.wav,two horns\n")
    assert main(["data", "near-misses", str(data), "--csv", str(table), "--out", str(out), "-n", "1"]) == 0
    text = capsys.readouterr().out
    assert "3 captions, 3 with a near miss that is certainly wrong" in text
    assert "order     a bell rings then a dog barks\n" in text and "rain falls" not in text
    rows = list(csv.DictReader(table.open(newline="")))
    assert {row["kind"] for row in rows} == {"order", "count", "negation", "label"}
    assert {row["may_be_true"] for row in rows} <= {"true", "false"}
    kept = [json.loads(line)["near_misses"] for line in out.read_text().splitlines()]
    assert ["order", "a bell rings then a dog barks"] in kept[0][0]
    assert [kind for kind, _ in kept[2][0]] == ["count", "negation"]
    assert main(["data", "near-misses", str(data), "--kinds", "order", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kinds"] == {"order": {"n": 1, "sure": 1}} and facts["captions"] == 3


def test_help_of_every_verb(capsys):
    for verb in ("scenes", "info", "check", "convert"):
        with pytest.raises(SystemExit) as stop:
            main(["data", verb, "--help"])
        assert stop.value.code == 0
        assert f"askaudio data {verb}" in capsys.readouterr().out
