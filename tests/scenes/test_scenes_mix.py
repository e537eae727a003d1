"""Scenes: drawing, placing, captions, splits without shared recordings, files that resume, the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.cli.data import scenes as data_scenes
from askaudio.core.errors import ConfigError, DataError
from askaudio.data.manifest import Clip, Manifest, read_manifest
from askaudio.scenes import write as write_module
from askaudio.scenes.event import events_of
from askaudio.scenes.library import recorded_scenes, synthesised_scenes, wordings_of
from askaudio.scenes.phrases import read_phrases, sort_recordings
from askaudio.scenes.recorded import RecordedSource, deal_groups, drop_sources
from askaudio.scenes.same_audio import content_key
from askaudio.scenes.write import write_scenes
from mixed_scenes import RATE, mixed


def test_scene_depends_on_seed_part_and_index_alone(recordings, phrases):
    few, many = mixed(recordings, phrases, {"train": 3}), mixed(recordings, phrases, {"train": 9, "test": 2})
    for a, b in zip(few, many.render(workers=2), strict=False):
        assert a.clip == b.clip
        assert np.array_equal(a.samples, b.samples)
    other = mixed(recordings, phrases, {"train": 3}, seed=2)
    assert [s.clip.captions for s in other] != [s.clip.captions for s in few]
    assert many.scene("test", 1).clip.captions != many.scene("train", 1).clip.captions


def test_scenes_fit_their_truth(recordings, phrases):
    relations = set()
    for scene in mixed(recordings, phrases):
        assert scene.samples.shape == (6 * RATE,) and scene.samples.dtype == np.float32
        assert np.isfinite(scene.samples).all() and 0.005 < np.abs(scene.samples).max() <= 0.9
        events, relation = events_of(scene.clip)
        assert (events, relation) == (scene.events, scene.relation)
        starts, ends = np.array([e.start_s for e in events]), np.array([e.end_s for e in events])
        assert (starts >= 0).all() and (ends <= 6.0).all() and (ends > starts).all()
        if relation == "sequence":
            assert (starts[1:] > ends[:-1] + 0.1).all()
        elif relation != "single":
            assert starts.max() < ends.min()  # one moment at which all of them sound
        if relation == "background":
            assert all(e.gain_db < events[0].gain_db for e in events[1:])
        silent = np.ones(6 * RATE, dtype=bool)
        for e in events:
            silent[max(0, int(e.start_s * RATE) - 16) : int(e.end_s * RATE) + 16] = False  # times are in whole ms
        assert not scene.samples[silent].any()
        relations.add(relation)
        assert len(scene.clip.captions) == 5 == len({c.text for c in scene.clip.captions})
    assert relations == {"single", "sequence", "together", "background"}


def test_parts_share_no_group_and_rare_classes_are_left_out(recordings, phrases):
    scenes = mixed(recordings, phrases, {"train": 40, "val": 20, "test": 30, "external": 20}, external_share=0.34)
    assert set(scenes.source.labels) == {"tone", "noise", "click"}
    group_of = {c.clip_id: c.group for c in recordings}
    used = {}
    for scene in scenes:
        part = scene.clip.clip_id.split("-")[0]
        used.setdefault(part, set()).update(group_of[e.recording] for e in scene.events)
    assert all(used[p] for p in ("train", "val", "test", "external"))
    assert not any(used[a] & used[b] for a in used for b in used if a < b)


def test_every_class_of_three_groups_reaches_every_split():
    groups_of = {f"class{k}": {f"g{k}-{j}" for j in range(3 + k)} for k in range(8)}
    groups_of["shared"] = {"g1-0", "g2-0", "own-0", "own-1", "own-2"}
    part_of = deal_groups(groups_of, 0.3, seed=5)
    for groups in groups_of.values():
        assert {"train", "val", "test"} <= {part_of[g] for g in groups}
    assert part_of == deal_groups(dict(reversed(groups_of.items())), 0.3, seed=5)
    assert part_of != deal_groups(groups_of, 0.3, seed=6)


def test_copies_of_one_recording_become_one_group(recordings, phrases, tmp_path):
    clips = [c for c in recordings if c.label == "tone"]
    (tmp_path / "copy.wav").write_bytes((tmp_path / "tone-0.wav").read_bytes())
    copy = Clip("copy", str(tmp_path / "copy.wav"), clips[0].captions, group="another", label="tone")
    assert content_key(copy.path) == content_key(clips[0].path) != content_key(clips[1].path)
    source = RecordedSource(Manifest("m", (*recordings.clips, copy)), read_phrases(phrases))
    assert source.group_of["copy"] == source.group_of["tone-0"] == source.group_of["tone-1"]


def test_ogg_copies_differ_in_serial_number_only(tmp_path):
    x = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    path = tmp_path / "a.ogg"
    soundfile.write(path, x, RATE, format="OGG", subtype="VORBIS")
    data = bytearray(path.read_bytes())
    position = 0
    while (position := data.find(b"OggS", position)) >= 0:
        data[position + 14 : position + 18] = b"\x01\x02\x03\x04"
        position += 4
    (tmp_path / "b.ogg").write_bytes(bytes(data))
    soundfile.write(tmp_path / "c.ogg", x * 0.5, RATE, format="OGG", subtype="VORBIS")
    assert content_key(path) == content_key(tmp_path / "b.ogg") != content_key(tmp_path / "c.ogg")


def test_zipf_makes_a_tail(recordings):
    def share(zipf):
        scenes = synthesised_scenes({"train": 1}, zipf=zipf)
        from askaudio.scenes.compose import label_weights

        weights = label_weights(len(scenes.source.labels), zipf)
        assert weights.sum() == pytest.approx(1)
        return weights[:5].sum()

    assert share(0.0) < share(0.8) < share(1.5)


def test_excluded_sources_are_not_used(recordings):
    left = drop_sources(recordings, ["by-nc", "noise"])
    assert all(c.licence == "CC0" for c in left)
    assert len(drop_sources(recordings, ["tone-"])) == len(recordings) - 12


def test_writing_resumes_and_equals_one_go(recordings, phrases, tmp_path, monkeypatch):
    monkeypatch.setattr(write_module, "BATCH", 4)
    scenes = mixed(recordings, phrases, {"train": 10, "test": 3})
    whole = write_scenes(scenes, tmp_path / "whole")
    calls = []
    real = write_module._BatchWriter._write

    def failing(self, part, index):
        if len(calls) == 6:
            raise KeyboardInterrupt
        calls.append(index)
        return real(self, part, index)

    monkeypatch.setattr(write_module._BatchWriter, "_write", failing)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(scenes, tmp_path / "broken")
    assert not (tmp_path / "broken" / "manifest.jsonl").exists()
    seen = []
    monkeypatch.setattr(write_module._BatchWriter, "_write", lambda s, p, i: (seen.append((p, i)), real(s, p, i))[1])
    again = write_scenes(scenes, tmp_path / "broken", progress=lambda d, t, note="": None)
    assert ("train", 0) not in seen and ("train", 4) in seen  # the first batch was kept
    assert [c.captions for c in again] == [c.captions for c in whole]
    for a, b in zip(again, whole, strict=True):
        assert Path(a.path).read_bytes() == Path(b.path).read_bytes()
        assert events_of(a) == events_of(b)
    x, rate = soundfile.read(whole.clips[3].path)
    assert rate == RATE and np.abs(x - scenes.scene("train", 3).samples).max() < 1e-4
    assert not list((tmp_path / "broken").rglob("*.tmp"))
    seen.clear()
    assert write_scenes(scenes, tmp_path / "broken") == again and not seen
    with pytest.raises(DataError, match="other settings"):
        write_scenes(mixed(recordings, phrases, {"train": 10, "test": 3}, zipf=2.0), tmp_path / "broken")


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        write_scenes(synthesised_scenes({"train": 1}), tmp_path)


@pytest.mark.parametrize(
    "settings",
    [{"max_events": 4}, {"duration_s": 1}, {"zipf": -1}, {"seed": -1}, {"sample_rate_hz": 100}, {"n_captions": 0}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError):
        synthesised_scenes({"train": 1}, **settings)


@pytest.mark.parametrize("counts", [{}, {"train": 0}, {"training": 3}, {"train": -1, "val": 3}])
def test_bad_counts(counts):
    with pytest.raises(ConfigError):
        synthesised_scenes(counts)


def test_external_needs_a_share_and_unknown_kinds_are_named(recordings, phrases):
    with pytest.raises(ConfigError, match="external_share"):
        mixed(recordings, phrases, {"external": 3})
    with pytest.raises(ConfigError, match="unicorn"):
        synthesised_scenes({"train": 1}, kinds=["rain", "unicorn"])
    with pytest.raises(DataError, match="phrase table"):
        recorded_scenes(Manifest("none", recordings.clips[:2]), {"train": 1}, phrases=phrases)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dog: 3", "expected fields"),
        ("dog: {label: [dog], nouns: [a dog], clauses: [a dog barks, it barks]}", "at least two"),
        ("dog: {nouns: [a dog, the dog], clauses: [a dog barks, it barks]}", "label"),
        ("dog: {text: ['('], nouns: [a dog, the dog], clauses: [a, b]}", "regular expression"),
        ("dog: {label: [dog], colour: red, nouns: [a, b], clauses: [a, b]}", "unknown field 'colour'"),
        ("- a\n- b", "must map"),
        ("a: [", "cannot read"),
    ],
)
def test_faulty_phrase_tables(tmp_path, text, fault):
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=fault):
        read_phrases(path)


def test_shipped_table_has_distinct_phrases():
    classes = read_phrases()
    assert len({c.name for c in classes}) == len(classes) >= 121
    phrases = [p for c in classes for p in (*c.wording.nouns, *c.wording.clauses)]
    assert len(set(phrases)) == len(phrases)


def test_real_recordings_give_121_classes(shared):
    manifest = read_manifest(shared / "data" / "sounds" / "manifest.jsonl")
    scenes = recorded_scenes(manifest, {"train": 6, "test": 4}, external_share=0.2)
    assert len(scenes.source.labels) == 121
    for label in scenes.source.labels:
        assert all(scenes.source.groups(label, part) for part in ("train", "val", "test"))
    for scene in scenes:
        assert np.abs(scene.samples).max() > 0.01
    classes = read_phrases()
    found = sort_recordings(drop_sources(manifest, ["BY-NC"]), classes)  # research-only recordings are not needed
    assert sum(len({c.group for c in clips}) >= 3 for clips in found.values()) >= 121


def test_wordings_of_reads_both_sorts(recordings, phrases):
    mix = Manifest("mix", tuple(s.clip for s in mixed(recordings, phrases, {"train": 8})))
    assert set(wordings_of(mix, phrases)) <= {"tone", "noise", "click"}
    with pytest.raises(DataError, match="no phrases"):
        wordings_of(mix)
    made = Manifest("made", tuple(s.clip for s in synthesised_scenes({"train": 2}, sample_rate_hz=RATE)))
    assert wordings_of(made)
    with pytest.raises(DataError, match="not known"):
        wordings_of(recordings)


def test_command_makes_lists_and_reports(tmp_path, capsys):
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    data_scenes.add_arguments(parser)
    out = tmp_path / "lib"
    base = [
        str(out),
        "--n",
        "6",
        "--rate",
        "8000",
        "--duration",
        "2",
        "--workers",
        "1",
        "--kinds",
        "beep",
        "knock",
        "dog",
    ]
    assert data_scenes.run(parser.parse_args([*base, "--json"])) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["clips"] == {"train": 4, "val": 1, "test": 1} and summary["captions"] == 30
    assert len(read_manifest(out / "manifest.jsonl")) == 6
    assert data_scenes.run(parser.parse_args(base)) == 0
    assert "6 scenes (4 train, 1 val, 1 test)" in capsys.readouterr().out
    assert data_scenes.run(parser.parse_args(["--list"])) == 0
    assert "footsteps" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="where the scenes go"):
        data_scenes.run(parser.parse_args([]))
    with pytest.raises(ConfigError, match="at least 3"):
        data_scenes.run(parser.parse_args([str(out), "--n", "2"]))
    with pytest.raises(ConfigError, match="with --from"):
        data_scenes.run(parser.parse_args([str(out), "--phrases", "x.yaml"]))
    with pytest.raises(ConfigError, match="--kinds"):
        data_scenes.run(parser.parse_args([str(out), "--from", "x.jsonl", "--kinds", "rain"]))
