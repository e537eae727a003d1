"""Broken sounds are counted, all of them, before anything is computed; on request they are left out with a count."""

import json
import os

import numpy as np
import pytest
import soundfile

from askaudio.cli import main
from askaudio.config.load import load_recipe
from askaudio.core.errors import DataError
from askaudio.pipeline import inputs as inputs_module
from askaudio.pipeline import readable as readable_module
from askaudio.pipeline.clips import read_clips
from askaudio.pipeline.inputs import read_inputs

RATE = 8000


@pytest.fixture
def library(tmp_path):
    """30 captioned tones; number 3 is empty, 9 is no audio, 11 is cut in the middle, 14 has no samples."""
    folder = tmp_path / "library"
    folder.mkdir()
    for k in range(30):
        samples = 0.3 * np.sin(2 * np.pi * (200 + 30 * k) * np.arange(RATE // 2) / RATE)
        soundfile.write(folder / f"s{k:02d}.flac", samples, RATE)
        (folder / f"s{k:02d}.txt").write_text(f"a tone number {k}\n")
    (folder / "s03.flac").write_bytes(b"")
    (folder / "s09.flac").write_bytes(b"fLaC rubbish")
    whole = (folder / "s11.flac").read_bytes()
    (folder / "s11.flac").write_bytes(whole[: len(whole) // 2])
    soundfile.write(folder / "s14.flac", np.zeros(0), RATE)
    return folder


BROKEN = ["s03", "s09", "s11", "s14"]


def options(library, *more):
    return [
        f"data.manifest={library}", f"data.cache={library.parent / 'cache'}", "data.split=group",
        "model.sample_rate_hz=8000", "model.n_mels=32", "model.window_s=1", "model.embed_dim=16", "model.hidden_dim=16",
        "train.epochs=1", "train.batch_size=6", "train.device=cpu", *more,
    ]  # fmt: skip


def test_all_broken_sounds_are_counted_before_the_first_feature(library, monkeypatch):
    def refuse(*_):
        raise AssertionError("a feature was computed")

    monkeypatch.setattr(inputs_module, "read_windows", refuse)
    with pytest.raises(DataError) as caught:
        read_inputs(load_recipe("demo", options(library)))
    text = str(caught.value)
    assert text.startswith("4 of 30 sounds cannot be read: ")
    assert [name for name in BROKEN if f"{library / name}.flac: " in text] == BROKEN
    assert "data.skip_broken=true" in text and f"askaudio data check '{library}' --audio full" in text


def test_many_broken_sounds_are_named_in_part(library):
    for k in range(20, 30):
        (library / f"s{k}.flac").write_bytes(b"")
    with pytest.raises(DataError, match=r"^14 of 30 sounds cannot be read: .*s20\.flac: [^;]*; and 9 more\. Leave"):
        read_inputs(load_recipe("demo", options(library)))


def test_skipped_sounds_are_counted_and_the_splits_of_the_others_stay(library):
    recipe = load_recipe("demo", options(library, "data.skip_broken=true"))
    found = read_inputs(recipe)
    assert len(found.manifest) == len(found.audio) == 26
    assert sorted(clip.clip_id for clip in found.manifest.broken) == BROKEN
    assert str(found.manifest.summary) == "library: 26 clips, 26 captions; 4 broken"
    assert found.manifest.summary.to_json()["broken_clips"] == 4
    before = {clip.clip_id: clip.split for clip in read_clips(recipe.data)}
    assert all(clip.split == before[clip.clip_id] for clip in found.manifest)
    parts = [found.manifest.split(split) for split in ("train", "val", "test")]
    assert sum(part.summary.broken_clips for part in parts) == 4


def test_sounds_that_were_read_once_are_not_checked_again(library, monkeypatch):
    checked = []
    plain = readable_module.read_windows

    def counted(path, *args):
        checked.append(os.path.basename(path)[:3])
        return plain(path, *args)

    monkeypatch.setattr(readable_module, "read_windows", counted)
    with pytest.raises(DataError):
        read_inputs(load_recipe("demo", options(library)))
    assert len(checked) == 30
    checked.clear()
    soundfile.write(library / "s03.flac", np.full(RATE, 0.1), RATE)  # repaired
    read_inputs(load_recipe("demo", options(library, "data.skip_broken=true")))
    assert sorted(checked) == BROKEN
    checked.clear()
    read_inputs(load_recipe("demo", options(library, "data.skip_broken=true", "model.n_mels=64")))
    assert sorted(checked) == BROKEN[1:]


def test_no_readable_sound_is_an_error_also_when_broken_ones_are_skipped(library):
    for path in library.glob("*.flac"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"^30 of 30 sounds cannot be read"):
        read_inputs(load_recipe("demo", options(library, "data.skip_broken=true")))


def test_the_command_counts_them(library, tmp_path, capsys):
    run = ["train", "demo", "--no-export", "--out", str(tmp_path / "run")]
    assert main([*run, *options(library)]) == 2
    assert "4 of 30 sounds cannot be read" in capsys.readouterr().err
    assert main([*run, *options(library, "data.skip_broken=true")]) == 0
    assert capsys.readouterr().out.startswith("library: 26 clips, 26 captions; 4 broken\n")
    run[-1] += "2"
    assert main([*run, *options(library, "data.skip_broken=true"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pool"]["broken_clips"] == 4
