"""Clotho v2.1 (Drossos et al., ICASSP 2020) from a local folder in its official layout.

    ROOT/clotho_csv_files/clotho_captions_{development,validation,evaluation}.csv    (or in ROOT itself)
    ROOT/clotho_csv_files/clotho_metadata_{development,validation,evaluation}.csv    optional, ISO-8859-1
    ROOT/clotho_audio_files/{development,validation,evaluation}/*.wav                (or in any folders below ROOT)

development is train, validation is val, evaluation is test. Where the metadata exists, ``group`` is the Freesound id,
so that the same recording is found in other corpora. Four file names occur in two splits, therefore ``clip_id`` is
``<subset>/<file_name>``. Nothing is downloaded.

Source: https://zenodo.org/records/4783391 and https://github.com/audio-captioning/clotho-dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.types import SPLITS, Split
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.readers.audio_files import AudioFiles, name_key, stem
from askaudio.data.readers.missing import captions_of, manifest_of
from askaudio.data.readers.rows import text_columns, texts_in
from askaudio.data.readers.tables import Row, Table, read_csv
from askaudio.data.summary import About, Fault

SUBSETS: dict[Split, str] = {"train": "development", "val": "validation", "test": "evaluation"}
_LICENCE = "captions: Tampere University licence, academic use; audio: Creative Commons, per clip in the metadata"


def find_table(root: Path, kind: str, subset: str) -> Path | None:
    """Find a CSV under its official name.

    Args:
        root: Folder of the data set.
        kind: "captions" or "metadata".
        subset: "development", "validation" or "evaluation".

    Returns:
        The path, or None where the file does not exist.
    """
    name = f"clotho_{kind}_{subset}.csv"
    return next((p for p in (root / "clotho_csv_files" / name, root / name) if p.is_file()), None)


def read_clotho(
    root: Path | str,
    *,
    splits: Sequence[Split] = SPLITS,
    audio: Path | str | None = None,
    need_audio: bool = True,
) -> Manifest:
    """Read Clotho.

    Args:
        root: Folder of the official layout.
        splits: Splits to read; one without a CSV is left out.
        audio: Folder of the audio, if it is not under ``root``.
        need_audio: False to read captions only.

    Returns:
        Clips with five captions each; group, licence and source are set where the metadata exists.

    Raises:
        DataError: No caption CSV was found, or one lacks the official columns.
    """
    root = Path(root)
    tables = {split: path for split in splits if (path := find_table(root, "captions", SUBSETS[split]))}
    if not tables:
        names = ", ".join(f"clotho_captions_{SUBSETS[split]}.csv" for split in splits)
        raise DataError(f"no Clotho captions under {root}: looked for {names} in {root}/clotho_csv_files and {root}")
    faults: list[Fault] = []
    listed: list[Clip] = []
    for split, path in tables.items():
        table = read_csv(path, split)
        faults += table.faults
        sounds = _metadata(root, split, faults)
        listed += _clips(table, path, split, sounds, faults)
    about = About("v2.1", "en", _LICENCE, "https://zenodo.org/records/4783391")
    return manifest_of("clotho", listed, _finder(root, audio) if need_audio else None, about, faults)


def _metadata(root: Path, split: Split, faults: list[Fault]) -> dict[str, Row]:
    """File name -> metadata row; empty where the metadata file does not exist."""
    path = find_table(root, "metadata", SUBSETS[split])
    if path is None:
        return {}
    table = read_csv(path, split)
    if "file_name" not in table.columns or "sound_id" not in table.columns:
        raise DataError(f"{path}: columns are {', '.join(table.columns)}; expected file_name, keywords, sound_id, ...")
    faults += table.faults
    return {name_key(row.values["file_name"]): row for row in table.rows}


def _clips(table: Table, path: Path, split: Split, sounds: dict[str, Row], faults: list[Fault]) -> list[Clip]:
    columns = text_columns(table.columns)
    if "file_name" not in table.columns or len(columns) < 5:
        raise DataError(f"{path}: columns are {', '.join(table.columns)}; expected file_name, caption_1 ... caption_5")
    clips: dict[str, Clip] = {}
    for row in table.rows:
        name = row.values["file_name"]
        clip_id = f"{SUBSETS[split]}/{name_key(name)}"
        texts = texts_in(row.values, columns)
        if len(texts) < len(columns):
            faults.append(Fault("no caption", row.where, f"{name}: {len(texts)} of {len(columns)}", split=split))
        if clip_id in clips:
            faults.append(Fault("file name twice", row.where, name, split=split))
        elif texts:
            clips[clip_id] = _clip(clip_id, name, texts, split, sounds.get(name_key(name)))
    if sounds:
        faults += [
            Fault("not in the metadata", str(path), clip.clip_id, "warning", split)
            for clip in clips.values()
            if not clip.group
        ]
    return list(clips.values())


def _clip(clip_id: str, name: str, texts: list[str], split: Split, sound: Row | None) -> Clip:
    values = sound.values if sound else {}
    number = values.get("sound_id", "").strip()
    return Clip(
        clip_id,
        name,
        captions_of(clip_id, texts),
        split,
        group=f"freesound:{number}" if number.isdigit() else "",
        licence=values.get("license", "").strip(),
        source=values.get("sound_link", "").strip(),
        extra={"file_name": name, **({"keywords": values["keywords"]} if values.get("keywords") else {})},
    )


def _finder(root: Path, audio: Path | str | None) -> Callable[[Clip], Path | None]:
    """Search the official folder first, then the folder of the subset, then all folders but those of other subsets."""
    files = AudioFiles(audio or root)

    def find(clip: Clip) -> Path | None:
        subset = SUBSETS[clip.split or "train"]
        for folder in (files.root / "clotho_audio_files" / subset, files.root / subset):
            if (folder / clip.path).is_file():
                return folder / clip.path
        return files.find([stem(clip.path)], clip.split, strict=True)

    return find
