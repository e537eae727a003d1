"""AudioCaps (Kim et al., NAACL 2019) from a local folder: official CSVs, audio under its usual names.

    ROOT/dataset/{train,val,test}.csv      version v1 (also ROOT/v1/, or the CSVs in ROOT itself)
    ROOT/dataset2.0/{train,val,test}.csv   version v2 (also ROOT/v2/)
    ROOT/mei/mei_{val,test}.csv            version mei: the 494 / 957-clip lists of most papers (also in ROOT)
    ROOT/**/*.wav (flac, opus, mp3, ...)   <youtube_id>_<start>, Y<youtube_id>, <youtube_id>_<start>_<end>,
                                           <youtube_id>, <audiocap_id>; start and end in seconds or milliseconds

Videos are removed from YouTube over time; clips without audio are recorded as missing. Nothing is downloaded.

Source: https://github.com/cdjkim/audiocaps (columns audiocap_id, youtube_id, start_time, caption).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.types import SPLITS, Split
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.readers.audio_files import AudioFiles, stem
from askaudio.data.readers.missing import captions_of, manifest_of
from askaudio.data.readers.rows import text_columns, texts_in
from askaudio.data.readers.tables import Row, Table, read_csv
from askaudio.data.summary import About, Fault

CLIP_S = 10  # AudioSet segments
COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")
_PLACES = {
    "v1": ("dataset/{}.csv", "v1/{}.csv"),
    "v2": ("dataset2.0/{}.csv", "v2/{}.csv"),
    "mei": ("mei/mei_{}.csv", "mei_{}.csv"),
}
VERSIONS = tuple(_PLACES)
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_VIDEO_FILE = re.compile(r"Y?([A-Za-z0-9_-]{11})_[0-9][0-9._]*")
_LICENCE = "captions MIT; audio belongs to the uploaders of YouTube"


def find_tables(root: Path, version: str | None) -> tuple[str, dict[Split, Path]]:
    """The version that is found under ``root``, and its CSV of each split.

    CSVs in ``root`` itself count as v2 if no caption has a capital letter (v2.0 is in lower case throughout).

    Raises:
        DataError: No CSV of the version (or of any version, if it is None) was found.
    """
    if version is not None and version not in VERSIONS:
        raise DataError(f"AudioCaps version {version!r} is none of {', '.join(VERSIONS)}")
    for name in (version,) if version else VERSIONS:
        for place in _PLACES[name]:
            tables = {split: path for split in SPLITS if (path := root / place.format(split)).is_file()}
            if tables:
                return name, tables
    tables = {split: path for split in SPLITS if (path := root / f"{split}.csv").is_file()}
    if tables:
        return version or _guess_version(tables), tables
    places = ", ".join(p.format("test") for v in ((version,) if version else VERSIONS) for p in _PLACES[v])
    raise DataError(f"no AudioCaps {version or 'CSV'} under {root}: looked for {places}, test.csv (and train, val)")


def _guess_version(tables: dict[Split, Path]) -> str:
    table = read_csv(tables.get("test") or next(iter(tables.values())))
    captions = "".join(str(row.values.get("caption", "")) for row in table.rows)
    return "v2" if captions == captions.lower() else "v1"


def read_audiocaps(
    root: Path | str,
    *,
    version: str | None = None,
    splits: Sequence[Split] = SPLITS,
    audio: Path | str | None = None,
    need_audio: bool = True,
) -> Manifest:
    """Read AudioCaps.

    Args:
        root: Folder of the CSVs and, below it in any folders, of the audio.
        version: "v1", "v2" or "mei"; default: the first of them that is found.
        splits: Splits to read; one without a CSV is left out.
        audio: Folder of the audio, if it is not under ``root``.
        need_audio: False to read captions only.

    Returns:
        Clips with ``clip_id`` = the YouTube id (with ``_start`` where one video gives several clips), ``group`` =
        "youtube:ID", five captions in val and test; ``extra`` has start_time and audiocap_ids.

    Raises:
        DataError: No CSV found, or one without the official columns.
    """
    root = Path(root)
    version, tables = find_tables(root, version)
    faults: list[Fault] = []
    listed: list[Clip] = []
    for split in splits:
        if split in tables:
            table = read_csv(tables[split], split)
            faults += table.faults
            listed += _clips(table, tables[split], split, faults)
    listed = _unique_ids(listed)
    about = About(version, "en", _LICENCE, "https://github.com/cdjkim/audiocaps")
    find = _finder(AudioFiles(audio or root), _alone(listed)) if need_audio else None
    return manifest_of("audiocaps", listed, find, about, faults)


def _finder(files: AudioFiles, alone: set[str]) -> Callable[[Clip], Path | None]:
    """Search for exact names first; a video with one clip is also found by its id with any start."""
    of_video: dict[str, list[str]] = defaultdict(list)
    for path in files.paths:
        if match := _VIDEO_FILE.fullmatch(stem(path.name)):
            of_video[match[1]].append(stem(path.name))

    def find(clip: Clip) -> Path | None:
        video = clip.group.removeprefix("youtube:")
        any_start = of_video.get(video, []) if clip.group in alone else []
        return files.find([*file_stems(clip, alone=clip.group in alone), *any_start], clip.split)

    return find


def file_stems(clip: Clip, alone: bool = True) -> list[str]:
    """File names (without suffix) of a clip of AudioCaps in copies of the corpus, the most specific first.

    Args:
        clip: Clip of this reader.
        alone: The video has only this clip, so that a name without the start identifies it.
    """
    video, start = clip.group.removeprefix("youtube:"), clip.extra.get("start_time")
    names: list[str] = []
    if isinstance(start, int):
        end = start + CLIP_S
        spans = [f"{start}", f"{start}_{end}", f"{start * 1000}", f"{start * 1000}_{end * 1000}", f"{start:06d}"]
        spans += [f"{start:.1f}_{end:.1f}", f"{start:.3f}_{end:.3f}"]
        names += [f"{prefix}{video}_{span}" for span in spans for prefix in ("", "Y")]
    if alone:
        names += [f"Y{video}", video]
    return names + [str(number) for number in clip.extra.get("audiocap_ids", ())]


def _alone(clips: list[Clip]) -> set[str]:
    seen: dict[str, int] = defaultdict(int)
    for clip in clips:
        seen[clip.group] += 1
    return {group for group, count in seen.items() if count == 1}


def _unique_ids(clips: list[Clip]) -> list[Clip]:
    """Add the start to the id where a video has several clips, and the split where a clip is in two splits."""
    alone = _alone(clips)
    result: dict[str, Clip] = {}
    for clip in clips:
        clip_id = clip.clip_id if clip.group in alone else f"{clip.clip_id}_{clip.extra.get('start_time', 0)}"
        clip_id = f"{clip_id}_{clip.split}" if clip_id in result else clip_id
        if clip_id != clip.clip_id:
            clip = replace(clip, clip_id=clip_id, captions=captions_of(clip_id, [c.text for c in clip.captions]))
        result[clip_id] = clip
    return list(result.values())


def _clips(table: Table, path: Path, split: Split, faults: list[Fault]) -> list[Clip]:
    if "file_name" in table.columns:
        return _wide_clips(table, split, faults)
    if not set(COLUMNS) <= set(table.columns):
        expected = f"{', '.join(COLUMNS)} (or file_name, caption_1 ... caption_5)"
        raise DataError(f"{path}: columns are {', '.join(table.columns)}; expected {expected}")
    grouped: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in table.rows:
        fault = _fault(row)
        if fault:
            faults.append(Fault(fault, row.where, str(row.values), split=split))
        else:
            grouped[row.values["youtube_id"], int(row.values["start_time"])].append(row)
    return [_clip(video, start, rows, split) for (video, start), rows in grouped.items()]


def _fault(row: Row) -> str | None:
    values = row.values
    if not values["audiocap_id"].isdigit():
        return "audiocap_id is not a number"
    if not _YOUTUBE_ID.fullmatch(values["youtube_id"]):
        return "youtube_id is not 11 letters"
    if not values["start_time"].isdigit():
        return "start_time is not whole seconds"
    return None if values["caption"].strip() else "no caption"


def _clip(video: str, start: int, rows: list[Row], split: Split) -> Clip:
    return Clip(
        video,
        f"{video}_{start}.wav",
        captions_of(video, [row.values["caption"] for row in rows]),
        split,
        group=f"youtube:{video}",
        source=f"https://www.youtube.com/watch?v={video}&t={start}s",
        extra={"start_time": start, "audiocap_ids": [int(row.values["audiocap_id"]) for row in rows]},
    )


def _wide_clips(table: Table, split: Split, faults: list[Fault]) -> list[Clip]:
    """Rows ``Y<youtube_id>.wav, caption_1 ... caption_5``: the lists of Mei et al.; they have no start times."""
    columns = text_columns(table.columns)
    clips = []
    for row in table.rows:
        video = stem(str(row.values["file_name"]))
        video = video[1:] if len(video) == 12 and video.startswith("Y") else video
        texts = texts_in(row.values, columns)
        if not _YOUTUBE_ID.fullmatch(video) or not texts:
            kind = "no caption" if not texts else "file_name is not Y<youtube_id>.wav"
            faults.append(Fault(kind, row.where, str(row.values["file_name"]), split=split))
            continue
        source = f"https://www.youtube.com/watch?v={video}"
        path = f"Y{video}.wav"
        clips.append(Clip(video, path, captions_of(video, texts), split, group=f"youtube:{video}", source=source))
    return clips
