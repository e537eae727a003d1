"""Extract the sounds of a package and store them: 32 kHz mono FLAC files with one manifest row each.

Archives inside a package (the .pk3, .wz, .zip files of games, Qt's .rcc) are opened too. At most four pieces, evenly
spaced, are kept of a track longer than 30 s, so that music does not outnumber the effects.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import soundfile

from askaudio.audio.decode import decode
from askaudio.core.errors import AudioDecodeError
from askaudio.core.files import atomic_path

from .resources import in_rcc

RATE_HZ = 32_000
PIECE_S = 30.0
MOST_PIECES = 4
SHORTEST_S = 0.1
SILENCE = 1e-3  # a peak below this is no sound
AUDIO = {".ogg", ".oga", ".opus", ".wav", ".flac", ".mp3", ".aiff", ".aif", ".au", ".snd"}
ZIPS = {".zip", ".pk3", ".pk4", ".wz", ".love", ".jar", ".sb", ".h2drumkit"}
DULL = {  # folder names that do not describe the sound
    "sounds", "sound", "sfx", "audio", "data", "snd", "wav", "wavs", "ogg", "share", "games", "usr", "music", "effects",
    "samples", "media", "base", "stereo", "resources", "files", "misc", "res", "lib", "opus", "gamedata", "assets",
}  # fmt: skip

Row = dict[str, Any]


def copyright_text(tar: Path) -> str:
    """The copyright files of a package's data.tar, joined."""
    with tarfile.open(tar) as archive:
        stem = [m for m in archive if m.isfile() and re.search(r"share/doc/[^/]+/copyright$", m.name)]
        return "\n".join((archive.extractfile(m) or io.BytesIO()).read().decode("utf-8", "replace") for m in stem)


def in_tar(tar: Path, most: int) -> Iterator[tuple[str, bytes]]:
    """(name inside the package, bytes) of at most ``most`` sounds, spread over all of them."""
    with tarfile.open(tar) as archive:
        members = [m for m in archive if m.isfile() and m.size]
        plain = [m for m in members if PurePosixPath(m.name).suffix.lower() in AUDIO]
        for member in spread(sorted(plain, key=lambda m: m.name), most):
            yield _short(member.name), _bytes(archive, member)
        for member in members:
            kind = PurePosixPath(member.name).suffix.lower()
            if kind in ZIPS:
                yield from _in_zip(_short(member.name), _bytes(archive, member), most)
            elif kind == ".rcc":
                inside = sorted(in_rcc(_bytes(archive, member)))
                yield from spread([x for x in inside if PurePosixPath(x[0]).suffix.lower() in AUDIO], most)


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


