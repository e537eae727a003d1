"""CSV, TSV and JSON lines with a file name and captions in every row."""

from __future__ import annotations

from pathlib import Path

from askaudio.data.manifest import Manifest, read_manifest
from askaudio.data.readers.missing import existing, manifest_of
from askaudio.data.readers.rows import ID_COLUMNS, manifest_from_rows
from askaudio.data.readers.tables import read_csv, read_jsonl


def read_csv_file(
    path: Path | str,
    *,
    audio: Path | str | None = None,
    path_column: str | None = None,
    text_column: str | None = None,
    need_audio: bool = True,
) -> Manifest:
    """Read a caption table, one row a caption (rows of one file are joined) or one row a clip (``caption_1`` ...).

    Columns: a path (``path``, ``file_name``, ``audio`` ...), captions (``caption``, ``text``, ``caption_1`` ...), and
    optionally ``clip_id``, ``split``, ``group``, ``label``, ``duration_s``, ``licence``, ``source``; others are kept
    in ``extra``.

    Args:
        path: CSV or TSV file.
        audio: Folder of the audio; default: the folder of the file.
        path_column: Another column for the path.
        text_column: Another column for the caption.
        need_audio: False to read captions only.

    Returns:
        The manifest, with faulty rows and missing clips.

    Raises:
        DataError: Not a CSV, or a column is missing.
    """
    path = Path(path)
    table = read_csv(path)
    return manifest_from_rows(
        table.rows,
        table.columns,
        path.stem,
        Path(audio) if audio else path.parent,
        where=str(path),
        path_column=path_column,
        text_column=text_column,
        faults=table.faults,
        need_audio=need_audio,
    )


def read_jsonl_file(path: Path | str, *, audio: Path | str | None = None, need_audio: bool = True) -> Manifest:
    """Read JSON lines: a manifest of this project, or any objects with a path and a caption (see ``read_csv_file``).

    Args:
        path: JSON lines file.
        audio: Folder of the audio; default: the folder of the file.
        need_audio: False to read captions only.

    Raises:
        DataError: No line is an object, or no line has a path and a caption.
    """
    path = Path(path)
    table = read_jsonl(path)
    first = table.rows[0].values
    if isinstance(first.get("path"), str) and any(first.get(name) for name in ID_COLUMNS) and not audio:
        manifest = read_manifest(path)
        return manifest_of(manifest.name, manifest.clips, existing if need_audio else None, manifest.about)
    return manifest_from_rows(
        table.rows,
        table.columns,
        path.stem,
        Path(audio) if audio else path.parent,
        where=str(path),
        faults=table.faults,
        need_audio=need_audio,
    )
