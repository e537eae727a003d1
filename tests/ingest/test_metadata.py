"""Facts of a file: header, tags, Broadcast WAV and iXML chunks, UCS names, sidecar texts."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import probe
from askaudio.ingest.indexer import manifest_captions
from askaudio.ingest.metadata import read_metadata
from askaudio.ingest.riff import read_chunks
from tones import write_tone


def add_chunk(path: Path, name: bytes, payload: bytes) -> None:
    """Append a chunk to a WAV file."""
    data = path.read_bytes() + name + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def bext(description: str, originator: str, date: str) -> bytes:
    fields = (description.encode().ljust(256, b"\0"), originator.encode().ljust(32, b"\0"), b"\0" * 32)
    return b"".join(fields) + date.encode() + b"12:00:00" + b"\0" * 600


IXML = b"""<?xml version="1.0"?><BWFXML><PROJECT>Storm</PROJECT><SCENE>12A</SCENE><TAKE>3</TAKE>
<NOTE>wind in  mic</NOTE><USER><KEYWORDS>thunder; Heavy Rain</KEYWORDS><CATEGORY>WEATHER</CATEGORY></USER></BWFXML>"""


def test_broadcast_wave_and_ixml(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    add_chunk(path, b"bext", bext("Thunder rolls over the valley", "Recorder", "2021-04-03"))
    add_chunk(path, b"iXML", IXML)
    facts = read_metadata(path, probe(path))
    assert facts["description"] == "Thunder rolls over the valley"
    assert (facts["originator"], facts["recorded"], facts["scene"], facts["take"]) == (
        "Recorder",
        "2021-04-03",
        "12A",
        "3",
    )
    assert (facts["project"], facts["note"]) == ("Storm", "wind in mic")
    assert facts["tags"] == ["thunder", "heavy rain", "weather"]
    assert (facts["duration_s"], facts["channels"], facts["sample_rate_hz"], facts["format"]) == (1.0, 1, 16000, "wav")


@pytest.mark.parametrize(
    "payload",
    [b"", b"<BWFXML><PROJECT>", b'<!DOCTYPE x [<!ENTITY a "b">]><BWFXML><SCENE>&a;</SCENE></BWFXML>', b"\xff\xfe\0"],
)
def test_damaged_chunks_are_left_out(tmp_path: Path, payload: bytes) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    add_chunk(path, b"iXML", payload)
    assert read_chunks(path) == {}
    path.write_bytes(path.read_bytes()[:-3])
    assert read_chunks(path) == {}
    path.write_bytes(b"RIFF\0")
    assert read_chunks(path) == {}


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "wav"])
def test_tags_of_common_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    with soundfile.SoundFile(path, "w", 44100, 2) as file:
        file.title, file.artist, file.genre = "Creaky door", "Ann", "Foley"
        file.write(np.zeros((44100, 2), np.float32))
    facts = read_metadata(path, probe(path))
    assert (facts["title"], facts["artist"], facts["channels"]) == ("Creaky door", "Ann", 2)
    assert "foley" in facts["tags"]


def test_sidecar_and_manifest_captions(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    (tmp_path / "x.wav.txt").write_text("a tone\n\n a  second\tline\0\n", encoding="utf-8")
    assert read_metadata(path, probe(path))["caption"] == ["a tone", "a  second line"]
    assert read_metadata(path, probe(path), ["from a manifest"])["caption"][0] == "from a manifest"
    (tmp_path / "x.wav.txt").write_bytes(b"\xff\xfe")
    assert "caption" not in read_metadata(path, probe(path))


@pytest.mark.parametrize(
    "data",
    [
        "Knarrende Tür\n".encode("cp1252"),
        "Knarrende Tür".encode("utf-8-sig"),
        "Knarrende Tür".encode("utf-16"),
        "Knarrende Tu\u0308r".encode(),
    ],
)
def test_sidecars_in_any_encoding(tmp_path: Path, data: bytes) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    (tmp_path / "x.txt").write_bytes(data)
    assert read_metadata(path, probe(path))["caption"] == "Knarrende Tür"


def test_only_the_head_of_a_long_sidecar_is_read(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    with (tmp_path / "x.txt").open("wb") as file:
        file.write("ä".encode() * 5000)
        file.truncate(1 << 33)
    assert read_metadata(path, probe(path))["caption"] == "ä" * 2000


def test_a_manifest_that_is_a_link_must_end_in_an_indexed_folder(tmp_path: Path) -> None:
    folder, line = tmp_path / "sounds", '{"clip_id": "a", "path": "a.wav", "captions": ["secret"]}\n'
    write_tone(folder / "a.wav", 440)
    (tmp_path / "elsewhere.jsonl").write_text(line)
    (folder / "manifest.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    assert manifest_captions([folder]) == {}
    (folder / "kept").mkdir()
    (folder / "kept" / "captions.jsonl").write_text(line)
    (folder / "manifest.jsonl").unlink()
    (folder / "manifest.jsonl").symlink_to(folder / "kept" / "captions.jsonl")
    assert manifest_captions([folder]) == {str(folder / "a.wav"): ["secret"]}


def test_sidecars_that_are_links_must_end_in_an_indexed_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    path = write_tone(root / "a" / "x.wav", 400)
    (root / "texts").mkdir()
    (root / "texts" / "x.txt").write_text("inside")
    (tmp_path / "secret.txt").write_text("outside")
    link = root / "a" / "x.wav.txt"

    def caption(target: str, roots: list[Path]) -> object:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        return read_metadata(path, probe(path), roots=roots).get("caption")

    assert caption("../texts/x.txt", [root]) == "inside"
    assert caption("../texts/x.txt", []) is None
    (root / "again.txt").symlink_to(tmp_path / "secret.txt")
    for target in ("../../secret.txt", str(tmp_path / "secret.txt"), "../again.txt", "nowhere", "x.wav.txt", "../texts",
                   "/proc/self/environ", "/dev/zero", "/dev/stdin"):  # fmt: skip
        assert caption(target, [root]) is None, target
    assert caption("/proc/self/environ", [Path("/")]) is None


def test_a_pipe_beside_a_sound_is_no_sidecar(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    os.mkfifo(tmp_path / "x.txt")
    assert "caption" not in read_metadata(path, probe(path))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Knarrende Tür, Großküche".encode("cp1252"), "Knarrende Tür, Großküche"),
        ("the dog’s bark".encode("cp1252"), "the dog’s bark"),
        ("café".encode("cp1252"), "café"),
        ("Türen auf".encode(), "Türen auf"),
        (("ü" * 127 + "x" + "ü").encode()[:256], "ü" * 127 + "x"),  # cut by the size of the field
        ("Tür und Fußbö".encode()[:-1], "Tür und Fußb"),  # cut by the writer
        (b"x\x81y", "x?y"),
    ],
)
def test_texts_of_bext(tmp_path: Path, raw: bytes, text: str) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    add_chunk(path, b"bext", raw.ljust(602, b"\0"))
    assert read_chunks(path) == {"description": text}


PROJECT = "<BWFXML><PROJECT>Moor</PROJECT><NOTE>Nébel</NOTE></BWFXML>"


@pytest.mark.parametrize(
    "payload",
    [
        PROJECT.encode(),
        PROJECT.encode() + b"\0\0\0</NOTE></BWFXML>\0\0",
        PROJECT.encode() + b" rubbish <a><b>",
        b"\0\n " + PROJECT.encode("utf-8-sig"),
        PROJECT.encode("utf-8-sig"),
        PROJECT.encode("cp1252"),
        b'<?xml version="1.0" encoding="UTF-8"?>' + PROJECT.encode("cp1252"),
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\r\n' + PROJECT.encode("cp1252"),
        b'<?xml version="1.0" encoding="no-such-code"?>' + PROJECT.encode(),
        PROJECT.encode("utf-16"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + PROJECT).encode("utf-16-le"),
        PROJECT.replace("Moor", "Moor\x01").encode(),
        PROJECT.replace("</BWFXML>", "<SPEED><X").encode(),  # cut
    ],
)
def test_ixml_as_recorders_write_it(tmp_path: Path, payload: bytes) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    add_chunk(path, b"iXML", payload)
    assert read_chunks(path) == {"project": "Moor", "note": "Nébel"}


def test_ixml_with_a_bare_ampersand(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    add_chunk(path, b"iXML", b"<BWFXML><NOTE>cats & dogs &amp; &#102;ish &x;</NOTE></BWFXML>")
    assert read_chunks(path) == {"note": "cats & dogs & fish &x;"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_ixml_with_entities_is_refused(tmp_path: Path, encoding: str) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    bomb = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><BWFXML><NOTE>&a;</NOTE></BWFXML>'
    add_chunk(path, b"iXML", bomb.encode(encoding))
    assert read_chunks(path) == {}


def info(**texts: bytes) -> bytes:
    fields = (n.encode() + struct.pack("<I", len(t)) + t + b"\0" * (len(t) % 2) for n, t in texts.items())
    return b"INFO" + b"".join(fields)


def test_info_after_the_sound(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    texts = info(INAM="Tür".encode("cp1252") + b"\0", IKEY=b"door; Wood", ICMT="dog’s".encode("cp1252"), IXXX=b"y")
    add_chunk(path, b"LIST", texts)
    facts = read_metadata(path, probe(path))
    assert (facts["title"], facts["tags"], facts["comment"]) == ("Tür", ["door", "wood"], "dog’s")
    add_chunk(path, b"LIST", b"INFOINAM\xff\xff\xff\x7fcut")
    assert read_chunks(path)["title"] == "Tür"


def chunk(name: bytes, body: bytes, padding: bytes = b"\0") -> bytes:
    return name + struct.pack("<I", len(body)) + body + padding * (len(body) % 2)


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16000, 16000, 1, 8))


@pytest.mark.parametrize("kind", [b"RF64", b"BW64"])
def test_chunks_after_a_large_data_chunk(tmp_path: Path, kind: bytes) -> None:
    sound = b"\x80" * 16001
    ds64 = struct.pack("<QQQI", 0, len(sound), len(sound), 1) + b"iXML" + struct.pack("<Q", len(PROJECT.encode()))
    tail = chunk(b"bext", b"after data".ljust(602, b"\0")) + b"iXML\xff\xff\xff\xff" + PROJECT.encode()
    parts = b"WAVE" + chunk(b"ds64", ds64) + FMT + b"data\xff\xff\xff\xff" + sound + b"\0" + tail
    (tmp_path / "x.wav").write_bytes(kind + b"\xff\xff\xff\xff" + parts)
    assert read_chunks(tmp_path / "x.wav") == {"project": "Moor", "note": "Nébel", "description": "after data"}


def test_a_chunk_without_its_padding_byte_hides_nothing(tmp_path: Path) -> None:
    parts = b"WAVE" + FMT + chunk(b"data", b"\x80" * 16001, b"") + chunk(b"iXML", PROJECT.encode())
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(parts)) + parts)
    assert read_chunks(tmp_path / "x.wav") == {"project": "Moor", "note": "Nébel"}


def test_a_name_that_is_not_utf8_gives_readable_facts(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode("DOORWood_Tür_AB_Lib.wav".encode("cp1252"))
    write_tone(tmp_path / "x.wav", 400).rename(path)
    assert read_metadata(path, probe(path))["title"] == "Tür"
