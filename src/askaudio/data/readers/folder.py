"""A folder of sounds with captions beside them, or in their names.

The captions of an audio file come from the first of these that exists: ``rain.json`` (a text, a list, or an object
with caption, captions or text; its split, group, label and licence are read too), ``rain.txt`` (one caption a line),
the file name ("Rain_on-roof_03.wav" becomes "rain on roof"). A folder named train, val or test (or development,
evaluation ...) sets the split; the folder that contains a file sets its label.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from askaudio.core.text import bad_character, non_blank_lines, parse_json, read_text
from askaudio.core.types import Json, Split
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.readers.audio_files import AudioFiles, stem
from askaudio.data.readers.missing import captions_of
from askaudio.data.readers.rows import text_columns, texts_in
from askaudio.data.readers.splits import SPLIT_NAMES, split_of
from askaudio.data.summary import About, Fault

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS = re.compile("[_\\-.,+()\\[\\]#&\ud800-\udfff]+|\\s+")  # surrogates: bytes that are not UTF-8
_NUMBER = re.compile(r"\d+")


def caption_from_name(name: str) -> str:
    """Words of a file name without separators and pure numbers, camel case split; "" where no word remains.

    Example:
        >>> caption_from_name("DoorSlam_metal-03.wav")
        'door slam metal'
    """
    words = _SEPARATORS.split(_CAMEL.sub(" ", stem(name)))
    return " ".join(word.lower() for word in words if word and not _NUMBER.fullmatch(word))


def read_folder(root: Path | str, *, names: bool = True) -> Manifest:
    """Read a folder of sounds.

    Args:
        root: Folder; all audio files below it are clips.
        names: Use file names as captions where there is no sidecar file.

    Returns:
        Clips whose id is the path below ``root`` without its suffix (with it, where two files differ only there).

    Raises:
        DataError: Not a folder; a sidecar that is not JSON or names an unknown split.
    """
    files = AudioFiles(root)
    inner = [path.relative_to(files.root) for path in files.paths]
    bare = [path.with_suffix("").as_posix() for path in inner]
    count = Counter(bare)
    faults: list[Fault] = []
    clips = []
    for path, below, name in zip(files.paths, inner, bare, strict=True):
        clip_id = below.as_posix() if count[name] > 1 else name
        clips.append(_clip(path, below, clip_id, names, faults))
    return Manifest(files.root.resolve().name, tuple(clips), About(source=str(files.root)), faults=tuple(faults))


def _clip(path: Path, below: Path, clip_id: str, names: bool, faults: list[Fault]) -> Clip:
    side = _sidecar(path)
    texts = texts_in(side, text_columns(side))
    for text in filter(bad_character, texts):
        faults.append(Fault("bad character", str(path), f"the text beside it contains {bad_character(text)}: {text!r}"))
    texts = [text for text in texts if not bad_character(text)]
    if not texts and names and (words := caption_from_name(path.name)):
        texts = [words]
    if not texts:
        faults.append(Fault("no caption", str(path), "no .txt, no .json, no words in the file name", "warning"))
    where = str(path.with_suffix(".json"))
    split = split_of(str(side["split"]), where) if side.get("split") else _split_of_folders(below)
    folder = below.parent.name
    return Clip(
        clip_id,
        str(path),
        captions_of(clip_id, texts),
        split,
        group=str(side.get("group", "")),
        label=str(side.get("label", "" if folder.lower() in SPLIT_NAMES else folder)),
        licence=str(side.get("licence", "")),
        source=str(side.get("source", "")),
    )


def _sidecar(path: Path) -> Json:
    """The .json or .txt file beside the audio, as an object with captions; {} where neither exists."""
    for side in (path.with_suffix(".json"), Path(f"{path}.json")):
        if side.is_file():
            value = parse_json(read_text(side), str(side))
            if isinstance(value, dict):
                return value
            return {"captions": value if isinstance(value, list) else [value]}
    for side in (path.with_suffix(".txt"), Path(f"{path}.txt")):
        if side.is_file():
            return {"captions": non_blank_lines(read_text(side))}
    return {}


def _split_of_folders(below: Path) -> Split | None:
    return next((SPLIT_NAMES[part.lower()] for part in below.parts[:-1] if part.lower() in SPLIT_NAMES), None)
