"""One string opens any data set; every kind gives the same manifest of the same clips."""

import json

import pytest
import soundfile

from askaudio.core.errors import DataError
from askaudio.data.manifest import read_manifest, write_manifest
from askaudio.data.readers.folder import caption_from_name
from askaudio.data.readers.open import open_dataset, parse_spec, read_dataset
from layouts import RATE_HZ, make_audiocaps, make_clotho, tone, write_table


@pytest.fixture
def sounds(tmp_path):
    """Three real sounds, one below a folder, with sidecars of each kind."""
    for k, name in enumerate(("Rain_on-roof_03.wav", "test/dog.flac", "bell.ogg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, tone(440, k, 0.3), RATE_HZ)
    (tmp_path / "bell.txt").write_text("A bell rings\n\nA church bell\n")
    (tmp_path / "test" / "dog.json").write_text(json.dumps({"captions": ["A dog barks"], "group": "freesound:5"}))
    return tmp_path


def test_folder_with_sidecars_and_names(sounds):
    manifest = open_dataset(str(sounds))
    assert {clip.clip_id: [c.text for c in clip.captions] for clip in manifest} == {
        "Rain_on-roof_03": ["rain on roof"],
        "bell": ["A bell rings", "A church bell"],
        "test/dog": ["A dog barks"],
    }
    dog = manifest.clips[2]
    assert (dog.split, dog.group, dog.label) == ("test", "freesound:5", "")
    without = open_dataset(f"{sounds}?names=no")
    assert [len(clip.captions) for clip in without] == [0, 2, 1]
    assert [fault.kind for fault in without.faults] == ["no caption"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("DoorSlam_metal-03.wav", "door slam metal"), ("0012.mp3", ""), ("siren (police) 2.ogg", "siren police")],
)
def test_caption_from_name(name, words):
    assert caption_from_name(name) == words


def test_same_stem_twice_keeps_both(tmp_path):
    for suffix in (".wav", ".flac"):
        soundfile.write(tmp_path / f"rain{suffix}", tone(440, 0, 0.1), RATE_HZ)
    assert sorted(clip.clip_id for clip in open_dataset(str(tmp_path))) == ["rain.flac", "rain.wav"]


def test_csv_long_and_wide_and_semicolons_say_the_same(sounds):
    table = sounds / "captions.csv"
    write_table(
        table,
        ["file_name", "caption", "split", "mood"],
        [
            ["bell.ogg", "A bell", "dev", "calm"],
            ["test/dog.flac", "A dog", "eval", ""],
            ["bell.ogg", "B", "dev", "calm"],
        ],
    )
    long = open_dataset(str(table))
    assert [(c.clip_id, c.split, [t.text for t in c.captions]) for c in long] == [
        ("bell", "train", ["A bell", "B"]),
        ("test/dog", "test", ["A dog"]),
    ]
    assert long.clips[0].extra == {"mood": "calm"}
    table.write_text("file_name;caption_1;caption_2;split\nbell.ogg;A bell;B;dev\ntest/dog.flac;A dog;;eval\n")
    wide = open_dataset(str(table))
    assert [(c.clip_id, c.captions, c.split) for c in wide] == [(c.clip_id, c.captions, c.split) for c in long]


def test_csv_with_audio_elsewhere_other_columns_and_missing_files(sounds, tmp_path_factory):
    table = tmp_path_factory.mktemp("tables") / "t.tsv"
    table.write_text("where\twhat\ndog.wav\tA dog\ngone.wav\tNothing\n\tNo file\nbell.ogg\t\n")
    manifest = open_dataset(f"{table}?audio={sounds}&path=where&caption=what")
    assert [clip.path for clip in manifest] == [str(sounds / "test" / "dog.flac"), str(sounds / "bell.ogg")]
    assert [clip.clip_id for clip in manifest.missing] == ["gone"]
    assert sorted(fault.kind for fault in manifest.faults) == ["no caption", "no file name"]


def test_a_name_that_occurs_twice_is_not_guessed(sounds):
    (sounds / "other").mkdir()
    (sounds / "other" / "dog.flac").write_bytes((sounds / "test" / "dog.flac").read_bytes())
    write_table(sounds / "captions.csv", ["file_name", "caption"], [["dog.wav", "A dog"], ["bell.ogg", "A bell"]])
    assert [clip.clip_id for clip in open_dataset(str(sounds / "captions.csv")).missing] == ["dog"]


def test_latin_1_and_byte_order_mark(sounds):
    table = sounds / "captions.csv"
    table.write_bytes("file_name,caption\nbell.ogg,Café\n".encode("iso-8859-1"))
    assert open_dataset(str(table)).clips[0].captions[0].text == "Café"
    table.write_bytes("\ufefffile_name,caption\nbell.ogg,Café\n".encode())
    assert open_dataset(str(table)).clips[0].captions[0].text == "Café"


def test_jsonl_of_any_objects_and_of_ours(sounds):
    lines = [{"audio": "bell.ogg", "captions": ["A bell", "B"]}, {"audio": "test/dog.flac", "captions": "A dog"}]
    path = sounds / "any.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n{broken\n[1]\n")
    manifest = open_dataset(str(path))
    assert [[c.text for c in clip.captions] for clip in manifest] == [["A bell", "B"], ["A dog"]]
    assert [(f.kind, f.where.rsplit(":", 1)[1]) for f in manifest.faults] == [("not JSON", "3"), ("not an object", "4")]
    write_manifest(manifest, sounds / "manifest.jsonl")
    again = open_dataset(str(sounds / "manifest.jsonl"))
    assert [(c.clip_id, c.captions) for c in again] == [(c.clip_id, c.captions) for c in manifest]
    (sounds / "bell.ogg").unlink()
    assert [clip.clip_id for clip in open_dataset(str(sounds / "manifest.jsonl")).missing] == ["bell"]
    assert len(open_dataset(str(sounds / "manifest.jsonl"), need_audio=False)) == 2


