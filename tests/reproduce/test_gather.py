"""``gather`` on packages built here, without network: sounds kept, broken ones counted, NC licences refused."""

import fcntl
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import decode
from askaudio.data.manifest import read_manifest
from reproduce.small import gather
from reproduce.small.gathering import found, licences, rendered

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
FREE = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files-Excluded: old/CC-BY-NC-3.0.wav

Files: *
Copyright: 2019 Ada Sound
License: CC0-1.0

Files: data/sounds/*
Copyright: 2020 Bo Noise <bo@example.org>
License: CC-BY-3.0

Files: m4/libtool.m4
Copyright: 2001 Someone Else
License: GPL-2+ with Libtool exception
"""


def tone(path: Path, duration_s: float, rate_hz: int = 16_000, hz: float = 440.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hz * np.arange(int(duration_s * rate_hz)) / rate_hz), rate_hz)


def build_deb(folder: Path, copyright_text: str) -> Path:
    """The package bleeps 1.0: a short sound, a copy of it, a long one, a broken one, silence, and a zip with one."""
    root = folder / "root"
    sounds = root / "usr/share/games/bleeps/sounds"
    tone(sounds / "dogs/bigBark_02.wav", 0.5)
    shutil.copy(sounds / "dogs/bigBark_02.wav", sounds / "same.wav")
    tone(sounds / "long.flac", 70.0, 8_000, hz=300.0)
    (sounds / "broken.ogg").write_bytes(b"OggS but not really")
    soundfile.write(sounds / "silence.wav", np.zeros(8_000), 8_000)
    tone(folder / "inner.wav", 0.3, hz=900.0)
    with zipfile.ZipFile(sounds / "more.pk3", "w") as archive:
        archive.write(folder / "inner.wav", "weapons/laser.wav")
    text = root / "usr/share/doc/bleeps/copyright"
    text.parent.mkdir(parents=True)
    text.write_text(copyright_text)
    control = root / "DEBIAN/control"
    control.parent.mkdir()
    control.write_text("Package: bleeps\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@b>\nDescription: bleeps\n")
    subprocess.run(["dpkg-deb", "-Znone", "-b", root, folder / "bleeps.deb"], check=True, capture_output=True)
    return folder / "bleeps.deb"


@needs_dpkg
def test_a_package_becomes_clips_with_words_groups_and_licences(tmp_path: Path) -> None:
    deb, out = build_deb(tmp_path, FREE), tmp_path / "out"
    out.mkdir()
    outcome = gather.gather_deb(deb, "effects", 500, found.Store(out, set()))
    assert (outcome.files, outcome.broken, outcome.version) == (5, 1, "1.0")  # 1 short, 3 pieces, 1 in the zip
    clips = {c.clip_id: c for c in read_manifest(out / "manifest.jsonl")}
    bark = clips["bleeps/bleeps/sounds/dogs/bigBark_02"]
    assert bark.captions[0].text == "dogs big bark"
    assert bark.group == "bleeps:bleeps/sounds/dogs/bigBark"
    assert bark.licence.startswith("CC-BY-3.0, CC0-1.0")  # the build script's licence says nothing about sounds
    assert bark.source == "Debian package bleeps 1.0"
    assert bark.extra["author"] == "Ada Sound; Bo Noise; Someone Else"
    assert not bark.label
    pieces = [c for c in clips.values() if "@" in c.clip_id]
    assert [c.duration_s for c in pieces] == [30.0] * 3
    assert len({c.group for c in pieces}) == 1
    wave = decode(bark.path, 32_000)
    assert soundfile.info(bark.path).samplerate == 32_000
    spectrum = np.abs(np.fft.rfft(wave))
    assert spectrum.argmax() * 32_000 / len(wave) == pytest.approx(440.0, abs=2.1)
    assert "Bo Noise" in (out / "licences/bleeps.txt").read_text()


@needs_dpkg
def test_a_licence_without_commercial_use_is_refused_and_leaves_no_sound(tmp_path: Path) -> None:
    deb, out = build_deb(tmp_path, FREE.replace("CC-BY-3.0\n", "CC-BY-NC-3.0\n")), tmp_path / "out"
    out.mkdir()
    with pytest.raises(licences.Refused, match="CC-BY-NC"):
        gather.gather_deb(deb, "effects", 500, found.Store(out, set()))
    assert not (out / "audio").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no copyright file"),
        ("License: CC-BY-ND-2.0\n", "CC-BY-ND"),
        ("License: CC BY-NC-SA 4.0\n", "BY-NC-SA"),
        ("The sounds are free for non-commercial use.", "non-commercial use"),
        ("License: http://creativecommons.org/licenses/by-nc/2.0/\n", "by-nc"),
    ],
)
def test_refusals_say_what_the_file_said(text: str, said: str) -> None:
    with pytest.raises(licences.Refused, match=said):
        licences.read(text)


def test_free_copyright_files_give_short_names() -> None:
    assert licences.read("License: http://creativecommons.org/licenses/by-sa/2.0/\n").names == "CC-BY-SA-2.0"
    assert licences.read("see /usr/share/common-licenses/GPL-2, some sounds are public domain").names == (
        "GPL-2, public-domain"
    )
    assert licences.read("may be used for commercial and non-commercial purposes; MIT").names == "MIT"


def test_an_unfinished_package_is_dropped_when_the_run_goes_on(tmp_path: Path) -> None:
    rows = [{"id": p, "path": "x.flac", "package": p, "sha1": p} for p in ("whole", "half")]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"id": "cut off')
    store = found.Store(tmp_path, {"whole"})
    assert [c.clip_id for c in read_manifest(tmp_path / "manifest.jsonl")] == ["whole"]
    assert store.seen == {"whole"}


def test_what_apt_does_not_have_is_an_outcome_and_the_table_names_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "reproduce.small.gathering.apt.subprocess.run", lambda *a, **k: subprocess.CompletedProcess(a, 100, "", "")
    )
    entries = [gather.Entry("effects", "no-such-package", 500)]
    (outcome,) = gather.gather(entries, tmp_path, 10, 1.0)
    assert (outcome.status, outcome.reason) == ("refused", "not in this Debian")
    assert "- no-such-package: not in this Debian" in gather.table(gather.read_outcomes(tmp_path))
    assert list(gather.gather(entries, tmp_path, 10, 1.0)) == []  # has its outcome already


def test_the_table_of_packages_reads_and_names_each_once() -> None:
    entries = gather.read_packages(gather.PACKAGES)
    names = [e.package for e in entries]
    assert len(names) == len(set(names)) > 200
    assert {e.kind for e in entries} == {"effects", "speech", "music", "render"}
    assert {e.package for e in entries if e.kind == "render"} == set(rendered.SOURCES)
    assert not {"0ad-data", "megaglest-data", "supertux-data"} & set(names)  # measured on, so never learned from


def test_midi_plays_one_phrase_in_each_slot() -> None:
    phrases = list(rendered._phrases(rendered.random.Random(0)))
    assert len({name for name, _ in phrases}) == len(phrases) == 128 * 4 + 47 + 40
    assert all(0 <= at <= rendered.PLAYED_MS for _, events in phrases for at, _ in events)
    data = rendered._midi([[(5, b"\x90\x3c\x40")], [(200, b"\x80\x3c\x00")]])
    assert data[:4] == b"MThd" and data.endswith(b"\xff\x2f\x00")
    slot = rendered._varlen(rendered.SLOT_MS + 200 - 5)
    assert slot + b"\x80\x3c\x00" in data


def test_many_sounds_are_thinned_evenly() -> None:
    assert found.spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert found.spread([1, 2], 4) == [1, 2]


def test_a_second_run_on_the_same_folder_is_turned_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert gather.main([str(tmp_path)]) == 2
    assert "another run is writing" in capsys.readouterr().err
    assert not (tmp_path / "manifest.jsonl").exists()
