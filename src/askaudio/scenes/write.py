"""Write scenes as a folder: audio files, ``manifest.jsonl``, ``about.json``; atomic, resumable, in several processes.

Scenes are written in batches. A batch's rows are stored, in one atomic step, after its last audio file. An
interrupted run continues after the last complete batch. The manifest is made from the rows of all batches.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.files import atomic_path, read_json, write_json
from askaudio.core.types import Progress, silent
from askaudio.data.manifest import Clip, Manifest, read_manifest, write_manifest
from askaudio.scenes.library import SceneSet
from askaudio.scenes.parallel import in_order
from askaudio.scenes.source import Part

BATCH = 25
FORMATS = ("flac", "wav")
_ROWS = ".rows"


Batch = tuple[Part, int, int]  # part, first scene, scene behind the last


def write_scenes(
    scenes: SceneSet,
    folder: Path | str,
    *,
    audio_format: str = "flac",
    workers: int = 1,
    progress: Progress = silent,
) -> Manifest:
    """Write all scenes; an interrupted run of the same settings continues.

    Args:
        scenes: What to write.
        folder: Target; made if missing. Holds ``audio/``, ``manifest.jsonl`` and ``about.json`` afterwards.
        audio_format: "flac" or "wav", 16 bits.
        workers: Processes; their number does not change the files.
        progress: Told the number of scenes done.

    Returns:
        The manifest, as it would be read back.

    Raises:
        ConfigError: Unknown format.
        DataError: The folder holds scenes made with other settings, or files that are not scenes.
    """
    folder = Path(folder)
    if audio_format not in FORMATS:
        raise ConfigError(f"audio_format must be one of {', '.join(FORMATS)}, got {audio_format!r}")
    about = {**scenes.about(), "counts": dict(scenes.counts), "audio_format": audio_format}
    manifest_path = folder / "manifest.jsonl"
    if _begun(folder, about) and manifest_path.is_file():
        progress(len(scenes), len(scenes))
        return read_manifest(manifest_path)
    write_json(folder / "about.json", about)
    batches = _batches(scenes)
    done = 0
    for written in in_order(_BatchWriter(scenes, folder, audio_format), batches, workers):
        done += written
        progress(done, len(scenes))
    rows = [clip for batch in batches for clip in read_manifest(_rows_path(folder, batch))]
    write_manifest(Manifest(folder.name, tuple(rows)), manifest_path)
    shutil.rmtree(folder / _ROWS)
    return read_manifest(manifest_path)


@dataclass(frozen=True)
class _BatchWriter:
    """Picklable: writes one batch of scenes unless it exists, and returns its number of scenes."""

    scenes: SceneSet
    folder: Path
    audio_format: str

    def __call__(self, batch: Batch) -> int:
        part, first, stop = batch
        rows = _rows_path(self.folder, batch)
        if not rows.is_file():
            clips = [self._write(part, index) for index in range(first, stop)]
            write_manifest(Manifest(rows.stem, tuple(clips)), rows)
        return stop - first

    def _write(self, part: Part, index: int) -> Clip:
        scene = self.scenes.scene(part, index)
        path = (self.folder / scene.clip.path).with_suffix(f".{self.audio_format}")
        with atomic_path(path) as temporary:
            rate = self.scenes.settings.sample_rate_hz
            soundfile.write(temporary, scene.samples, rate, format=self.audio_format.upper(), subtype="PCM_16")
        return replace(scene.clip, path=str(path))


def _batches(scenes: SceneSet) -> list[Batch]:
    return [
        (part, first, min(first + BATCH, count))
        for part, count in scenes.counts.items()
        for first in range(0, count, BATCH)
    ]


def _rows_path(folder: Path, batch: Batch) -> Path:
    part, first, stop = batch
    return folder / _ROWS / f"{part}-{first:06d}-{stop:06d}.jsonl"


def _begun(folder: Path, about: dict[str, object]) -> bool:
    """Whether the folder holds a run of these settings; refuses one of other settings and foreign files."""
    if not folder.exists() or not any(folder.iterdir()):
        return False
    path = folder / "about.json"
    if not path.is_file():
        raise DataError(f"{folder} is not empty and was not made by the scene generator; give a new folder")
    if read_json(path) != about:
        raise DataError(f"{folder} holds scenes made with other settings (see {path}); give a new folder or delete it")
    return True
