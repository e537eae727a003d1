"""Splits that keep one sound together, whatever its clips are called."""

import soundfile

from askaudio.checks.sound_groups import joined, split_by_sound
from askaudio.data.manifest import Clip, Manifest, split_by_group
from layouts import RATE_HZ, texture


def test_joined_follows_chains():
    pairs = [("c", "b"), ("e", "d"), ("b", "a"), ("f", "f")]
    assert joined("abcdef", pairs) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d", "f": "f"}


def test_one_sound_under_many_names_lies_in_one_split(tmp_path):
    clips = []
    for k in range(18):  # six sounds, each under three names and in two formats
        name = f"{k}.wav" if k % 2 else f"{k}.mp3"
        soundfile.write(tmp_path / name, (0.2 + 0.1 * (k % 3)) * texture(k // 3, 1.5), RATE_HZ)
        clips.append(Clip(str(k), str(tmp_path / name), group="freesound:1" if k in (0, 17) else ""))
    manifest = Manifest("m", tuple(clips))
    shares = {"train": 0.5, "val": 0.2, "test": 0.3}
    dealt = split_by_sound(manifest, shares, cache=tmp_path / "cache")
    splits = [clip.split for clip in dealt]
    assert all(len(set(splits[k : k + 3])) == 1 for k in range(0, 18, 3))
    assert splits[0] == splits[17]  # the recording id still counts
    assert set(splits) == {"train", "val", "test"}
    assert [clip.group for clip in dealt] == [clip.group for clip in manifest]
    by_name = [clip.split for clip in split_by_group(manifest, shares)]
    assert any(len(set(by_name[k : k + 3])) > 1 for k in range(0, 18, 3))
