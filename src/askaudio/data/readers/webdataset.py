"""webdataset tars: consecutive members ``key.flac`` + ``key.json`` (or ``.txt``) are one sample.

This is the layout of the webdataset package and of the CLAP recipes. The json has a field text, caption or captions; a
txt has one caption a line. Links and special files in a tar are skipped.

Differs: the webdataset package streams shards; here they are extracted once into plain files, because retrieval needs
the whole gallery, random access and ids. For one pass over terabytes use that package.
"""

from __future__ import annotations

import glob
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.text import decode_text, non_blank_lines
from askaudio.core.types import Json, Progress, silent
from askaudio.data.manifest import Manifest
from askaudio.data.readers.audio_files import is_audio
from askaudio.data.readers.extract import Sample, extract, split_in_name
from askaudio.data.readers.rows import manifest_from_rows, text_columns, texts_in
from askaudio.data.summary import About

_TARS = (".tar", ".tar.gz", ".tgz")
_MAX_MEMBER = 1 << 31  # bytes; longer members are skipped


def find_shards(place: Path | str) -> list[Path]:
    """Sorted paths of the tars in a folder, of one tar, or of those that match a glob pattern.

    Raises:
        DataError: No tar was found.
    """
    path = Path(place)
    if path.is_dir():
        shards = [p for p in path.rglob("*") if p.name.lower().endswith(_TARS)]
    else:
        shards = [path] if path.is_file() else [Path(p) for p in glob.glob(str(place))]
    if not shards:
        raise DataError(f"no tar at {place}; expected a folder of .tar files, one tar, or a pattern like 'train-*.tar'")
    return sorted(shards)


def read_webdataset(
    place: Path | str,
    *,
    cache: Path | str | None = None,
    text_column: str | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Read webdataset tars.

    Args:
        place: Folder, tar or glob pattern.
        cache: Folder for the extracted sounds; default ``~/.cache/askaudio/sounds``.
        text_column: Field of the json with the caption, if it is not text, caption or captions.
        progress: Called after every sample.

    Returns:
        Clips with ``clip_id`` = the key; where two samples have one key, split and a hash of the audio are added to it.

    Raises:
        DataError: No tar was found, or one is damaged.
    """
    shards = find_shards(place)
    root = Path(place) if Path(place).is_dir() else shards[0].parent
    samples = (sample for shard in shards for sample in _samples(shard, root, text_column))
    table, folder = extract(shards, {"kind": "webdataset", "text_column": text_column}, samples, cache, progress)
    name = root.resolve().name if Path(place).is_dir() else shards[0].name.split(".")[0]
    return manifest_from_rows(
        table.rows,
        ("path", "captions", *table.columns),
        name,
        folder,
        where=str(place),
        path_column="path",
        text_column="captions",
        faults=table.faults,
        about=About(source=str(place)),
    )


def _samples(shard: Path, root: Path, text_column: str | None) -> Iterator[Sample]:
    split = split_in_name(shard.relative_to(root))
    values: Json = {"shard": shard.name.split(".")[0], **({"split": split} if split else {})}
    try:
        with tarfile.open(shard) as tar:
            yield from _group(_members(tar), shard, values, text_column)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{shard} is broken ({error}); copy it again, or leave it out of the folder") from error


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, str, bytes]]:
    """(key, suffix, bytes) of each regular member; the key ends at the first dot of the file name."""
    for member in tar:
        folder, _, name = member.name.rpartition("/")
        stem, dot, suffix = name.partition(".")
        if not member.isfile() or not stem or not dot or member.size > _MAX_MEMBER:
            continue
        suffix = f".{suffix.lower()}"
        if is_audio(f"x{suffix}") or suffix in (".json", ".txt"):
            file = tar.extractfile(member)
            if file is not None:
                yield (f"{folder}/{stem}" if folder else stem), suffix, file.read()


def _group(
    members: Iterator[tuple[str, str, bytes]], shard: Path, values: Json, text_column: str | None
) -> Iterator[Sample]:
    current: Sample | None = None
    for key, suffix, data in members:
        if current is None or current.values["clip_id"] != key:
            if current is not None:
                yield current
            current = Sample(f"{shard}:{key}", {**values, "clip_id": key}, None, key)
        if is_audio(f"x{suffix}"):
            current = replace(current, audio=data, name=key + suffix)
        else:
            current = replace(current, values={**current.values, **_text(suffix, data, text_column)})
    if current is not None:
        yield current


def _text(suffix: str, data: bytes, text_column: str | None) -> Json:
    """The captions under the name "captions", and the other fields of the json."""
    try:
        text = decode_text(data)
        value: Any = non_blank_lines(text) if suffix == ".txt" else json.loads(text)
    except (DataError, ValueError, RecursionError):
        return {}  # the clip then counts as one without a caption
    fields = value if isinstance(value, dict) else {"captions": value}
    texts = texts_in(fields, (text_column,) if text_column else text_columns(fields))
    others = {name: field for name, field in fields.items() if name not in ("clip_id", "shard", "split", "path")}
    return {**others, "captions": texts} if texts else others
