"""Plans: texts are written without touching the sound, files are renamed, and undo restores every byte; crashes too."""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.core.errors import DataError
from askaudio.core.files import sha256_file
from askaudio.ingest.riff import read_chunks
from askaudio.tagging import apply as applying
from askaudio.tagging.apply import apply_plan, read_back, undo_file, undo_plan
from askaudio.tagging.categories import category_of
from askaudio.tagging.delta import apply_delta, make_delta
from askaudio.tagging.file_tags import read_tags, sound_of_file, write_tags
from askaudio.tagging.plan import make_plan, read_plan
from askaudio.tagging.propose import Proposal

RATE_HZ = 16_000
SOUND = (0.3 * np.sin(np.arange(8000) * 0.2)).astype(np.float32)
TEXTS = {
    "category": "DOORS", "subcategory": "WOOD", "cat_id": "DOORWood", "keywords": "door, creak, wood",
    "title": "Creaky Cellar Door", "description": "Creaky cellar door: wooden door, öffnen",
}  # fmt: skip
FORMATS = {
    "a.wav": {}, "b.flac": {}, "c.mp3": {"format": "MP3"}, "d.ogg": {"format": "OGG", "subtype": "VORBIS"},
    "e.opus": {"format": "OGG", "subtype": "OPUS"}, "f.aiff": {},
}  # fmt: skip


def write_sound(path: Path, **settings) -> Path:
    rate = 48_000 if path.suffix == ".opus" else RATE_HZ
    soundfile.write(path, SOUND, rate, **settings)
    return path


def needs_mutagen(name: str) -> None:
    if not name.endswith(".wav"):
        pytest.importorskip("mutagen")


def proposal(
    path: Path, cat_id: str = "DOORWood", probability: float = 0.9, title: str = "Creaky Cellar Door"
) -> Proposal:
    return Proposal(
        str(path), category_of(cat_id), probability, (), ("door", "creak"), "Creaky cellar door: wooden door", title
    )


