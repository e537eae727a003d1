"""`data check`: each fault is made on purpose and must be found; the published facts on the real caption files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from askaudio.checks.audio import check_audio, read_audio
from askaudio.checks.captions import OFFICIAL, alignment_checksum, caption_key, check_captions, shared_captions
from askaudio.checks.dataset import check_datasets
from askaudio.checks.findings import in_order
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.data.readers.open import open_dataset, read_dataset
from layouts import RATE_HZ, make_audiocaps, make_clotho, tone


def clip(clip_id: str, *texts: str, split="test", group="", path=None) -> Clip:
    captions = tuple(Caption(f"{clip_id}#{k}", text) for k, text in enumerate(texts))
    return Clip(clip_id, path or f"{clip_id}.wav", captions, split, group=group)


def kinds(findings) -> dict[str, int]:
    return {finding.kind: finding.count for finding in findings}


def test_a_clean_set_has_no_findings(tmp_path):
    for k, split in enumerate(("train", "val", "test")):
        soundfile.write(tmp_path / f"{split}.wav", tone(300 * (k + 1), k), RATE_HZ)
    clips = [clip(s, f"sound number {s}", split=s, path=str(tmp_path / f"{s}.wav")) for s in ("train", "val", "test")]
    report = check_datasets([Manifest("clean", tuple(clips))], audio="full")
    assert report.findings == () and report.n_errors == 0
    assert [one.summary.clips for one in report.sets] == [1, 1, 1]
    assert [round(one.audio_s, 3) for one in report.sets] == [1.0, 1.0, 1.0]


def test_caption_faults():
    clips = [
        clip("a", "A dog barks", "a dog barks. "),
        clip("b", "A  dog barks", "", "rain"),
        clip("c"),
        clip("d", "12:30", "CafÃ© music", "see https://x.org", "tab\there", "word " * 61),
    ]
    found = list(check_captions(clips, "x:test", "test"))
    assert [(f.kind, f.level, f.count) for f in found] == [
        ("no caption", "warning", 1),
        ("empty caption", "error", 1),
        ("odd caption", "warning", 1),
        ("odd caption", "warning", 1),
        ("odd caption", "warning", 1),
        ("odd caption", "warning", 1),
        ("odd caption", "warning", 1),
        ("caption repeated", "note", 1),
        ("shared caption", "note", 1),
    ]
    assert found[-1].text == "texts belong to several clips: 3 of 10 captions; a perfect R@1 is impossible"
    assert found[-1].examples == ("'a dog barks': 2 clips",)
    assert shared_captions(clips) == {"a dog barks": ({"a", "b"}, 3)}


def test_good_captions_are_not_odd():
    texts = ["Ein Café für Gäste", "雨が降る", "A dog (2 times) barks & howls", "Ça va?", "Ârea"]
    assert list(check_captions([clip("a", *texts)], "x", "test")) == []


@pytest.mark.parametrize(("left", "right"), [("A Dog  barks.", " a dog barks"), ("Rain .", "rain")])
def test_caption_key(left, right):
    assert caption_key(left) == caption_key(right)


def test_checksum_sees_a_shift_and_nothing_else(tmp_path):
    manifest = open_dataset(f"clotho:{make_clotho(tmp_path)}?split=test")
    clips = list(manifest.clips)
    assert alignment_checksum(clips) == alignment_checksum(reversed(clips))
    moved = [replace(a, captions=b.captions) for a, b in zip(clips, clips[1:] + clips[:1], strict=True)]
    assert alignment_checksum(clips) != alignment_checksum(moved)
    shifted = Manifest("copy", tuple(moved))
    found = check_datasets([manifest, shifted], audio="none").findings
    assert found[0].kind == "captions shifted" and found[0].level == "error" and found[0].count == 5
    other = Manifest("copy", tuple(replace(c, captions=(Caption("x", "else"),)) for c in clips))
    assert "captions differ" in kinds(check_datasets([manifest, other], audio="none").findings)
    assert "captions differ" not in kinds(check_datasets([manifest, manifest], audio="none").findings)


def test_audio_faults(tmp_path):
    soundfile.write(tmp_path / "good.wav", tone(440, 0), RATE_HZ)
    soundfile.write(tmp_path / "same.wav", tone(440, 0), RATE_HZ)
    soundfile.write(tmp_path / "copy.wav", tone(440, 0), RATE_HZ)
    soundfile.write(tmp_path / "short.wav", tone(440, 0, 0.05), RATE_HZ)
    soundfile.write(tmp_path / "mute.wav", np.zeros(RATE_HZ, np.float32), RATE_HZ)
    (tmp_path / "broken.wav").write_bytes(b"RIFF no audio")
    clips = [clip(p.stem, "x", path=str(p)) for p in sorted(tmp_path.iterdir())]
    clips = [replace(c, split="train") if c.clip_id == "copy" else c for c in clips]
    clips = [replace(c, duration_s=2.0) if c.clip_id == "good" else c for c in clips]
    found = list(check_audio(read_audio(clips, decoded=True), "x"))
    assert [(f.kind, f.level, f.count) for f in found] == [
        ("broken audio", "error", 1),
        ("short audio", "warning", 1),
        ("silent audio", "warning", 1),
        ("wrong duration", "warning", 1),
        ("same file in two splits", "error", 1),
    ]
    assert found[-1].examples == ("copy = good = same",)
    headers = kinds(check_audio(read_audio(clips, decoded=False), "x"))
    assert "silent audio" not in headers and headers["broken audio"] == 1
    within = [c for c in clips if c.split == "test"]
    assert kinds(check_audio(read_audio(within, decoded=False), "x"))["same file twice"] == 1


def test_faulty_rows_and_missing_audio_are_reported(tmp_path):
    make_audiocaps(tmp_path, dead=(18, 19))
    table = tmp_path / "dataset" / "train.csv"
    table.write_text(table.read_text() + "1,bad id,0,x\n2,bad id,0,x\nrest of a caption\n")
    report = check_datasets([read_dataset(f"audiocaps:{tmp_path}")])
    found = {(f.kind, f.level): (f.count, f.text) for f in report.findings}
    assert found["faulty row", "error"] == (2, "rows: youtube_id is not 11 letters")
    assert found["faulty row", "warning"] == (1, "rows: broken line")
    assert found["missing audio", "warning"] == (2, "of 24 listed clips have no audio")
    assert report.sets[2].summary.missing_clips == 2 and report.sets[2].official == "not as published"


def test_order_and_json():
    found = list(check_captions([clip("a", "", "x", "x")], "x", "test"))
    assert [f.level for f in in_order(reversed(found))] == ["error", "note"]
    report = check_datasets([Manifest("m", (clip("a", "", "x"),))], audio="none")
    value = json.loads(json.dumps(report.to_json()))
    assert value["errors"] == 1 and value["findings"][0]["kind"] == "empty caption"
    assert value["sets"][0]["pool"]["captions"] == 2


# ---- published facts, on the real caption files -------------------------------------------------------------------


@pytest.fixture(scope="session")
def captions(shared):
    return shared / "data" / "captions"


def read(captions, spec: str) -> Manifest:
    kind, _, rest = spec.partition(":")
    return read_dataset(f"{kind}:{captions / rest}", need_audio=False)


@pytest.mark.shared
def test_identical_captions_over_clips(captions):
    test = read(captions, "audiocaps:audiocaps?version=v1&split=test")
    texts = shared_captions(test)
    assert len(texts) == 71 and sum(n for _, n in texts.values()) == 229 and test.n_captions == 4_875
    assert len(texts["a woman speaking"][0]) == 11 == max(len(ids) for ids, _ in texts.values())
    clotho = read(captions, "clotho:clotho")
    assert shared_captions(clotho.split("test")) == {}
    train = shared_captions(clotho.split("train"))
    # the published 33 counts captions; they are 16 different texts
    assert sum(n for _, n in train.values()) == 33 and len(train) == 16


@pytest.mark.shared
def test_version_2_differs_from_version_1_in_a_few_texts(captions):
    first, second = (read(captions, f"audiocaps:audiocaps?version={v}&split=test") for v in ("v1", "v2"))
    assert [c.clip_id for c in first] != [] and {c.clip_id for c in first} == {c.clip_id for c in second}
    texts = {k: c.text for clip in first for k, c in zip(clip.extra["audiocap_ids"], clip.captions, strict=True)}
    changed = [
        number
        for clip in second
        for number, c in zip(clip.extra["audiocap_ids"], clip.captions, strict=True)
        if caption_key(texts[number]) != caption_key(c.text)
    ]
    assert 50 < len(changed) < 150


@pytest.mark.shared
def test_file_names_in_two_splits_of_clotho(captions):
    report = check_datasets([read(captions, "clotho:clotho")], audio="none")
    names = {f.where: (f.level, f.count) for f in report.findings if f.kind == "shared name"}
    assert names == {
        "clotho: train and val": ("warning", 1),
        "clotho: train and test": ("warning", 1),
        "clotho: val and test": ("warning", 2),
    }


@pytest.mark.shared
@pytest.mark.parametrize("spec", ["audiocaps?version=v1", "audiocaps?version=v2", "audiocaps?version=mei", "clotho"])
def test_published_checksums(captions, spec):
    kind = spec.split("?")[0]
    report = check_datasets([read(captions, f"{kind}:{spec}")], audio="none")
    assert {one.official for one in report.sets} == {"as published"}
    assert report.n_errors == 0
    assert {one.checksum for one in report.sets} <= set(OFFICIAL.values())


@pytest.mark.shared
def test_real_sounds_decode_and_say_how_long_they_are(shared):
    manifest = read_dataset(str(shared / "data" / "sounds" / "manifest.jsonl"))
    few = manifest.where(clip.clip_id.startswith("moodist") for clip in manifest)
    report = check_datasets([few], audio="headers")
    assert report.n_errors == 0 and report.sets[0].summary.clips == 89
    assert 0 < report.sets[0].shortest_s <= report.sets[0].longest_s <= 30.1
