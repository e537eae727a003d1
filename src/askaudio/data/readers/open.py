"""Open a data set by one string: ``open_dataset("audiocaps:/data/AudioCaps?version=v2&split=test")``.

    library/manifest.jsonl        our manifest, or any JSON lines with a path and a caption
    captions.csv                  a table with a path and captions in every row (.tsv too)
    folder                        sounds with .txt or .json beside them, or their names as captions; one that contains a
                                  manifest.jsonl, a metadata.csv, a saved Hugging Face data set or tars is read as that
    audiocaps:ROOT                AudioCaps; options version=v1|v2|mei
    clotho:ROOT                   Clotho v2.1
    hf:FOLDER                     a data set saved with save_to_disk, or parquet files
    wds:FOLDER                    webdataset tars (a folder, a tar, or a glob pattern)

Options follow a question mark and are joined by &. ``split=train,val`` and ``list=FILE`` (keep the clips that FILE
lists, for example the 957-clip CSV) work for every kind. ``audio=FOLDER`` is the folder of the audio of a csv, jsonl,
audiocaps or clotho data set, if it is another one. ``cache=FOLDER`` is the folder for the extracted sounds of hf and
wds. ``caption=COLUMN`` and ``path=COLUMN`` name unusual columns.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.types import SPLITS, Progress, Split, silent
from askaudio.data.manifest import Manifest
from askaudio.data.readers.audio_files import is_audio
from askaudio.data.readers.audiocaps import read_audiocaps
from askaudio.data.readers.clotho import read_clotho
from askaudio.data.readers.csv_file import read_csv_file, read_jsonl_file
from askaudio.data.readers.folder import read_folder
from askaudio.data.readers.huggingface import read_huggingface
from askaudio.data.readers.identity import named_in, read_id_list
from askaudio.data.readers.splits import split_of
from askaudio.data.readers.webdataset import read_webdataset

Options = dict[str, str]


@dataclass(frozen=True, slots=True)
class Spec:
    """The parts of a data set's string."""

    kind: str
    place: str
    options: Options


def _splits(options: Options) -> tuple[Split, ...]:
    names = options.get("split", "")
    return tuple(split_of(name, "split=" + names) for name in names.split(",")) if names else SPLITS


def _audiocaps(place: str, options: Options, need_audio: bool, progress: Progress) -> Manifest:
    version, audio = options.get("version"), options.get("audio")
    return read_audiocaps(place, version=version, splits=_splits(options), audio=audio, need_audio=need_audio)


def _clotho(place: str, options: Options, need_audio: bool, progress: Progress) -> Manifest:
    return read_clotho(place, splits=_splits(options), audio=options.get("audio"), need_audio=need_audio)


def _csv(place: str, options: Options, need_audio: bool, progress: Progress) -> Manifest:
    return read_csv_file(
        place,
        audio=options.get("audio"),
        path_column=options.get("path"),
        text_column=options.get("caption"),
        need_audio=need_audio,
    )


def _jsonl(place: str, options: Options, need_audio: bool, progress: Progress) -> Manifest:
    return read_jsonl_file(place, audio=options.get("audio"), need_audio=need_audio)


def _folder(place: str, options: Options, need_audio: bool, progress: Progress) -> Manifest:
    return read_folder(place, names=options.get("names", "yes") != "no")


def _huggingface(place: str, options: Options, need_audio: bool, progress: Progress) -> Manifest:
    return read_huggingface(
        place,
        cache=options.get("cache"),
        path_column=options.get("path"),
        text_column=options.get("caption"),
        progress=progress,
    )


def _webdataset(place: str, options: Options, need_audio: bool, progress: Progress) -> Manifest:
    return read_webdataset(place, cache=options.get("cache"), text_column=options.get("caption"), progress=progress)


# kind -> (reader, its options besides split and list)
READERS: dict[str, tuple[Callable[[str, Options, bool, Progress], Manifest], frozenset[str]]] = {
    "audiocaps": (_audiocaps, frozenset({"version", "audio"})),
    "clotho": (_clotho, frozenset({"audio"})),
    "csv": (_csv, frozenset({"audio", "path", "caption"})),
    "jsonl": (_jsonl, frozenset({"audio"})),
    "folder": (_folder, frozenset({"names"})),
    "hf": (_huggingface, frozenset({"cache", "path", "caption"})),
    "wds": (_webdataset, frozenset({"cache", "caption"})),
}
_COMMON = frozenset({"split", "list"})
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "hf", ".tar": "wds"}
# pattern of a file in a folder -> kind of the data set; the first pattern that matches decides
_IN_FOLDER = {
    "manifest.jsonl": "jsonl",
    "metadata.jsonl": "jsonl",
    "metadata.csv": "csv",
    "dataset_dict.json": "hf",
    "dataset_info.json": "hf",
    "*.parquet": "hf",
    "*.tar": "wds",
}


