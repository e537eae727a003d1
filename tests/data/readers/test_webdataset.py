"""Tar shards: captions from json and txt, ids, hostile names, broken tars."""

import io
import json
import tarfile
from pathlib import Path

import pytest
import soundfile

from askaudio.audio.decode import decode
from askaudio.core.errors import DataError
from askaudio.data.readers.open import open_dataset, read_dataset
from layouts import RATE_HZ, tone


def flac(seed: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(440, seed, 0.2), RATE_HZ, format="FLAC")
    return buffer.getvalue()


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def spec(place: Path, root: Path) -> str:
    return f"wds:{place}?cache={root / 'cache'}"


def test_shards_with_json_and_txt(tmp_path):
    def sample(name: str, text: object, seed: int) -> list[tuple[str, bytes]]:
        return [(f"{name}.flac", flac(seed)), (f"{name}.json", json.dumps({"text": text, "tag": ["x"]}).encode())]

    write_tar(tmp_path / "set" / "train" / "000.tar", sample("a", ["A dog", "Barking"], 0) + sample("b", "A cat", 1))
    write_tar(tmp_path / "set" / "valid" / "000.tar", [("a.txt", b"A bell\n\nRinging\n"), ("a.flac", flac(2))])
    manifest = open_dataset(spec(tmp_path / "set", tmp_path))
    assert [(c.clip_id.split("@")[0], c.split, [t.text for t in c.captions]) for c in manifest] == [
        ("a", "train", ["A dog", "Barking"]),
        ("b", "train", ["A cat"]),
        ("a", "val", ["A bell", "Ringing"]),
    ]
    assert manifest.clips[1].clip_id == "b"  # only ids that clash carry a hash
    assert decode(manifest.clips[0].path, RATE_HZ).shape == (int(0.2 * RATE_HZ),)
    assert len(open_dataset(f"{spec(tmp_path / 'set', tmp_path)}&split=val")) == 1
    other = open_dataset(f"{spec(tmp_path / 'set', tmp_path)}&caption=tag")
    assert [c.text for c in other.clips[0].captions] == ["x"]


def test_the_package_webdataset_agrees(tmp_path):
    wds = pytest.importorskip("webdataset")
    with wds.TarWriter(str(tmp_path / "x.tar")) as writer:
        for k in range(3):
            writer.write({"__key__": f"clip{k}", "flac": flac(k), "json": {"caption": f"caption {k}"}})
    manifest = open_dataset(spec(tmp_path / "x.tar", tmp_path))
    assert [(c.clip_id, c.captions[0].text) for c in manifest] == [(f"clip{k}", f"caption {k}") for k in range(3)]


@pytest.mark.parametrize(
    ("name", "captions"),
    [
        ("../../escaped", ["A dog"]),
        ("ABSOLUTE/escaped", ["A dog"]),
        ("a/../../../escaped", ["A dog"]),
        ("..\\escaped", []),  # a file name that starts with a dot has no key: the member is skipped
    ],
)
def test_no_name_in_a_tar_leaves_the_cache(tmp_path, name, captions):
    # four folders deep, so that a relative name that escaped would be below tmp_path, where the test looks
    root, absolute = tmp_path / "a" / "b" / "c" / "d", tmp_path / "absolute"
    name = name.replace("ABSOLUTE", str(absolute))
    tar = write_tar(root / "x.tar", [(f"{name}.flac", flac(0)), (f"{name}.txt", b"A dog")])
    manifest = read_dataset(spec(tar, root))
    cache = root / "cache"
    assert [clip.captions[0].text for clip in manifest] == captions
    for clip in manifest:
        assert Path(clip.path).is_file() and Path(clip.path).resolve().is_relative_to(cache.resolve())
    written = {p for p in tmp_path.rglob("*") if p.is_file() and not p.is_relative_to(cache)}
    assert written == {tar} and not absolute.exists()


def test_links_and_devices_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        link = tarfile.TarInfo("a.flac")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        device = tarfile.TarInfo("b.flac")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
        text = tarfile.TarInfo("a.txt")
        text.size = 5
        tar.addfile(text, io.BytesIO(b"A dog"))
    with pytest.raises(DataError, match="no clip can be used"):
        open_dataset(spec(tmp_path / "x.tar", tmp_path))


def test_members_without_audio_or_caption_are_counted(tmp_path):
    members = [("a.txt", b"alone"), ("b.flac", flac(0)), ("c.json", b"{broken"), ("c.flac", flac(1)), ("d.wav", b"")]
    manifest = open_dataset(spec(write_tar(tmp_path / "x.tar", members), tmp_path))
    assert [clip.clip_id for clip in manifest] == ["b", "c"]
    assert sorted(fault.kind for fault in manifest.faults) == ["no audio", "no caption", "no caption", "not audio"]


def test_broken_and_absent_tars(tmp_path):
    whole = write_tar(tmp_path / "x.tar", [("a.flac", flac(0)), ("a.txt", b"A dog")]).read_bytes()
    (tmp_path / "x.tar").write_bytes(whole[:700])
    with pytest.raises(DataError, match=r"x.tar is broken .*copy it again"):
        open_dataset(spec(tmp_path / "x.tar", tmp_path))
    assert not list((tmp_path / "cache").rglob("rows.jsonl"))  # a later, whole copy starts again
    with pytest.raises(DataError, match="no tar at"):
        open_dataset(f"wds:{tmp_path / 'none-*.tar'}")


def test_texts_in_other_encodings_and_with_line_separators(tmp_path):
    text = "the dog\u2019s bark"
    members = [("a.flac", flac(0)), ("a.txt", f"{text}\r\nrain\u2028roof\r\n".encode("utf-16"))]
    members += [("b.flac", flac(1)), ("b.txt", f"{text}\n".encode("cp1252"))]
    members += [("c.flac", flac(2)), ("c.json", json.dumps({"text": text}, ensure_ascii=False).encode("cp1252"))]
    members += [
        ("d.flac", flac(3)),
        ("d.json", b'{"text": "half \\ud800"}'),
        ("e.flac", flac(4)),
        ("e.json", b"[" * 99999),
    ]
    manifest = open_dataset(spec(write_tar(tmp_path / "x.tar", members), tmp_path))
    assert {clip.clip_id: [c.text for c in clip.captions] for clip in manifest} == {
        "a": [text, "rain\u2028roof"],
        "b": [text],
        "c": [text],
        "e": [],
    }
    assert [fault.kind for fault in manifest.faults] == ["bad character", "no caption"]
