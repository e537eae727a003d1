"""Facts of a file: header, tags, Broadcast WAV and iXML chunks, UCS names, sidecar texts."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import probe
from askaudio.ingest.metadata import read_metadata
from askaudio.ingest.riff import read_chunks
from askaudio.ingest.ucs import read_ucs_name
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


@pytest.mark.parametrize(
    ("stem", "facts"),
    [
        (
            "DOORWood_Creaky Cellar Door_AB_MyLib_take3",
            {"cat_id": "DOORWood", "category": "door", "subcategory": "Wood", "title": "Creaky Cellar Door",
             "creator": "AB", "library": "MyLib"},
        ),
        ("AMBForst-DAWN_Birds_AB_Lib", {"cat_id": "AMBForst", "category": "ambience", "subcategory": "Forst",
                                        "user_category": "DAWN", "title": "Birds", "creator": "AB", "library": "Lib"}),
        ("WATRWave_Sea", {"cat_id": "WATRWave", "category": "water", "subcategory": "Wave", "title": "Sea"}),
        ("door_creak", {}),
        ("DOOR_x", {}),
        ("DOORWood", {}),
        ("DSC01234_x", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_ucs_names(stem: str, facts: dict[str, str]) -> None:
    assert read_ucs_name(stem) == facts


def test_sidecar_and_manifest_captions(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "x.wav", 400)
    (tmp_path / "x.wav.txt").write_text("a tone\n\n a  second\tline\0\n", encoding="utf-8")
    assert read_metadata(path, probe(path))["caption"] == ["a tone", "a  second line"]
    assert read_metadata(path, probe(path), ["from a manifest"])["caption"][0] == "from a manifest"
    (tmp_path / "x.wav.txt").write_bytes(b"\xff\xfe")
    assert isinstance(read_metadata(path, probe(path))["caption"], str)