def _in_zip(name: str, data: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = sorted(n for n in archive.namelist() if PurePosixPath(n).suffix.lower() in AUDIO)
            for inner in spread(inside, most):
                yield f"{name}/{inner}", archive.read(inner)
    except zipfile.BadZipFile:
        return  # not an archive, despite its name


def spread(items: list[Any], most: int) -> list[Any]:
    """At most ``most`` of the items, evenly spaced, so that no folder is left out."""
    if len(items) <= most:
        return items
    return [items[k * len(items) // most] for k in range(most)]


def _short(name: str) -> str:
    return re.sub(r"^(\./)?usr/(share/|lib/)?(games/|sounds/)?", "", name)


def words(name: str) -> str:
    """Words of a file's name, and of its folder unless that is a generic name.

    ``animals/dogBark_02.ogg`` -> "animals dog bark".
    """
    path = PurePosixPath(name)
    parts = [path.parent.name] if path.parent.name.lower() not in DULL else []
    found: list[str] = []
    for part in [*parts, path.stem]:
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part)
        found += [w for w in re.split(r"[\W_]+|(?<=\D)\d+$", spaced.lower()) if w and w not in found]
    spoken = [w for w in found if not w.isdigit()]
    return " ".join(spoken or found)


def pieces(data: bytes) -> list[np.ndarray]:
    """Waveforms (S,) float32 at 32 kHz of at most 30 s: one of a short sound, up to four spread over a long one.

    Raises:
        AudioDecodeError: The bytes are not audio or break off.
    """
    with _reading(data) as file:
        rate, frames = file.samplerate, file.frames
        if frames <= PIECE_S * rate or frames > 1 << 40:
            return [decode(data, RATE_HZ)[: int(PIECE_S * RATE_HZ)]]
        n = min(MOST_PIECES, -int(-frames // (PIECE_S * rate)))
        length = int(PIECE_S * rate)
        found = []
        for k in range(n):
            try:
                file.seek((frames - length) * k // max(1, n - 1))
                block = file.read(length, dtype="float32", always_2d=True)  # (n, C)
            except (soundfile.SoundFileError, RuntimeError) as error:
                raise AudioDecodeError("<sound>", f"broken in the middle ({error})") from error
            wav = io.BytesIO()
            soundfile.write(wav, block, rate, format="WAV", subtype="FLOAT")
            found.append(decode(wav.getvalue(), RATE_HZ))
        return found


def _reading(data: bytes) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(io.BytesIO(data))
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise AudioDecodeError("<sound>", str(error)) from error


class Store:
    """OUT/audio and OUT/manifest.jsonl; rows of a package that was not finished are dropped on opening."""

    def __init__(self, out: Path, finished: set[str]) -> None:
        self.out = out
        self.manifest = out / "manifest.jsonl"
        kept = self.manifest.read_text(encoding="utf-8").splitlines() if self.manifest.exists() else []
        rows = [r for r in map(_row, kept) if r is not None and r["package"] in finished]
        self.seen = {r["sha1"] for r in rows}
        self._ids = {r["id"] for r in rows}
        with atomic_path(self.manifest) as temporary:
            temporary.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")

    def keep_copyright(self, package: str, text: str) -> None:
        """OUT/licences/PACKAGE.txt: whoever uses a sound can look up its authors."""
        path = self.out / "licences" / f"{package}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def add(self, package: str, name: str, data: bytes) -> tuple[list[Row], str]:
        """Write one sound's pieces; returns their rows (none for a duplicate or silence) and the fault, if any."""
        digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()[:16]
        if digest in self.seen:
            return [], ""
        self.seen.add(digest)
        try:
            waves = pieces(data)
        except (AudioDecodeError, soundfile.SoundFileError) as error:
            return [], str(error)[:160]
        stem = re.sub(r"[^\w/-]+", "_", str(PurePosixPath(name).with_suffix("")))
        group = f"{package}:{re.sub(r'[-_ ]*[0-9]+$', '', stem) or stem}"
        rows = []
        for k, wave in enumerate(waves):
            if len(wave) < SHORTEST_S * RATE_HZ or np.abs(wave).max() < SILENCE:
                continue
            clip = self._new_id(f"{package}/{stem}" + (f"@{k}" if len(waves) > 1 else ""))
            path = self.out / "audio" / f"{clip}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave, RATE_HZ, subtype="PCM_16", compression_level=0.2)
            duration_s = round(len(wave) / RATE_HZ, 3)
            row = {"id": clip, "path": f"audio/{clip}.flac", "text": words(name), "label": "", "group": group}
            rows.append(row | {"duration_s": duration_s, "package": package, "sha1": digest})
        return rows, ""

    def _new_id(self, stem: str) -> str:
        clip, k = stem, 2
        while clip in self._ids:
            clip, k = f"{stem}~{k}", k + 1
        self._ids.add(clip)
        return clip

    def commit(self, rows: list[Row]) -> None:
        """Append a finished package's rows in one write."""
        with self.manifest.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


def _row(line: str) -> Row | None:
    try:
        return dict(json.loads(line))
    except json.JSONDecodeError:  # a line that was being written when the run was killed
        return None
