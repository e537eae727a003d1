"""AudioCaps: the official layout, the names of its audio files, broken rows, and the published counts."""

import shutil

import pytest

from askaudio.core.errors import DataError
from askaudio.data.readers.audiocaps import file_stems, read_audiocaps
from askaudio.data.readers.open import open_dataset
from layouts import make_audiocaps, write_table, youtube_id

HEADER = ["audiocap_id", "youtube_id", "start_time", "caption"]


def test_official_layout_with_dead_clips(tmp_path):
    manifest = read_audiocaps(make_audiocaps(tmp_path, dead=(0, 18, 19)))
    assert (len(manifest), len(manifest.missing)) == (21, 3)
    assert manifest.about.version == "v1" and "MIT" in manifest.about.licence
    test = manifest.split("test")
    assert str(test.summary) == ("audiocaps:test (v1): 4 clips, 20 captions; 2 of 6 listed clips missing (10 captions)")
    clip = test.clips[0]
    assert clip.clip_id == youtube_id(20) and clip.group == f"youtube:{youtube_id(20)}"
    assert clip.path == str(tmp_path / "audio" / "test" / f"{youtube_id(20)}_0.wav")
    assert [c.text for c in clip.captions][:2] == ["A steady tone is heard", "There is a steady tone nearby"]
    assert clip.extra == {"start_time": 0, "audiocap_ids": [200, 201, 202, 203, 204]}
    assert len(manifest.split("train").clips[0].captions) == 1


NAMES = (
    "{id}_{s}",
    "Y{id}",
    "{id}",
    "Y{id}_{s}",
    "{id}_{s}000_{e}000",
    "Y{id}_{s}.000_{e}.000",
    "{cap}",
    "{id}_{s}_{e}",
)


@pytest.mark.parametrize("pattern", NAMES)
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_audio_under_its_usual_names(tmp_path, pattern, suffix):
    write_table(tmp_path / "test.csv", HEADER, [[77, "Ab-_cdEfghi", 30, "A dog barks"]])
    name = pattern.format(id="Ab-_cdEfghi", s=30, e=40, cap=77) + suffix
    (tmp_path / "some" / "folder").mkdir(parents=True)
    (tmp_path / "some" / "folder" / name).write_bytes(b"x")
    manifest = read_audiocaps(tmp_path)
    assert [clip.path for clip in manifest] == [str(tmp_path / "some" / "folder" / name)]


def test_one_video_with_two_clips_needs_the_start_in_the_name(tmp_path):
    rows = [[1, "Ab-_cdEfghi", 30, "A dog barks"], [2, "Ab-_cdEfghi", 60, "A cat meows"]]
    write_table(tmp_path / "train.csv", HEADER, rows)
    (tmp_path / "YAb-_cdEfghi.wav").write_bytes(b"x")  # which of the two? neither
    (tmp_path / "Ab-_cdEfghi_60.wav").write_bytes(b"x")
    manifest = read_audiocaps(tmp_path)
    assert [clip.clip_id for clip in manifest] == ["Ab-_cdEfghi_60"]
    assert [clip.clip_id for clip in manifest.missing] == ["Ab-_cdEfghi_30"]
    assert "YAb-_cdEfghi" not in file_stems(manifest.clips[0], alone=False)


def test_the_same_clip_in_two_splits_is_kept_for_the_leak_check(tmp_path):
    for split in ("train", "test"):
        write_table(tmp_path / f"{split}.csv", HEADER, [[1, "Ab-_cdEfghi", 30, "A dog barks"]])
    manifest = read_audiocaps(tmp_path, need_audio=False)
    assert [(clip.split, clip.group) for clip in manifest] == [
        ("train", "youtube:Ab-_cdEfghi"),
        ("test", "youtube:Ab-_cdEfghi"),
    ]


