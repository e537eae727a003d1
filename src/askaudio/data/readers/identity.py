"""The names of one clip in different corpora, lists and run files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.text import non_blank_lines, parse_json, read_text
from askaudio.data.manifest import Clip
from askaudio.data.readers.audio_files import is_audio, stem
from askaudio.data.readers.tables import read_csv

_LIST_COLUMNS = ("clip_id", "id", "file_name", "youtube_id", "audiocap_id", "sound_id", "path", "name")


def aliases(clip: Clip) -> frozenset[str]:
    """The names of a clip: its id, its file name, the number of its recording, YouTube ids with and without Y."""
    names = {clip.clip_id, stem(clip.clip_id), stem(clip.path)}
    if isinstance(file_name := clip.extra.get("file_name"), str):
        names.add(stem(file_name))
    corpus, _, number = clip.group.partition(":")
    if number:
        names |= {number, clip.group}
    if corpus == "youtube":
        names.add(f"Y{number}")
        if isinstance(start := clip.extra.get("start_time"), int):
            names |= {f"{number}_{start}", f"Y{number}_{start}"}
    return frozenset(names | {str(n) for n in clip.extra.get("audiocap_ids", ())})


def _values(value: Any) -> Iterator[str]:
    """All texts and numbers in a JSON value: keys of objects are headings ("FreeSound"), not ids, and are skipped."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner)
    elif isinstance(value, (str, int)):
        yield str(value)


def read_id_list(path: Path | str) -> frozenset[str]:
    """Names of clips from a list file: one a line (.txt), a column of a CSV, or any texts of a JSON file.

    This reads the 957-clip CSV of AudioCaps, lists of file names, and the blacklists of WavCaps.

    Raises:
        DataError: The file is missing, empty, or a CSV with a faulty row or without a column of names.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    names: Iterable[str]
    if suffix == ".json":
        names = _values(parse_json(read_text(path), str(path)))
    elif suffix in (".csv", ".tsv"):
        table = read_csv(path)
        if errors := [fault for fault in table.faults if fault.level == "error"]:
            first = f"{errors[0].where}: {errors[0].what}"
            raise DataError(f"{first}; a list must be complete, {len(errors):,} of its rows cannot be read")
        column = next((name for name in _LIST_COLUMNS if name in table.columns), None)
        if column is None:
            raise DataError(f"{path}: columns are {', '.join(table.columns)}; expected {' or '.join(_LIST_COLUMNS)}")
        names = (str(row.values[column]) for row in table.rows)
    else:
        names = non_blank_lines(read_text(path))
    found = frozenset(name.strip() for name in names if name.strip())
    if not found:
        raise DataError(f"{path} names no clip; expected one file name or id a line")
    return found


def _without_suffix(name: str) -> str:
    """A path with slashes and without an audio suffix, as ids of clips are; a name without a folder as it is."""
    path = name.replace("\\", "/")
    return os.path.splitext(path)[0] if "/" in path and is_audio(path) else path


def named_in(clips: Iterable[Clip], names: frozenset[str]) -> set[str]:
    r"""Ids of the clips that a list contains: by clip_id where a name is one, else by any of the clip's names.

    "rain/01", "rain/01.wav" and "rain\01.wav" do not match the clip "wind/01"; "01.wav" matches both.
    """
    clips = list(clips)
    ids = {clip.clip_id for clip in clips}
    exact = ids & (names | {_without_suffix(name) for name in names})
    loose = {stem(name) for name in names if name not in exact and _without_suffix(name) not in exact}
    return {clip.clip_id for clip in clips if clip.clip_id in exact or not loose.isdisjoint(aliases(clip))}
