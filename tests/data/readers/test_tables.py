"""Tables of other programs: every line is in a row or in a fault, whatever quotes, encodings and paths it has."""

import json

import pytest
import soundfile

from askaudio.checks.dataset import check_datasets
from askaudio.cli import main
from askaudio.core.errors import DataError
from askaudio.data.readers.identity import read_id_list
from askaudio.data.readers.open import open_dataset, read_dataset
from askaudio.data.readers.tables import read_csv
from layouts import RATE_HZ, tone


def make_sounds(folder, *names):
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, tone(300 + 50 * k, k, 0.1), RATE_HZ)
    return folder


def captions(manifest):
    return {clip.clip_id: [caption.text for caption in clip.captions] for clip in manifest}


def faults(manifest):
    return [(f.kind, int(f.where.rsplit(":", 1)[1]), f.level) for f in manifest.faults]


ROWS = [f"f{k}.wav,a dog barks {k} times" for k in range(1, 10)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_open_quote_accounts_for_every_row(tmp_path, end):
    make_sounds(tmp_path, *(f"f{k}.wav" for k in range(1, 10)))
    rows = list(ROWS)
    rows[2] = 'f3.wav,"a dog barks 3 times'
    table = tmp_path / "captions.csv"
    table.write_bytes(end.join(["file_name,caption", *rows, ""]).encode())
    manifest = open_dataset(str(table))
    assert list(captions(manifest)) == ["f1", "f2"]
    assert manifest.summary.faulty_rows == 7
    first, *others = manifest.faults
    assert (first.kind, first.where, first.what) == (
        "quote not closed",
        f"{table}:4",
        "the quote that opens there is not closed, 6 lines swallowed",
    )
    assert faults(manifest)[1:] == [("inside an open quote", line, "error") for line in range(5, 11)]
    assert others[0].what == "swallowed by the quote that opens in line 4: 'f4.wav,a dog barks 4 times'"
    assert check_datasets([manifest], audio="none").n_errors == 2


def test_open_quote_in_the_commands(tmp_path, capsys):
    make_sounds(tmp_path, "f1.wav", "f2.wav")
    table = tmp_path / "captions.csv"
    table.write_text('file_name,caption\nf1.wav,"a dog\nf2.wav,a cat\n\nf3.wav,a cow')
    assert main(["data", "check", str(table)]) == 1
    text = capsys.readouterr().out
    assert f"{table}:2: the quote that opens there is not closed, 3 lines swallowed" in text and "ERROR" in text
    assert main(["data", "info", str(table)]) == 0
    text = capsys.readouterr().out
    assert f"{table}:2: the quote that opens there is not closed" in text
    assert "faulty rows: 2 x inside an open quote" in text
    assert main(["data", "info", str(table), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == {"inside an open quote": 2, "quote not closed": 1}


# rows, ids that are read, (kind, line) of the faults
QUOTES = {
    "closed by the quote that opens a later row": (
        ['f1.wav,"a dog', "f2.wav,b", 'f3.wav,"c, d"', "f4.wav,e"],
        ["f4"],
        [("quote not closed", 2), ("inside an open quote", 3), ("inside an open quote", 4)],
    ),
    "closed by a quote at the end of a later row": (
        ['f1.wav,"a dog', "f2.wav,b", 'f3.wav,c"', "f4.wav,e"],
        ["f4"],
        [("quote not closed", 2), ("inside an open quote", 3), ("inside an open quote", 4)],
    ),
    "in the first column": (
        ["f1.wav,a", '"f2.wav,b', "f3.wav,c"],
        ["f1"],
        [("quote not closed", 3), ("inside an open quote", 4)],
    ),
    "in the last row": (["f1.wav,a", 'f2.wav,"b'], ["f1"], [("quote not closed", 3)]),
    "text after a quote": (['f1.wav,"rain" on a roof', "f2.wav,b"], ["f1", "f2"], [("text after a quote", 2)]),
    "a quote inside a field is a character": (['f1.wav,a 5" pipe', "f2.wav,b"], ["f1", "f2"], []),
    "a quoted field of several lines": (['f1.wav,"a dog,\nthen a cat"', "f2.wav,b"], ["f1", "f2"], []),
    "too few and too many fields": (
        ["f1.wav,a", "f2.wav", "f3.wav,c,d", "f4.wav,e"],
        ["f1", "f4"],
        [("wrong number of fields", 3), ("wrong number of fields", 4)],
    ),
}


@pytest.mark.parametrize("name", QUOTES)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_row_is_accounted_for(tmp_path, name, delimiter):
    rows, ids, expected = QUOTES[name]
    rows = [row if " " in row and ", " in row else row.replace(",", delimiter) for row in rows]
    rows = [row.replace(".wav,", f".wav{delimiter}") for row in rows]
    table = tmp_path / "captions.csv"
    table.write_text("\n".join([f"file_name{delimiter}caption", *rows]) + "\n", newline="")
    manifest = read_dataset(str(table), need_audio=False)
    assert [clip.clip_id for clip in manifest] == ids
    assert [fault[:2] for fault in faults(manifest)] == expected


def test_an_open_quote_before_more_than_the_field_limit_of_csv(tmp_path):
    rows = [f"f{k}.wav,{'rain ' * 20}" for k in range(3000)]
    (tmp_path / "t.csv").write_text("file_name,caption\n" + 'a.wav,"b\n' + "\n".join(rows) + "\n")
    table = read_csv(tmp_path / "t.csv")
    assert table.rows == () and len(table.faults) == 3001
    assert table.faults[0].what == "the quote that opens there is not closed, 3000 lines swallowed"


def test_an_open_quote_in_the_header_or_in_a_list_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text('"file_name,caption\na.wav,b\nc.wav,d\n')
    with pytest.raises(DataError, match=r"t\.csv:1: the quote that opens there is not closed, 2 lines swallowed"):
        read_csv(tmp_path / "t.csv")
    (tmp_path / "list.csv").write_text('file_name\na.wav\n"b.wav\nc.wav\nd.wav\n')
    with pytest.raises(DataError, match=r"list\.csv:3: .*2 lines swallowed; a list must be complete, 3 of its rows"):
        read_id_list(tmp_path / "list.csv")


def test_nul_is_refused_with_its_line(tmp_path):
    (tmp_path / "t.csv").write_text("file_name,caption\na.wav,b\nc.wav,d\0e\n")
    with pytest.raises(DataError, match=r"t\.csv:3: not a text table: it contains NUL bytes"):
        read_csv(tmp_path / "t.csv")


BOM8, BOM_LE, BOM_BE = b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"
ENCODINGS = [("cp1252", b""), ("utf-8", b""), ("utf-8", BOM8), ("utf-16-le", BOM_LE), ("utf-16-be", BOM_BE)]
TEXT = "the dog\u2019s bark in a Gro\u00dfk\u00fcche \u2013 5 \u20ac"


@pytest.mark.parametrize(("encoding", "mark"), ENCODINGS)
def test_encodings_of_tables_sidecars_and_lists(tmp_path, encoding, mark):
    def write(name, text):
        (tmp_path / name).write_bytes(mark + text.encode(encoding))

    make_sounds(tmp_path, "a\u00e9.wav", "b.wav")
    write("t.csv", f"file_name,caption\r\na\u00e9.wav,{TEXT}\r\n")
    write("t.jsonl", json.dumps({"file": "b.wav", "text": TEXT}, ensure_ascii=False) + "\r\n")
    write("m.jsonl", json.dumps({"id": "b", "path": "b.wav", "text": TEXT}, ensure_ascii=False) + "\r\n")
    for name in ("t.csv", "t.jsonl", "m.jsonl"):
        assert list(captions(open_dataset(str(tmp_path / name))).values()) == [[TEXT]]
    write("a\u00e9.txt", f"{TEXT}\r\n\r\nrain\r\n")
    write("b.json", json.dumps([TEXT], ensure_ascii=False))
    folder = captions(open_dataset(f"folder:{tmp_path}"))
    assert folder == {"a\u00e9": [TEXT, "rain"], "b": [TEXT]}
    write("list.txt", "a\u00e9.wav\r\n")
    write("list.csv", "file_name;x\r\na\u00e9.wav;1\r\n")
    write("list.json", json.dumps({"x": ["a\u00e9.wav"]}, ensure_ascii=False))
    for name in ("list.txt", "list.csv", "list.json"):
        assert read_id_list(tmp_path / name) == {"a\u00e9.wav"}
        assert list(captions(open_dataset(f"folder:{tmp_path}?list={tmp_path / name}"))) == ["a\u00e9"]


def test_lists_and_sidecars_keep_the_line_separators_of_unicode(tmp_path):
    make_sounds(tmp_path, "a\u2028b.wav", "a.wav")
    (tmp_path / "a.txt").write_text("rain\u2028on\u0085a\x0croof\r\nwind\n", encoding="utf-8", newline="")
    (tmp_path / "list.txt").write_text("a\u2028b.wav\n", encoding="utf-8")
    assert captions(open_dataset(str(tmp_path)))["a"] == ["rain\u2028on\u0085a\x0croof", "wind"]
    assert list(captions(open_dataset(f"{tmp_path}?list={tmp_path / 'list.txt'}"))) == ["a\u2028b"]


def test_a_sidecar_of_utf_16_without_a_mark_is_a_fault(tmp_path):
    make_sounds(tmp_path, "1.wav")
    (tmp_path / "1.txt").write_bytes("rain".encode("utf-16-le"))
    manifest = open_dataset(str(tmp_path))
    assert captions(manifest) == {"1": []}
    assert manifest.faults[0].kind == "bad character" and "contains a NUL character" in manifest.faults[0].what


@pytest.mark.parametrize(
    "names",
    [
        ("x\\same.wav", "y\\same.wav"),
        ("C:\\data\\x\\same.wav", "C:\\data\\y\\same.wav"),
        ("\\\\server\\share\\x\\same.wav", "\\\\server\\share\\y\\same.wav"),
        ("x/same.wav", "D:\\set/y\\same.wav"),
        (".\\x\\same.wav", "/old/home/y/same.wav"),
        ("x\\same.mp3", "y\\same.flac"),
    ],
)
def test_paths_of_windows(tmp_path, names):
    make_sounds(tmp_path, "x/same.wav", "y/same.wav")
    rows = [f"{name},{text}" for name, text in zip(names, ("one", "two"), strict=True)]
    (tmp_path / "captions.csv").write_text("\n".join(["file_name,caption", *rows, ""]))
    manifest = open_dataset(str(tmp_path / "captions.csv"))
    assert {clip.path: clip.captions[0].text for clip in manifest} == {
        str(tmp_path / "x" / "same.wav"): "one",
        str(tmp_path / "y" / "same.wav"): "two",
    }
    lines = [json.dumps({"id": text, "path": name, "text": text}) for name, text in zip(names, ("1", "2"), strict=True)]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    if names[1] == "y\\same.wav":
        assert len(open_dataset(str(tmp_path / "manifest.jsonl"))) == 2


def test_both_slashes_name_one_clip(tmp_path):
    make_sounds(tmp_path, "x/same.wav", "y/same.wav")
    (tmp_path / "t.csv").write_text("file_name,caption\nx\\same.wav,one\nx/same.wav,two\n./x/same.wav,three\n")
    assert captions(open_dataset(str(tmp_path / "t.csv"))) == {"x/same": ["one", "two", "three"]}


def test_a_backslash_in_a_file_name_stays(tmp_path):
    make_sounds(tmp_path, "a\\b.wav", "a/b.wav")
    (tmp_path / "t.csv").write_text("file_name,caption\na\\b.wav,one\na/b.wav,two\n")
    assert captions(open_dataset(str(tmp_path / "t.csv"))) == {"a\\b": ["one"], "a/b": ["two"]}


def test_one_file_is_never_the_audio_of_two_rows(tmp_path):
    make_sounds(tmp_path, "x/same.wav")
    (tmp_path / "t.csv").write_text("file_name,caption\nx\\same.wav,one\ny\\same.wav,two\n")
    manifest = open_dataset(str(tmp_path / "t.csv"))
    assert captions(manifest) == {"x/same": ["one"]}
    assert [clip.clip_id for clip in manifest.missing] == ["y/same"]


def test_a_list_of_windows_names_one_of_two_files_of_one_name(tmp_path):
    make_sounds(tmp_path, "x/same.wav", "y/same.wav")
    for text in ("x\\same.wav\r\n", "x/same.wav\n", "x/same\n", "x\\same\n"):
        (tmp_path / "list.txt").write_text(text, newline="")
        assert list(captions(open_dataset(f"{tmp_path}?list={tmp_path / 'list.txt'}"))) == ["x/same"]
