"""Texts in sound files: which format holds them how. WAV is written here, the others by mutagen (extra ``tags``).

A file is never changed: the result is a new file, whose sound is compared with that of the old one.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.audio import reading
from askaudio.core.errors import AudioDecodeError, DataError
from askaudio.core.extras import require
from askaudio.core.types import Json
from askaudio.ingest.metadata import read_embedded
from askaudio.tagging.riff_tags import sound_hash, write_riff_tags

FIELDS = ("category", "subcategory", "cat_id", "keywords", "title", "description")
WAVES = frozenset({".wav", ".wave", ".bwf", ".rf64"})
_VORBIS = frozenset({".flac", ".ogg", ".oga", ".opus"})
_ID3 = frozenset({".mp3", ".aif", ".aiff", ".aifc"})
_MP4 = frozenset({".m4a", ".m4b", ".mp4"})
TAGGED = WAVES | _VORBIS | _ID3 | _MP4
_NAMES = {"cat_id": "CATID"}  # field -> name of the tag, else the field in capitals


def write_tags(source: Path, target: Path, fields: Mapping[str, str]) -> None:
    """Make a file with other texts and the same sound.

    Args:
        source: A file with a suffix of ``TAGGED``.
        target: Is overwritten.
        fields: Names of ``FIELDS`` with the texts to write.

    Raises:
        DataError: The file is damaged, or its format cannot hold texts.
        MissingExtraError: mutagen is needed and not installed.
    """
    suffix = source.suffix.lower()
    if suffix in WAVES:
        write_riff_tags(source, target, fields)
        return
    if suffix not in TAGGED:
        raise DataError(f"{suffix} files cannot hold these tags; write a sidecar instead: --write sidecars")
    shutil.copyfile(source, target)
    mutagen = require("mutagen", "tags")
    try:
        file = mutagen.File(target)
        if file is None:
            raise DataError(f"{source} is not what its name says; write a sidecar instead: --write sidecars")
        if file.tags is None:
            file.add_tags()
        _set(file.tags, suffix, fields)
        file.save()
    except mutagen.MutagenError as error:
        raise DataError(f"{source} cannot be tagged ({error}); write a sidecar instead: --write sidecars") from error


def _set(tags: Any, suffix: str, fields: Mapping[str, str]) -> None:
    for field, text in fields.items():
        name = _NAMES.get(field, field.upper())
        if suffix in _VORBIS:
            tags[name] = [text]
        elif suffix in _ID3:
            id3 = require("mutagen.id3", "tags")
            if field == "title":
                tags.setall("TIT2", [id3.TIT2(encoding=3, text=[text])])
            else:
                tags.setall(f"TXXX:{name}", [id3.TXXX(encoding=3, desc=name, text=[text])])
        elif field == "title":
            tags["\xa9nam"] = [text]
        else:
            mp4 = require("mutagen.mp4", "tags")
            tags[f"----:com.apple.iTunes:{name}"] = [mp4.MP4FreeForm(text.encode("utf-8"))]


def read_tags(path: Path) -> Json:
    """The texts inside a file as indexing reads them: those of ``FIELDS`` that it has."""
    facts = read_embedded(path)
    facts.setdefault("description", facts.get("comment", ""))  # the tag reader calls that of Vorbis a comment
    return {field: str(facts[field]) for field in FIELDS if facts.get(field)}


def sound_of_file(path: Path) -> str:
    """A hash of the sound: of the data chunk of a WAV, else of the decoded samples.

    Raises:
        DataError: The file cannot be read.
    """
    if path.suffix.lower() in WAVES:
        return sound_hash(path)
    digest = hashlib.sha256()
    for reader in reading.readers_for(path):
        try:
            with reading.open_with(reader, path) as stream:
                digest.update(f"{stream.sample_rate_hz} {stream.channels}".encode())
                for block in stream.blocks:
                    digest.update(np.ascontiguousarray(block).tobytes())
            return digest.hexdigest()
        except AudioDecodeError:
            digest = hashlib.sha256()
    raise DataError(f"{path} cannot be decoded, so it is left as it is; write a sidecar instead: --write sidecars")