def planned(tmp_path: Path, files: list[Path], to="tags", rename=True, **settings) -> Path:
    plan, left = make_plan([proposal(file) for file in files], to, rename, **settings)
    assert not left
    plan.save(tmp_path / "plan.json")
    return tmp_path / "plan.json"


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file with its content and modification time."""
    return {p.name: (sha256_file(p), p.stat().st_mtime_ns) for p in folder.iterdir() if p.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "sounds"
    made.mkdir()
    return made


# --- formats ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FORMATS)
def test_texts_are_read_back_and_the_sound_is_the_same(tmp_path, name):
    needs_mutagen(name)
    source = write_sound(tmp_path / name, **FORMATS[name])
    target = tmp_path / f"new{source.suffix}"
    write_tags(source, target, TEXTS)
    found = read_tags(target)
    assert {key: found[key].lower() for key in TEXTS if key != "keywords"} == {
        key: text.lower() for key, text in TEXTS.items() if key != "keywords"
    }
    assert {"door", "creak", "wood"} <= set(found["keywords"].split(", "))
    np.testing.assert_array_equal(soundfile.read(source)[0], soundfile.read(target)[0])
    assert sound_of_file(source) == sound_of_file(target)


@pytest.mark.parametrize("name", FORMATS)
def test_undo_restores_the_bytes_the_name_and_the_time(folder, tmp_path, name):
    needs_mutagen(name)
    file = write_sound(folder / name, **FORMATS[name])
    os.utime(file, ns=(1, 1_600_000_000_123_456_789))
    before = state_of(folder)
    plan = planned(tmp_path, [file], creator="AB", source="LIB")
    assert apply_plan(plan).left == {}
    assert list(state_of(folder)) == [f"DOORWood_Creaky Cellar Door_AB_LIB{file.suffix}"]
    assert read_back(plan)[0]["state"] == "applied"
    assert undo_file(plan).stat().st_size < 4 * 2**14  # not a copy of the sound
    assert undo_plan(plan).left == {}
    assert state_of(folder) == before
    assert apply_plan(plan).left == {}  # and it can be applied again
    assert undo_plan(plan).left == {} and state_of(folder) == before


def test_other_chunks_and_other_elements_are_kept(tmp_path):
    source = write_sound(tmp_path / "x.wav")
    xml = b"<BWFXML><SCENE>12</SCENE><USER><CATEGORY>OLD</CATEGORY></USER></BWFXML> "
    bext = bytearray(602 + 5)
    bext[0:3], bext[256:259], bext[602:607] = b"old", b"me!", b"coded"
    data = bytearray(source.read_bytes())
    for chunk, payload in ((b"odd ", b"abc"), (b"iXML", xml), (b"bext", bytes(bext))):
        data += chunk + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
    data[4:8] = struct.pack("<I", len(data) - 8)
    source.write_bytes(data)
    write_tags(source, tmp_path / "y.wav", TEXTS)
    written = (tmp_path / "y.wav").read_bytes()
    assert b"odd \x03\0\0\0abc\0" in written and b"coded" in written
    assert struct.unpack("<I", written[4:8])[0] == len(written) - 8
    facts = read_chunks(tmp_path / "y.wav")
    assert (facts["scene"], facts["category"], facts["originator"]) == ("12", "DOORS", "me!")
    assert facts["description"] == TEXTS["description"]


def test_rf64_keeps_its_sizes(tmp_path):
    source = write_sound(tmp_path / "x.wav", format="RF64", subtype="PCM_16")
    if source.read_bytes()[:4] != b"RF64":  # libsndfile writes RIFF where that is possible
        raw = source.read_bytes()
        place = raw.index(b"data")
        head = b"RF64" + b"\xff" * 4 + b"WAVE" + b"ds64" + struct.pack("<IQQQI", 28, 0, len(raw) - place - 8, 8000, 0)
        fmt = raw.index(b"fmt ")
        source.write_bytes(head + raw[fmt : fmt + 24] + b"data" + b"\xff" * 4 + raw[place + 8 :])
    write_tags(source, tmp_path / "y.wav", TEXTS)
    written = (tmp_path / "y.wav").read_bytes()
    assert written[:4] == b"RF64" and struct.unpack("<Q", written[20:28])[0] == len(written) - 8
    np.testing.assert_array_equal(soundfile.read(source)[0], soundfile.read(tmp_path / "y.wav")[0])
    assert read_chunks(tmp_path / "y.wav")["cat_id"] == "DOORWood"


@pytest.mark.parametrize("damage", ["cut", "junk", "entity", "text"])
def test_a_damaged_wav_is_left_alone(folder, tmp_path, damage):
    file = write_sound(folder / "x.wav")
    data = file.read_bytes()
    bad = b"<!DOCTYPE a [<!ENTITY b 'c'>]><BWFXML>&b;</BWFXML>" if damage == "entity" else b"<BWFXML"
    chunk = b"iXML" + struct.pack("<I", len(bad)) + bad + b"\0" * (len(bad) % 2)
    file.write_bytes(
        {"cut": data[:-100], "junk": data + b"junk!", "entity": data + chunk, "text": data + chunk}[damage]
    )
    before = state_of(folder)
    plan = planned(tmp_path, [file])
    outcome = apply_plan(plan)
    assert "--write sidecars" in outcome.left[str(file)] and state_of(folder) == before


def test_a_long_description_is_cut_between_characters_in_bext(tmp_path):
    source = write_sound(tmp_path / "x.wav")
    text = "x" * 255 + "ö and more"
    write_tags(source, tmp_path / "y.wav", {"description": text})
    assert read_chunks(tmp_path / "y.wav")["description"] == "x" * 255


# --- plans ------------------------------------------------------------------------------------------------------
def test_existing_texts_are_kept_unless_they_are_to_be_replaced(folder, tmp_path):
    file = write_sound(folder / "x.wav")
    write_tags(file, folder / "y.wav", {"category": "AIR", "description": "mine"})
    plan, _ = make_plan([proposal(folder / "y.wav")], "tags", False)
    assert "category" not in plan.actions[0].write and plan.actions[0].write["subcategory"] == "WOOD"
    plan, _ = make_plan([proposal(folder / "y.wav")], "tags", False, replace_texts=True)
    assert plan.actions[0].write["category"] == "DOORS"


def test_unsure_files_are_in_the_plan_and_not_chosen(folder, tmp_path):
    files = [write_sound(folder / "a.wav"), write_sound(folder / "b.wav")]
    plan, _ = make_plan([proposal(files[0]), proposal(files[1], probability=0.2)], "tags", True)
    plan.save(tmp_path / "plan.json")
    assert [action.apply for action in plan.actions] == [True, False]
    outcome = apply_plan(tmp_path / "plan.json")
    assert outcome.done == [str(files[0])] and outcome.skipped == 1 and files[1].exists()


def test_equal_titles_get_numbers(folder):
    plan, _ = make_plan([proposal(write_sound(folder / n)) for n in ("a.wav", "b.wav")], None, True)
    assert [a.rename for a in plan.actions] == ["DOORWood_Creaky Cellar Door.wav", "DOORWood_Creaky Cellar Door 02.wav"]


def test_links_and_files_with_several_names_are_not_planned(folder):
    file = write_sound(folder / "a.wav")
    (folder / "link.wav").symlink_to(file)
    os.link(file, folder / "hard.wav")
    _, left = make_plan([proposal(folder / "link.wav"), proposal(folder / "hard.wav")], "tags", True)
    assert "is a link" in left[str(folder / "link.wav")] and "hard links" in left[str(folder / "hard.wav")]


def test_a_write_protected_file_is_not_planned(folder):
    file = write_sound(folder / "a.wav")
    file.chmod(0o444)
    _, left = make_plan([proposal(file)], "tags", True)
    assert "write-protected" in left[str(file)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rename": "../evil.wav"}, "name in the same folder"),
        ({"rename": "x.mp3"}, "ends in .wav"),
        ({"path": "a.wav"}, "absolute"),
        ({"write": {"artist": "x"}}, "unknown fields artist"),
        ({"to": "cloud"}, "tags or sidecar"),
        ({"sha256": None, "size_bytes": "many"}, "damaged"),
    ],
)
def test_an_edited_plan_is_checked(folder, tmp_path, change, message):
    plan = planned(tmp_path, [write_sound(folder / "a.wav")])
    content = json.loads(plan.read_text())
    content["actions"][0] |= change
    plan.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_plan(plan)


def test_two_files_cannot_get_one_name(folder, tmp_path):
    plan = planned(tmp_path, [write_sound(folder / "a.wav"), write_sound(folder / "b.wav")])
    content = json.loads(plan.read_text())
    content["actions"][1]["rename"] = content["actions"][0]["rename"]
    plan.write_text(json.dumps(content))
    with pytest.raises(DataError, match="would both become"):
        apply_plan(plan)


# --- applying ---------------------------------------------------------------------------------------------------
def test_a_file_that_changed_since_the_plan_is_left_alone(folder, tmp_path):
    file = write_sound(folder / "a.wav")
    plan = planned(tmp_path, [file])
    stat = file.stat()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and time, other content
    assert "has changed since the plan" in apply_plan(plan).left[str(file)]
    assert file.read_bytes() == bytes(data)


def test_a_file_that_changed_after_the_plan_was_applied_is_not_undone(folder, tmp_path):
    file = write_sound(folder / "a.wav")
    plan = planned(tmp_path, [file], rename=False)
    apply_plan(plan)
    file.write_bytes(file.read_bytes() + b"\0\0")
    assert "has changed since the plan was applied" in undo_plan(plan).left[str(file)]


def test_an_existing_file_is_never_replaced(folder, tmp_path):
    file = write_sound(folder / "a.wav")
    plan = planned(tmp_path, [file])
    (folder / "DOORWood_Creaky Cellar Door.wav").write_bytes(b"mine")
    assert "exists already" in apply_plan(plan).left[str(file)]
    assert (folder / "DOORWood_Creaky Cellar Door.wav").read_bytes() == b"mine"


@pytest.mark.parametrize("rename", [False, True])
def test_sidecars_are_made_extended_moved_and_undone(folder, tmp_path, rename):
    made, own = write_sound(folder / "a.wav"), write_sound(folder / "b.wav")
    (folder / "b.txt").write_bytes(b"my own words")
    before = state_of(folder)
    plan = planned(tmp_path, [made, own], to="sidecars", rename=rename)
    assert apply_plan(plan).left == {}
    assert [row["state"] for row in read_back(plan)] == ["applied", "applied"]
    new, extended = ("DOORWood_Creaky Cellar Door.wav.txt", "DOORWood_Creaky Cellar Door 02.txt") if rename else (
        "a.wav.txt", "b.txt"
    )  # fmt: skip
    assert (folder / new).read_text().splitlines()[0] == "Creaky cellar door: wooden door"
    assert (folder / extended).read_text().splitlines()[:2] == ["my own words", "Creaky cellar door: wooden door"]
    assert undo_plan(plan).left == {}
    assert {k: v[0] for k, v in state_of(folder).items()} == {k: v[0] for k, v in before.items()}


def test_formats_without_tags_get_a_sidecar(folder):
    file = write_sound(folder / "a.caf")
    plan, _ = make_plan([proposal(file)], "tags", False)
    assert plan.actions[0].to == "sidecar"


def test_undo_without_a_log_says_so(tmp_path):
    with pytest.raises(DataError, match="nothing of this plan was applied"):
        undo_plan(tmp_path / "plan.json")


# --- crashes ----------------------------------------------------------------------------------------------------
class Killed(BaseException):
    """Ends the process at one of its system calls."""


@pytest.mark.parametrize("to", ["tags", "sidecars"])
@pytest.mark.parametrize("after", range(1, 16))
def test_a_crash_at_any_step_loses_nothing(folder, tmp_path, monkeypatch, to, after):
    files = [write_sound(folder / "a.wav"), write_sound(folder / "b.wav")]
    (folder / "b.txt").write_bytes(b"own")
    before = state_of(folder)
    plan = planned(tmp_path, files, to=to)
    with monkeypatch.context() as patch:
        crash_after(patch, after)
        try:
            apply_plan(plan)
            crashed = False
        except Killed:
            crashed = True
    for file in files:  # the sound exists under one of its names, whole
        there = [p for p in (file, *folder.glob("DOORWood*.wav")) if p.exists()]
        assert any(sound_of_file(p) == sound_of_file(write_sound(tmp_path / "r.wav")) for p in there)
    if undo_file(plan).exists():
        undo_plan(plan)
        left = {k: v for k, v in state_of(folder).items() if not k.startswith(".")}
        assert {k: v[0] for k, v in left.items()} == {k: v[0] for k, v in before.items()}
        assert {k: v[1] for k, v in left.items() if k.endswith(".wav")} == {
            k: v[1] for k, v in before.items() if k.endswith(".wav")
        }
    assert apply_plan(plan).left == {}
    assert sorted(p.name for p in folder.glob("*.wav")) == [
        "DOORWood_Creaky Cellar Door 02.wav", "DOORWood_Creaky Cellar Door.wav",
    ]  # fmt: skip
    assert crashed or after > 5


@pytest.mark.parametrize("after", range(1, 16))
def test_a_crashed_run_continues(folder, tmp_path, monkeypatch, after):
    files = [write_sound(folder / "a.wav"), write_sound(folder / "b.wav")]
    plan = planned(tmp_path, files)
    before = state_of(folder)
    with monkeypatch.context() as patch:
        crash_after(patch, after)
        with contextlib.suppress(Killed):
            apply_plan(plan)
    assert apply_plan(plan).left == {}
    assert [row["state"] for row in read_back(plan)] == ["applied", "applied"]
    with monkeypatch.context() as patch:
        crash_after(patch, after)
        with contextlib.suppress(Killed):
            undo_plan(plan)
    assert undo_plan(plan).left == {}
    assert {k: v for k, v in state_of(folder).items() if not k.startswith(".")} == before


def crash_after(patch, count: int) -> None:
    """Let the process end before the n-th call that changes files; what ``finally`` blocks do is part of the test."""
    left = [count]

    def counted(function):
        def call(*args, **settings):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            if left[0] < 0:
                raise Killed  # a dead process does nothing more
            return function(*args, **settings)

        return call

    patch.setattr(applying.os, "replace", counted(os.replace))
    patch.setattr(applying.os, "link", counted(os.link))
    patch.setattr(applying.os, "fsync", counted(os.fsync))
    patch.setattr(applying.os, "utime", counted(os.utime))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_kill_9_in_the_middle(folder, tmp_path):
    files = [write_sound(folder / f"{n:03d}.wav") for n in range(60)]
    before = state_of(folder)
    plan = planned(tmp_path, files)
    code = f"from askaudio.tagging.apply import apply_plan; apply_plan({str(plan)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    log = undo_file(plan)
    while process.poll() is None and not (log.exists() and log.stat().st_size > 20_000):
        time.sleep(0.005)
    process.kill()
    process.wait()
    sounds = [p for p in folder.iterdir() if not p.name.startswith(".")]
    assert len({p.stat().st_ino for p in sounds}) == 60
    assert all(len(soundfile.read(p)[0]) == len(SOUND) for p in sounds)
    outcome = undo_plan(plan)
    assert outcome.left == {}
    assert {k: v for k, v in state_of(folder).items() if not k.startswith(".")} == before


# --- differences ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(20))
def test_a_delta_restores_any_file(tmp_path, seed):
    rng = np.random.default_rng(seed)
    body = rng.integers(0, 256, int(rng.integers(0, 30_000)), dtype=np.uint8).tobytes()
    if seed % 3 == 0:
        body = bytes(len(body))  # silence is equal to itself at every shift
    old = tmp_path / "old"
    old.write_bytes(rng.bytes(int(rng.integers(0, 50))) + body + rng.bytes(int(rng.integers(0, 50))))
    changed = bytearray(rng.bytes(int(rng.integers(0, 90))) + body + rng.bytes(int(rng.integers(0, 90))))
    for place in rng.integers(0, max(1, len(changed)), 5):
        if len(changed):
            changed[place] ^= 255
    (tmp_path / "new").write_bytes(changed)
    delta = make_delta(old, tmp_path / "new")
    apply_delta(tmp_path / "new", delta, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == old.read_bytes()
    if seed % 3:
        assert len(json.dumps(delta)) < 6000 or len(body) < 8192