def test_a_folder_with_a_manifest_or_metadata_is_read_as_that(sounds):
    write_table(sounds / "metadata.csv", ["file_name", "text"], [["bell.ogg", "From metadata"]])
    assert [c.text for clip in open_dataset(str(sounds)) for c in clip.captions] == ["From metadata"]
    (sounds / "manifest.jsonl").write_text(json.dumps({"id": "x", "path": "bell.ogg", "text": "From manifest"}))
    assert [c.text for clip in open_dataset(str(sounds)) for c in clip.captions] == ["From manifest"]


def test_official_layouts_survive_writing_as_manifest(tmp_path):
    for name, make in (("audiocaps", make_audiocaps), ("clotho", make_clotho)):
        root = make(tmp_path / name)
        manifest = open_dataset(f"{name}:{root}")
        write_manifest(manifest, root / "manifest.jsonl")
        again = read_manifest(root / "manifest.jsonl")
        assert [(c.clip_id, c.captions, c.split, c.group, dict(c.extra)) for c in again] == [
            (c.clip_id, c.captions, c.split, c.group, dict(c.extra)) for c in manifest
        ]


def test_split_option(tmp_path):
    make_clotho(tmp_path)
    assert len(open_dataset(f"clotho:{tmp_path}?split=evaluation")) == 6
    both = open_dataset(f"clotho:{tmp_path}?split=train,val")
    assert len(both) == 18 and both.name == "clotho:train+val"


