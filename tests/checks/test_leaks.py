"""Shared recordings between splits and corpora, and the filters that remove them."""

import pytest
import soundfile

from askaudio.checks.dataset import check_datasets
from askaudio.checks.leaks import (
    LEAK_FILTERS,
    level_of,
    reference_of,
    shared_recordings,
    without_listed,
    without_recordings_of,
)
from askaudio.core.errors import DataError
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.readers.open import open_dataset
from layouts import RATE_HZ, make_audiocaps, make_clotho, texture, youtube_id


def clip(clip_id: str, group: str = "", split=None, path: str | None = None) -> Clip:
    return Clip(clip_id, path or f"{clip_id}.wav", (), split, group=group)


def test_pairs_by_recording_and_by_long_name():
    first = [clip("a", "freesound:1"), clip("b", path="x/Heavy rain on roof.wav"), clip("c", path="x/rain.wav")]
    second = [
        clip("d", "freesound:1", path="y/a.wav"),
        clip("e", path="y/Heavy rain on roof.flac"),
        clip("f", path="y/heavy rain on roof.flac"),
        clip("g", path="y/rain.wav"),  # too short a name to mean anything
        clip("h", "drums"),  # a group without a corpus is no recording id
    ]
    assert [(p.first.clip_id, p.second.clip_id, p.reason) for p in shared_recordings(first, second)] == [
        ("a", "d", "recording"),
        ("b", "e", "name"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "reason", "level"),
    [
        ("train", "test", "recording", "error"),
        ("train", "val", "sound", "error"),
        ("train", "test", "name", "warning"),
        (None, "test", "recording", "warning"),
        ("train", "train", "recording", "note"),
        ("train", None, "recording", "note"),
    ],
)
def test_levels(first, second, reason, level):
    assert level_of(first, second, reason) == level == level_of(second, first, reason)


def test_a_recording_in_two_splits_is_an_error(tmp_path):
    manifest = open_dataset(f"clotho:{make_clotho(tmp_path)}")
    clips = list(manifest.clips)
    leaky = Manifest("leaky", (*clips, Clip("extra", clips[0].path, clips[0].captions, "test", group=clips[0].group)))
    errors = [f for f in check_datasets([leaky], audio="none").findings if f.level == "error"]
    assert [(f.kind, f.where, f.count) for f in errors] == [("shared recording", "leaky: train and test", 1)]
    assert "development/low hum 0.wav = extra" in errors[0].examples[0]
    assert not [f for f in check_datasets([manifest], audio="none").findings if f.level == "error"]


def test_training_data_that_holds_the_test_set_of_another_corpus(tmp_path):
    clotho = open_dataset(f"clotho:{make_clotho(tmp_path)}")
    mine = Manifest("mine", tuple(clip(f"m{n}", f"freesound:{n}", "train") for n in (7000, 7018, 9999)))
    found = {
        f.where: (f.level, f.count) for f in check_datasets([mine, clotho], audio="none").findings if "rec" in f.kind
    }
    assert found == {"mine / clotho: train": ("note", 1), "mine / clotho: train and test": ("error", 1)}
    left = without_recordings_of(mine, reference_of("no_clotho_test", clotho))
    assert [c.clip_id for c in left.manifest] == ["m7000", "m9999"]
    assert left.dropped == {"recording": 1, "name": 0, "sound": 0}
    assert len(without_recordings_of(mine, reference_of("no_clotho", clotho)).manifest) == 1


def test_missing_clips_of_the_reference_count_too(tmp_path):
    make_audiocaps(tmp_path, dead=(20,))
    corpus = open_dataset(f"audiocaps:{tmp_path}")
    mine = Manifest("mine", (clip("x", f"youtube:{youtube_id(20)}"), clip("y", "youtube:other")))
    left = without_recordings_of(mine, reference_of("no_audiocaps_test", corpus))
    assert [c.clip_id for c in left.manifest] == ["y"]


def test_by_sound(tmp_path):
    for name, seed in (("mine", 5), ("other", 6)):
        soundfile.write(tmp_path / f"{name}.wav", texture(seed, 4.0), RATE_HZ)
    # the same sound: a part of it, quieter, as mp3
    soundfile.write(tmp_path / "theirs.mp3", 0.2 * texture(5, 4.0)[RATE_HZ // 2 :], RATE_HZ)
    train = Manifest("train", tuple(clip(n, split="train", path=str(tmp_path / f"{n}.wav")) for n in ("mine", "other")))
    test = Manifest("test", (clip("theirs", split="test", path=str(tmp_path / "theirs.mp3")),))
    assert len(without_recordings_of(train, test).manifest) == 2
    left = without_recordings_of(train, test, by_sound=True, cache=tmp_path / "cache")
    assert [c.clip_id for c in left.manifest] == ["other"] and left.dropped["sound"] == 1
    found = [f for f in check_datasets([train, test], audio="full").findings if f.kind == "shared sound"]
    assert [(f.level, f.where, f.count) for f in found] == [("error", "train / test: train and test", 1)]


def test_lists_and_unknown_filters(tmp_path):
    clotho = open_dataset(f"clotho:{make_clotho(tmp_path)}")
    (tmp_path / "black.json").write_text('{"FreeSound": ["7000", "7001"], "AudioSet": ["Yabc.wav"]}')
    left = without_listed(clotho, tmp_path / "black.json")
    assert len(left.manifest) == len(clotho) - 2 and left.dropped["name"] == 2
    with pytest.raises(DataError, match="no leak filter 'no_esc50'; expected one of no_clotho"):
        reference_of("no_esc50", clotho)
    with pytest.raises(DataError, match="the filter no_audiocaps needs audiocaps, got clotho"):
        reference_of("no_audiocaps", clotho)
    assert all(name.startswith(f"no_{corpus}") for name, (corpus, _) in LEAK_FILTERS.items())
