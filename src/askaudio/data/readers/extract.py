"""Extraction of sounds from tar shards and data-set files into plain audio files.

Files are named by the hash of their bytes, never by a name found in an archive, so that no archive can write outside
the cache folder. Rows with the same audio (one row a caption) share one file and become one clip. The list of rows is
written last: an interrupted extraction is repeated, a finished one is reused as long as the sources do not change.
Cost: the disk space of the sounds a second time; about 300 MB/s on one core, hashing included.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path, fingerprint
from askaudio.core.text import json_line
from askaudio.core.types import Json, Progress, Split, silent
from askaudio.data.readers.audio_files import is_audio
from askaudio.data.readers.splits import SPLIT_NAMES
from askaudio.data.readers.tables import Row, Table
from askaudio.data.summary import Fault

_FORMAT = 1  # of the cache folder
_MAGIC = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"FORM", ".aiff"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a container.

    Args:
        where: Position for messages, for example "file:key".
        values: Column to value.
        audio: Bytes of the audio, the path of an existing file, or None where the row has no audio.
        name: File name of the audio in the container.
    """

    where: str
    values: Json
    audio: bytes | Path | None
    name: str = ""


def default_cache() -> Path:
    """Folder of extracted sounds where none is named."""
    return Path.home() / ".cache" / "askaudio" / "sounds"


def split_in_name(path: Path | str) -> Split | None:
    """The split that occurs in a shard's path (``train/``, ``clotho-test-0003.tar``); None for no split, or several."""
    found = {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", str(path).lower()) if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def extract(
    sources: Iterable[Path],
    settings: Json,
    samples: Iterable[Sample],
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> tuple[Table, Path]:
    """Write the audio of all samples below the cache and return their rows.

    Args:
        sources: Files that contain the samples; a changed size or modification time causes a new extraction.
        settings: All else that the rows depend on.
        samples: The samples; consumed only where no finished extraction exists.
        cache: Folder of all extractions; default ``default_cache()``.
        progress: Called after every sample.

    Returns:
        The rows, with ``path`` relative to the returned folder (absolute for files that lie outside).

    Raises:
        DataError: A source does not exist.
    """
    folder = Path(cache or default_cache()).expanduser() / _state(sources, settings)
    rows = folder / "rows.jsonl"
    if not rows.is_file():
        with atomic_path(rows) as temporary, temporary.open("w", encoding="utf-8") as file:
            for number, line in enumerate(_lines(samples, folder), start=1):
                file.write(json_line(line, default=str))
                progress(number, None, "extracting")
    return _table(rows), folder


def _state(sources: Iterable[Path], settings: Json) -> str:
    try:
        files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from error
    return fingerprint([_FORMAT, settings, sorted(files)])


def _lines(samples: Iterable[Sample], folder: Path) -> Iterator[Json]:
    for sample in samples:
        if sample.audio is None:
            yield {"where": sample.where, "fault": "no audio", "name": sample.name}
        elif isinstance(sample.audio, Path):
            yield {"where": sample.where, "values": {**sample.values, "path": str(sample.audio.resolve())}}
        elif not (suffix := _suffix(sample)):
            yield {"where": sample.where, "fault": "not audio", "name": sample.name}
        else:
            path = _store(sample.audio, suffix, folder, str(sample.values.get("split") or "all"))
            yield {"where": sample.where, "values": {**sample.values, "path": path}}


def _suffix(sample: Sample) -> str:
    """Suffix of the audio format, from the first bytes, else from the name in the container; "" if neither is known."""
    data = sample.audio if isinstance(sample.audio, bytes) else b""
    known = next((suffix for magic, suffix in _MAGIC if data.startswith(magic)), "")
    if known or not data:
        return known
    if data[0] == 0xFF and len(data) > 1 and data[1] & 0xE0 == 0xE0:  # MPEG frame header
        return ".mp3"
    return Path(sample.name).suffix.lower() if is_audio(sample.name) else ""


def _store(data: bytes, suffix: str, folder: Path, split: str) -> str:
    """Write the audio once. Each split has its own folder, so that the same audio in two splits remains two clips."""
    digest = hashlib.sha256(data).hexdigest()[:32]
    place = SPLIT_NAMES.get(split.strip().lower(), "all")
    path = f"{place}/{digest[:2]}/{digest}{suffix}"
    target = folder / path
    if not target.is_file() or target.stat().st_size != len(data):
        with atomic_path(target) as temporary:
            temporary.write_bytes(data)
    return path


def _table(rows: Path) -> Table:
    good: list[Row] = []
    faults: list[Fault] = []
    for line in rows.read_text(encoding="utf-8").split("\n"):  # not splitlines, which splits inside texts
        if line:
            item = json.loads(line)
            if "fault" in item:
                faults.append(Fault(item["fault"], item["where"], item["name"]))
            else:
                good.append(Row(item["where"], item["values"]))
    columns = tuple(dict.fromkeys(name for row in good for name in row.values))
    return Table(columns, tuple(_unique_ids(good)), tuple(faults))


def _unique_ids(rows: list[Row]) -> list[Row]:
    """Add the split and a part of the audio's hash to the id where two sounds have the same one."""
    paths: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        paths[str(row.values.get("clip_id"))].add(row.values["path"])
    named = []
    for row in rows:
        clip_id, path = str(row.values.get("clip_id")), Path(row.values["path"])
        if "clip_id" in row.values and len(paths[clip_id]) > 1:
            row = replace(row, values={**row.values, "clip_id": f"{clip_id}@{path.parts[0]}-{path.stem[:8]}"})
        named.append(row)
    return named