def test_list_option_reads_text_json_and_csv(tmp_path):
    root = make_clotho(tmp_path / "clotho")
    lists = {
        "a.txt": "low hum 0.wav\ndeep buzz 1\n\n",
        "b.json": json.dumps({"FreeSound": ["7000", 7001], "AudioSet": []}),
        "c.csv": "file_name,caption\nlow hum 0.wav,x\ndeep buzz 1.wav,y\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        manifest = open_dataset(f"clotho:{root}?list={tmp_path / name}")
        assert [clip.group for clip in manifest] == ["freesound:7000", "freesound:7001"], name
    (tmp_path / "d.txt").write_text("nothing.wav\n")
    with pytest.raises(DataError, match="none of its 1 names is a clip of clotho"):
        open_dataset(f"clotho:{root}?list={tmp_path / 'd.txt'}")


def test_a_list_of_clip_ids_is_taken_letter_by_letter(tmp_path):
    for folder in ("rain", "wind"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "01.wav", tone(440, 0, 0.1), RATE_HZ)
    for text, named in (("rain/01\n", ["rain/01"]), ("01.wav\n", ["rain/01", "wind/01"])):
        (tmp_path / "list.txt").write_text(text)
        assert [c.clip_id for c in open_dataset(f"{tmp_path}?list={tmp_path / 'list.txt'}")] == named


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere", "nowhere does not exist; expected a .jsonl"),
        ("audiocaps:", "names no folder"),
        ("clotho:/nowhere", "no Clotho captions under /nowhere"),
        ("clotho:/nowhere?version=2", "unknown option version; clotho knows audio, list, split"),
        ("clotho:/nowhere?split=foo", "split 'foo' is none of train"),
        ("hdf5:/x", "hdf5:/x does not exist"),
    ],
)
def test_bad_specs_are_refused_with_the_way_out(spec, message):
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        open_dataset(spec)


def test_bad_files_are_refused(tmp_path):
    def refused(name: str, data: bytes, message: str):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=message):
            open_dataset(str(tmp_path / name))

    refused("a.csv", b"", "is empty")
    refused("b.csv", b"x\0y,z\n", "NUL bytes")
    refused("c.csv", b"file_name,mood\na.wav,x\n", "no column for the caption: got file_name, mood")
    refused("d.csv", b"name,caption\na.wav,x\n", "no column for the audio file: got name, caption; expected")
    refused("e.csv", b"a,a\n1,2\n", "occurs twice in the header")
    refused("f.jsonl", b"\n\n", "no line is a JSON object")
    refused("g.csv", b"file_name,caption,split\na.wav,x,foo\n", "g.csv:2: split 'foo'")
    refused("h.csv", b"file_name,caption,duration_s\na.wav,x,long\n", "h.csv:2: duration_s must be a number")
    refused("i.zip", b"PK", "a file of an unknown kind")
    refused("j.wav", b"RIFF", "j.wav is an audio file")


def test_a_path_with_colon_and_question_mark(tmp_path):
    folder = tmp_path / "what: is it?"
    folder.mkdir()
    soundfile.write(folder / "rain.wav", tone(440, 0, 0.1), RATE_HZ)
    assert parse_spec(str(folder)).kind == "folder"
    assert len(open_dataset(str(folder))) == 1


def test_home_folder_and_odd_letters_in_options(sounds, monkeypatch):
    monkeypatch.setenv("HOME", str(sounds))
    (sounds / "a+b %20").mkdir()
    write_table(sounds / "a+b %20" / "t.csv", ["file_name", "caption"], [["bell.ogg", "A bell"]])
    assert len(open_dataset("~/a+b %20/t.csv?audio=~")) == 1
    assert len(open_dataset("folder:~?names=no")) == 3
    with pytest.raises(DataError, match="option 'audio' has no value"):
        open_dataset(f"{sounds}/a+b %20/t.csv?audio")


def test_recording_ids_in_columns_become_groups(sounds):
    for column, group in (("freesound-id", "freesound:12"), ("ytid", "youtube:12")):
        write_table(sounds / "t.csv", ["name", column, "text"], [["bell.ogg", 12, "A bell"]])
        assert open_dataset(f"{sounds / 't.csv'}?path=name").clips[0].group == group


def test_read_dataset_does_not_refuse_an_empty_pool(tmp_path):
    make_audiocaps(tmp_path, dead=tuple(range(24)))
    manifest = read_dataset(f"audiocaps:{tmp_path}?split=test")
    assert (manifest.summary.clips, manifest.summary.missing_clips) == (0, 6)