def test_broken_rows_of_v2_train_are_joined_or_counted(tmp_path):
    # the fault of the first AudioCaps 2.0 train.csv: captions with a line break and no quotes
    lines = [
        ",".join(HEADER),
        "39899,IAosP90cdsE,30,an engine chugging loudly with muffled",
        "speech in the background",
        "7994,2Cnv0FADwfo,thirty,a dog is swimming",
        "48170,NWZK4Mm3aNc,0,heavy wind, followed by a bang",
        "48171,short,0,heavy wind",
        "x1,NWZK4Mm3aNd,0,heavy wind",
        "48172,NWZK4Mm3aNd,0,  ",
        "48173,NWZK4Mm3aNe,0,rain",
        "",
    ]
    (tmp_path / "dataset2.0").mkdir()
    (tmp_path / "dataset2.0" / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    manifest = read_audiocaps(tmp_path, need_audio=False)
    assert manifest.about.version == "v2"
    texts = [c.text for clip in manifest for c in clip.captions]
    assert texts == ["an engine chugging loudly with muffled speech in the background", "rain"]
    assert [(fault.kind, fault.where.rsplit(":", 1)[1], fault.level) for fault in manifest.faults] == [
        ("broken line", "3", "warning"),
        ("wrong number of fields", "5", "error"),
        ("start_time is not whole seconds", "4", "error"),
        ("youtube_id is not 11 letters", "6", "error"),
        ("audiocap_id is not a number", "7", "error"),
        ("no caption", "8", "error"),
    ]
    assert manifest.summary.faulty_rows == 6 and manifest.split("test").summary.faulty_rows == 0


def test_the_957_clip_list_as_its_own_version_and_as_a_list(tmp_path):
    make_audiocaps(tmp_path)
    header = ["file_name", *(f"caption_{k}" for k in range(1, 6))]
    rows = [[f"Y{youtube_id(n)}.wav", "a", "b", "c", "d", "e"] for n in (18, 20)]
    write_table(tmp_path / "mei" / "mei_test.csv", header, [*rows, ["nonsense.wav", "a", "b", "c", "d", "e"]])
    mei = read_audiocaps(tmp_path, version="mei")
    assert [clip.clip_id for clip in mei] == [youtube_id(18), youtube_id(20)]  # found without knowing the start
    assert mei.faults[0].kind == "file_name is not Y<youtube_id>.wav"
    listed = open_dataset(f"audiocaps:{tmp_path}?list={tmp_path}/mei/mei_test.csv")
    assert [clip.clip_id for clip in listed] == [youtube_id(18), youtube_id(20)]
    assert str(listed.summary) == "audiocaps (v1, list mei_test.csv): 2 clips, 10 captions"


def test_version_of_bare_csvs_is_seen_from_capitals(tmp_path):
    write_table(tmp_path / "test.csv", HEADER, [[1, "Ab-_cdEfghi", 30, "a dog barks"]])
    assert read_audiocaps(tmp_path, need_audio=False).about.version == "v2"
    write_table(tmp_path / "test.csv", HEADER, [[1, "Ab-_cdEfghi", 30, "A dog barks"]])
    assert read_audiocaps(tmp_path, need_audio=False).about.version == "v1"


def test_errors_say_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"looked for dataset/test.csv, v1/test.csv, .*mei_test.csv"):
        read_audiocaps(tmp_path)
    with pytest.raises(DataError, match="'v3' is none of v1, v2, mei"):
        read_audiocaps(tmp_path, version="v3")
    write_table(tmp_path / "test.csv", ["id", "caption"], [[1, "x"]])
    with pytest.raises(DataError, match="columns are id, caption; expected audiocap_id, youtube_id"):
        read_audiocaps(tmp_path)
    make_audiocaps(tmp_path)
    shutil.rmtree(tmp_path / "audio")
    with pytest.raises(DataError, match=r"24 listed without audio; the first expected file: -id_0000000_0.wav"):
        open_dataset(f"audiocaps:{tmp_path}")


@pytest.mark.shared
def test_published_counts(shared):
    root = shared / "data" / "captions" / "audiocaps"

    def sizes(version):
        manifest = read_audiocaps(root, version=version, need_audio=False)
        assert manifest.faults == ()
        return [(len(part), part.n_captions) for part in map(manifest.split, ("train", "val", "test"))]

    assert sizes("v1") == [(49_838, 49_838), (495, 495 * 5), (975, 975 * 5)]
    assert sizes("v2") == [(0, 0), (495, 2_475), (975, 4_875)]  # its train.csv is not in the folder
    assert sizes("mei") == [(0, 0), (494, 494 * 5), (957, 957 * 5)]


@pytest.mark.shared
def test_the_957_clips_are_a_strict_subset_of_the_975(shared):
    root = shared / "data" / "captions" / "audiocaps"
    full = read_audiocaps(root, version="v1", splits=("val", "test"), need_audio=False)
    listed = read_audiocaps(root, version="mei", need_audio=False)
    texts = {clip.clip_id: {c.text for c in clip.captions} for clip in full}
    split = {clip.clip_id: clip.split for clip in full}
    assert all(split[clip.clip_id] == clip.split for clip in listed)
    assert all({c.text for c in clip.captions} == texts[clip.clip_id] for clip in listed)
    kept = open_dataset(f"audiocaps:{root}?version=v1&split=test&list={root}/mei/mei_test.csv", need_audio=False)
    assert (len(kept), kept.n_captions) == (957, 4_785)
