"""What was read from a table, and written as a manifest, is read again unchanged, whatever the captions contain."""

import csv
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from askaudio.core.errors import DataError
from askaudio.data.manifest import Caption, Clip, Manifest, read_manifest, write_manifest
from askaudio.data.readers.open import read_dataset

NASTY = "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e\r\n\t\"',;\\\ufeff\u00a0\U0001f327\u0301"
TEXT = st.text(st.one_of(st.sampled_from(NASTY), st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
TEXTS = st.lists(TEXT, min_size=1, max_size=4)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def facts(manifest):
    return [(c.clip_id, c.path, c.captions, c.split, c.group, c.label, c.duration_s, dict(c.extra)) for c in manifest]


def again(manifest, folder):
    write_manifest(manifest, folder / "manifest.jsonl")
    return read_dataset(str(folder / "manifest.jsonl"), need_audio=False)


@QUICK
@given(TEXTS, st.sampled_from([("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t")]), st.sampled_from(["\n", "\r\n"]))
def test_csv_to_manifest(texts, kind, end):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / kind[0]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=kind[1], lineterminator=end, quoting=csv.QUOTE_ALL)
            writer.writerow(["file_name", "caption", "note"])
            writer.writerows([f"{k}.wav", text, text] for k, text in enumerate(texts))
        manifest = read_dataset(str(path), need_audio=False)
        assert [[c.text for c in clip.captions] for clip in manifest] == [
            [t.strip()] if t.strip() else [] for t in texts
        ]
        assert [clip.extra.get("note", "") for clip in manifest] == texts
        assert facts(again(manifest, Path(name))) == facts(manifest)


@QUICK
@given(TEXTS, TEXT)
def test_json_lines_to_manifest(texts, label):
    with tempfile.TemporaryDirectory() as name:
        rows = [{"file": f"{k}.wav", "captions": [text, "rain"], "label": label} for k, text in enumerate(texts)]
        path = Path(name) / "t.jsonl"
        path.write_bytes(b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows))
        manifest = read_dataset(str(path), need_audio=False)
        assert [clip.label for clip in manifest] == [label] * len(texts)
        assert [[c.text for c in clip.captions] for clip in manifest] == [
            [t.strip(), "rain"] if t.strip() else ["rain"] for t in texts
        ]
        assert facts(again(manifest, Path(name))) == facts(manifest)


@QUICK
@given(TEXTS, TEXT, st.dictionaries(TEXT.filter(bool), TEXT))
def test_manifest_to_manifest(texts, clip_id, extra):
    with tempfile.TemporaryDirectory() as name:
        clip_id = clip_id or "x"
        captions = tuple(Caption(f"{clip_id}#{k}", text) for k, text in enumerate(texts))
        extra = {f"my {key}": value for key, value in extra.items()}
        clip = Clip(clip_id, f"{name}/a.wav", captions, "test", group="g", duration_s=1.5, extra=extra)
        assert facts(again(Manifest("m", (clip,)), Path(name))) == facts([clip])


def test_parquet_to_manifest(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = [f"a{char}b" for char in NASTY]
    names = [str(tmp_path / f"{k}.wav") for k in range(len(texts))]
    for name in names:
        Path(name).write_bytes(b"RIFF" + name.encode())
    parquet.write_table(arrow.table({"audio": names, "caption": texts}), tmp_path / "t.parquet")
    manifest = read_dataset(f"{tmp_path / 't.parquet'}?cache={tmp_path / 'cache'}")
    assert [clip.captions[0].text for clip in manifest] == texts
    assert facts(again(manifest, tmp_path)) == facts(manifest)


def test_columns_named_like_fields_of_a_manifest_do_not_replace_them(tmp_path):
    (tmp_path / "t.csv").write_text("file_name,caption,path,text,captions\na.wav,rain,/etc/x.wav,no,no\n")
    manifest = read_dataset(f"{tmp_path / 't.csv'}?path=file_name&caption=caption", need_audio=False)
    assert facts(again(manifest, tmp_path)) == facts(manifest)
    assert manifest.clips[0].path == str(tmp_path / "a.wav")


def test_a_file_name_that_is_not_utf_8_is_kept_and_a_caption_with_a_surrogate_is_refused(tmp_path):
    name = "caf\udce9.wav"
    clip = Clip("x\udce9", str(tmp_path / name), (Caption("x\udce9#0", "rain"),))
    assert facts(again(Manifest("m", (clip,)), tmp_path)) == facts([clip])
    for bad, what in (("\\ud800", "half of a surrogate pair"), ("\\u0000", "a NUL character")):
        (tmp_path / "bad.jsonl").write_text(f'{{"id": "a", "path": "a.wav", "text": "rain {bad}"}}\n')
        with pytest.raises(DataError, match=rf"bad\.jsonl:1: a caption contains {what}; take it out"):
            read_manifest(tmp_path / "bad.jsonl")
        (tmp_path / "t.jsonl").write_text(
            f'{{"file": "a.wav", "text": "rain {bad}"}}\n{{"file": "b.wav", "text": "b"}}'
        )
        manifest = read_dataset(str(tmp_path / "t.jsonl"), need_audio=False)
        assert [clip.clip_id for clip in manifest] == ["b"]
        assert [(fault.kind, fault.where) for fault in manifest.faults] == [
            ("bad character", f"{tmp_path / 't.jsonl'}:1")
        ]


def test_a_link_keeps_its_name(tmp_path):
    (tmp_path / "real.wav").write_bytes(b"RIFF")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link.wav").symlink_to(tmp_path / "real.wav")
    clip = Clip("link", str(tmp_path / "set" / "link.wav"))
    write_manifest(Manifest("m", (clip,)), tmp_path / "set" / "m.jsonl")
    assert json.loads((tmp_path / "set" / "m.jsonl").read_text())["path"] == "link.wav"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "path": "a.wav", "duration_s": "long"}', "duration_s must be a number of seconds, got 'long'"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"id": "a", "path": "a\\u0000.wav"}', "clip_id or path contains a NUL character"),
    ],
)
def test_bad_lines_of_a_manifest_are_named(tmp_path, line, message):
    (tmp_path / "m.jsonl").write_text('{"id": "b", "path": "b\u2028.wav"}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"m\.jsonl:2:? .*{message}"):
        read_manifest(tmp_path / "m.jsonl")
