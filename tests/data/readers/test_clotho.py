"""Clotho: the official layout, names in two subsets, metadata in ISO-8859-1, and the published counts."""

from collections import Counter

import pytest

from askaudio.core.errors import DataError
from askaudio.data.readers.clotho import read_clotho
from layouts import make_clotho, write_table


def test_official_layout(tmp_path):
    manifest = read_clotho(make_clotho(tmp_path))
    assert [len(manifest.split(s)) for s in ("train", "val", "test")] == [12, 6, 6]
    assert manifest.n_captions == 24 * 5 and not manifest.missing and not manifest.faults
    clip = manifest.split("test").clips[0]
    assert clip.clip_id == "evaluation/City ambience 1_2.wav"
    assert clip.path == str(tmp_path / "clotho_audio_files" / "evaluation" / "City ambience 1_2.wav")
    assert clip.group == "freesound:7018" and clip.licence == "CC0"
    assert clip.source == "https://freesound.org/people/café/sounds/7018"  # ISO-8859-1
    assert manifest.clips[0].clip_id == "development/low hum 0.wav"  # the blank before the name is no part of the id


def test_a_missing_file_is_not_taken_from_another_subset(tmp_path):
    make_clotho(tmp_path)
    (tmp_path / "clotho_audio_files" / "evaluation" / "City ambience 1_2.wav").unlink()
    manifest = read_clotho(tmp_path)
    assert [clip.clip_id for clip in manifest.missing] == ["evaluation/City ambience 1_2.wav"]


def test_other_places_and_formats_of_the_audio(tmp_path):
    header = ["file_name", *(f"caption_{k}" for k in range(1, 6))]
    write_table(tmp_path / "csv" / "clotho_captions_evaluation.csv", header, [["Café.wav", "a", "b", "c", "d", "e"]])
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "Cafe\u0301.flac").write_bytes(b"x")  # decomposed, as macOS writes it
    manifest = read_clotho(tmp_path / "csv", audio=tmp_path / "audio")
    assert [clip.path for clip in manifest] == [str(tmp_path / "audio" / "Cafe\u0301.flac")]
    assert manifest.clips[0].group == ""


def test_faulty_rows_are_counted(tmp_path):
    header = ["file_name", *(f"caption_{k}" for k in range(1, 6))]
    rows = [["a.wav", "a", "", "c", "d", "e"], ["a.wav", "a", "b", "c", "d", "e"], ["b.wav", "", "", "", "", ""]]
    write_table(tmp_path / "clotho_captions_evaluation.csv", header, [*rows, ["c.wav", "a", "b"]])
    write_table(tmp_path / "clotho_metadata_evaluation.csv", ["file_name", "sound_id"], [["z.wav", "1"]])
    manifest = read_clotho(tmp_path, need_audio=False)
    assert [(clip.clip_id, len(clip.captions)) for clip in manifest] == [("evaluation/a.wav", 4)]
    assert Counter(fault.kind for fault in manifest.faults) == {
        "wrong number of fields": 1,
        "no caption": 2,
        "file name twice": 1,
        "not in the metadata": 1,
    }


def test_errors(tmp_path):
    with pytest.raises(DataError, match=r"looked for clotho_captions_development.csv"):
        read_clotho(tmp_path)
    write_table(tmp_path / "clotho_captions_evaluation.csv", ["file_name", "caption"], [["a.wav", "x"]])
    with pytest.raises(DataError, match=r"expected file_name, caption_1 ... caption_5"):
        read_clotho(tmp_path)


@pytest.mark.shared
def test_published_counts(shared):
    manifest = read_clotho(shared / "data" / "captions" / "clotho", need_audio=False)
    sizes = [(len(part), part.n_captions) for part in map(manifest.split, ("train", "val", "test"))]
    assert sizes == [(3_839, 3_839 * 5), (1_045, 5_225), (1_045, 5_225)]
    assert manifest.faults == ()


@pytest.mark.shared
def test_file_names_in_two_splits(shared):
    manifest = read_clotho(shared / "data" / "captions" / "clotho", need_audio=False)
    names = {s: {clip.extra["file_name"] for clip in manifest.split(s)} for s in ("train", "val", "test")}
    both = [len(names[a] & names[b]) for a, b in (("train", "val"), ("train", "test"), ("val", "test"))]
    assert both == [1, 1, 2]