def parse_spec(spec: str) -> Spec:
    """Split a data set's string into kind, place and options.

    Raises:
        DataError: Unknown kind or option, or the place does not exist.
    """
    if (path := Path(spec).expanduser()).exists():  # a path may contain a colon or a question mark
        return Spec(*_plain(path), {})
    head, _, query = spec.partition("?")
    options = _options(spec, query)
    kind, colon, place = head.partition(":")
    if colon and kind in READERS:
        place = os.path.expanduser(place)
    else:
        kind, place = _plain(Path(head).expanduser())
    if not place:
        raise DataError(f"{spec!r} names no folder; expected for example {kind}:/data/{kind}")
    known = READERS[kind][1] | _COMMON
    if unknown := sorted(set(options) - known):
        raise DataError(f"{spec}: unknown option {', '.join(unknown)}; {kind} knows {', '.join(sorted(known))}")
    return Spec(kind, place, options)


def _options(spec: str, query: str) -> Options:
    """Parse ``a=1&b=2``. Nothing is unquoted, so that paths need no escapes; ~ is the home folder."""
    options: Options = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise DataError(f"{spec}: option {part!r} has no value; expected for example split=test")
        options[name] = os.path.expanduser(value)
    return options


def _plain(path: Path) -> tuple[str, str]:
    """Kind and place of a path without a kind before it."""
    suffix = path.suffix.lower()
    if path.is_dir():
        for name, kind in _IN_FOLDER.items():
            if found := sorted(path.glob(name)):
                return kind, str(found[0] if kind in ("jsonl", "csv") else path)
        return "folder", str(path)
    if path.is_file() and suffix in _SUFFIXES:
        return _SUFFIXES[suffix], str(path)
    expected = f"a .jsonl, .csv or .tsv file, a folder, or one of {', '.join(f'{kind}:ROOT' for kind in READERS)}"
    if path.is_file():
        what = "an audio file" if is_audio(path) else f"a file of an unknown kind ({suffix or 'no suffix'})"
        raise DataError(f"{path} is {what}; expected {expected}")
    raise DataError(f"{path} does not exist; expected {expected}. `askaudio data --help` shows examples")


def read_dataset(spec: str, need_audio: bool = True, progress: Progress = silent) -> Manifest:
    """Read a data set, even if none of its audio exists (``missing`` then has all its clips).

    Args:
        spec: Data set, see the head of this file.
        need_audio: False to read captions only: audio is not searched for and every listed clip is kept.
        progress: Called while sounds are extracted from tars or data-set files.

    Returns:
        The manifest; ``manifest.summary`` has its counts.

    Raises:
        DataError: As ``parse_spec`` and the readers.
    """
    parsed = parse_spec(spec)
    manifest = READERS[parsed.kind][0](parsed.place, parsed.options, need_audio, progress)
    if "split" in parsed.options:
        splits = _splits(parsed.options)
        name = f"{manifest.name}:{'+'.join(splits)}"
        manifest = replace(manifest.filter(lambda clip: clip.split in splits), name=name)
    if "list" in parsed.options:
        manifest = _keep_listed(manifest, Path(parsed.options["list"]))
    return manifest


def open_dataset(spec: str, need_audio: bool = True, progress: Progress = silent) -> Manifest:
    """Read a data set; it must have at least one clip with audio.

    Args:
        spec: A path, or ``KIND:PLACE?OPTIONS`` such as ``"clotho:/data/clotho?split=test"``; see the head of this file.
        need_audio: False to read captions only.
        progress: Called while sounds are extracted from tars or data-set files.

    Returns:
        The manifest; clips without audio are in ``missing`` and counted in ``summary``.

    Raises:
        DataError: The place does not exist, or no clip has audio.

    Example:
        A folder of sounds, whose captions are the file names:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import soundfile
        >>> from askaudio.data.readers.open import open_dataset
        >>> folder = Path(tempfile.mkdtemp()) / "sounds"
        >>> folder.mkdir()
        >>> soundfile.write(folder / "door_slam.wav", np.zeros(8000), 16000)
        >>> manifest = open_dataset(str(folder))
        >>> print(manifest.summary)
        sounds: 1 clips, 1 captions
        >>> manifest.clips[0].captions[0].text
        'door slam'
    """
    manifest = read_dataset(spec, need_audio, progress)
    if not manifest.clips:
        missing = len(manifest.missing)
        expected = f"; the first expected file: {Path(manifest.missing[0].path).name}" if missing else ""
        raise DataError(
            f"{spec}: no clip can be used: {missing} listed without audio{expected}. "
            f"See which with: askaudio data check '{spec}'"
        )
    return manifest


def _keep_listed(manifest: Manifest, path: Path) -> Manifest:
    names = read_id_list(path)
    listed = named_in(manifest.listed, names)
    kept = manifest.filter(lambda clip: clip.clip_id in listed)
    if not kept.clips and not kept.missing:
        raise DataError(f"{path}: none of its {len(names)} names is a clip of {manifest.name}")
    version = ", ".join(filter(None, (manifest.about.version, f"list {path.name}")))
    return replace(kept, about=replace(manifest.about, version=version))
