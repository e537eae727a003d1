"""From rows with a file name and captions, under any of the usual column names, to a manifest.

CSV, JSON lines, Hugging Face data sets and tar shards share this code. Rows with the same file become one clip with
several captions; columns ``caption_1 ... caption_5`` (Clotho, the 957-clip list) are read as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.text import bad_character
from askaudio.core.types import Split
from askaudio.data.manifest import FIELDS, Clip, Manifest, local_path
from askaudio.data.readers.audio_files import AudioFiles
from askaudio.data.readers.missing import captions_of, manifest_of
from askaudio.data.readers.splits import split_of
from askaudio.data.readers.tables import Row
from askaudio.data.summary import About, Fault

PATH_COLUMNS = ("path", "file_name", "filename", "file", "audio_path", "audio_filepath", "audio", "wav", "location")
TEXT_COLUMNS = ("captions", "caption", "text", "description", "title")
ID_COLUMNS = ("clip_id", "id")
# column -> corpus of the recording ids in it
RECORDING_COLUMNS = {
    "freesound_id": "freesound",
    "freesound-id": "freesound",
    "youtube_id": "youtube",
    "ytid": "youtube",
}
_PLAIN = (str, int, float, bool)
_NUMBERED = re.compile(r"(?:caption|text)_?(\d+)")


def text_columns(columns: Iterable[str]) -> tuple[str, ...]:
    """Names of the caption columns: ``caption_1, caption_2 ...`` in order, else the first usual name."""
    columns = tuple(columns)
    numbered = [(int(m[1]), name) for name in columns if (m := _NUMBERED.fullmatch(name.lower()))]
    if numbered:
        return tuple(name for _, name in sorted(numbered))
    return tuple(name for name in TEXT_COLUMNS if name in columns)[:1]


def texts_in(values: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    """The captions of one row; a column may have one text or a list of texts. Blank texts are left out."""
    texts: list[str] = []
    for name in columns:
        value = values.get(name)
        several = value if isinstance(value, (list, tuple)) else [value]
        texts += [text for text in several if isinstance(text, str)]
    return [text for text in texts if text.strip()]


def _column(columns: tuple[str, ...], name: str | None, usual: tuple[str, ...], what: str, where: str) -> str:
    candidates = (name,) if name else usual
    for candidate in candidates:
        if candidate in columns:
            return candidate
    expected = f"a column {name!r}" if name else f"one of {', '.join(usual)}"
    raise DataError(f"{where}: no column for the {what}: got {', '.join(columns)}; expected {expected}")


def _clips(
    rows: Iterable[Row], path_column: str, texts: tuple[str, ...], folder: Path, faults: list[Fault]
) -> Iterator[Clip]:
    r"""One clip a file, in the order of the first row of each file; ``x/a.wav`` and ``x\a.wav`` are one file."""
    merged: dict[str, tuple[Row, Path, list[str]]] = {}
    for row in rows:
        name = row.values.get(path_column)
        if not isinstance(name, str) or not name.strip():
            faults.append(Fault("no file name", row.where, f"column {path_column!r} is empty"))
            continue
        found = texts_in(row.values, texts)
        if "\0" in name or any(map(bad_character, found)):
            what = f"{name!r}: file name or caption contains a NUL character or half of a surrogate pair"
            faults.append(Fault("bad character", row.where, what))
            continue
        if not found:
            faults.append(Fault("no caption", row.where, f"{name}: {', '.join(texts)} empty", "warning"))
        path = local_path(folder, name)
        name = name if path == folder / name else name.replace("\\", "/")
        merged.setdefault(PurePath(name).as_posix(), (row, path, []))[2].extend(found)
    names = [_without_suffix(name) for name in merged]
    short = len(set(names)) == len(names)  # "rain.wav" and "rain.mp3" are two clips
    for (name, (row, path, captions)), bare in zip(merged.items(), names, strict=True):
        yield _clip(row, path, bare if short else name, captions, (path_column, *texts))


def _without_suffix(name: str) -> str:
    path = PurePath(name)
    return path.with_suffix("").as_posix() if path.name else name


def _clip(row: Row, path: Path, default_id: str, captions: list[str], used: tuple[str, ...]) -> Clip:
    values = row.values
    clip_id = next((str(values[c]) for c in ID_COLUMNS if values.get(c) not in (None, "")), default_id)
    split: Split | None = split_of(str(values["split"]), row.where) if values.get("split") else None
    seconds = values.get("duration_s")
    try:
        duration = None if seconds in (None, "") else float(str(seconds))
    except ValueError:
        raise DataError(f"{row.where}: duration_s must be a number of seconds, got {seconds!r}") from None
    known = FIELDS.union(used)
    return Clip(
        clip_id,
        str(path),
        captions_of(clip_id, captions),
        split,
        group=str(values.get("group") or "") or _recording(values),
        label=str(values.get("label") or ""),
        duration_s=duration,
        licence=str(values.get("licence") or ""),
        source=str(values.get("source") or ""),
        extra={k: v for k, v in values.items() if k not in known and isinstance(v, _PLAIN) and v != ""},
    )


def _recording(values: Mapping[str, Any]) -> str:
    """The recording id of a row, "freesound:181625", by which the same recording is found in other corpora; or ""."""
    for column, corpus in RECORDING_COLUMNS.items():
        if values.get(column) not in (None, ""):
            return f"{corpus}:{str(values[column]).strip()}"
    return ""


def manifest_from_rows(
    rows: Iterable[Row],
    columns: tuple[str, ...],
    name: str,
    folder: Path,
    *,
    where: str,
    path_column: str | None = None,
    text_column: str | None = None,
    faults: Iterable[Fault] = (),
    about: About | None = None,
    need_audio: bool = True,
) -> Manifest:
    """Build a manifest from rows.

    Args:
        rows: The rows.
        columns: Their column names.
        name: Name of the set.
        folder: Paths in rows are relative to it; a file that does not exist there is searched for by name below it.
        where: The source of the rows, for messages.
        path_column: Column of the audio path; default: the first of ``PATH_COLUMNS``.
        text_column: Column of the caption; default: numbered columns, else the first of ``TEXT_COLUMNS``.
        faults: Faults that were found while reading the rows.
        about: Origin of the set.
        need_audio: False to read captions only.

    Returns:
        The manifest.

    Raises:
        DataError: No column for the audio or for the captions; a bad split or duration.
    """
    path_column = _column(columns, path_column, PATH_COLUMNS, "audio file", where)
    texts = (text_column,) if text_column else text_columns(columns)
    if not texts or texts[0] not in columns:
        _column(columns, text_column, (*TEXT_COLUMNS, "caption_1"), "caption", where)
    found = list(faults)
    listed = list(_clips(rows, path_column, texts, folder, found))
    places = _places(listed, AudioFiles(folder)) if need_audio else {}
    find = (lambda clip: places.get(clip.path)) if need_audio else None
    return manifest_of(name, listed, find, about or About(), found)


def _places(listed: Iterable[Clip], files: AudioFiles) -> dict[str, Path]:
    """Path that a row names -> its file. A file that is searched for must be the only answer, and of one row only."""
    paths = [clip.path for clip in listed]
    places = {path: Path(path) for path in paths if Path(path).is_file()}
    searched = {path: file for path in paths if path not in places and (file := files.only(path))}
    owners = Counter([*places.values(), *searched.values()])
    return places | {path: file for path, file in searched.items() if owners[file] == 1}
