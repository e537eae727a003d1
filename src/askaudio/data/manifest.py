"""The manifest of a captioned data set: frozen dataclasses in memory, JSON lines on disk, one clip a line.

A line looks like::

    {"clip_id": "kitchen/0", "path": "kitchen/0.opus", "captions": ["a blender whirs"], "split": "train",
     "group": "freesound:181625", "label": "blender", "duration_s": 4.1, "licence": "CC0", "source": "..."}

Paths are relative to the manifest's folder. Clips cut from one recording share one ``group``, and all clips of a group
are in one split. The short forms ``id`` for ``clip_id`` and ``text`` for one caption are read too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path
from askaudio.core.text import bad_character, json_line, parse_json, read_text, split_lines
from askaudio.core.types import SPLITS, Split
from askaudio.data.summary import About, DatasetSummary, Fault

_UNKNOWN = About()


@dataclass(frozen=True, slots=True)
class Caption:
    """One text that describes one clip."""

    caption_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file with its captions.

    Args:
        clip_id: Unique id within the data set.
        path: Audio file, absolute or relative to the working directory.
        captions: Texts that describe the clip.
        split: Part of the data set, or None where it is not divided.
        group: Recording that the clip was cut from, for example "freesound:181625"; "" where unknown.
        label: Class of the sound, or "".
        duration_s: Length in seconds, or None where it is not listed.
        licence: Licence of the audio, or "".
        source: Address of the recording, or "".
        extra: Other fields of the row, by name.
    """

    clip_id: str
    path: str
    captions: tuple[Caption, ...] = ()
    split: Split | None = None
    _: KW_ONLY
    group: str = ""
    label: str = ""
    duration_s: float | None = None
    licence: str = ""
    source: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """An ordered set of clips with unique ids, its origin, and the clips and rows that cannot be used.

    Args:
        name: Name of the set, for example "audiocaps" or "clotho:test".
        clips: The clips that can be used.
        about: Version, language, licence note, home page.
        missing: Clips that the caption files list and whose audio was not found; counted, never used.
        faults: Rows of the caption files that were left out or corrected.
        broken: Clips that were left out because their audio cannot be read.

    Raises:
        DataError: Two clips have the same id.

    Example:
        >>> from askaudio.data.manifest import Caption, Clip, Manifest
        >>> rain = Clip("rain/0", "rain/0.wav", (Caption("rain/0#0", "rain on a roof"),), "train")
        >>> bell = Clip("bell/0", "bell/0.wav", (Caption("bell/0#0", "a bell rings"),), "test")
        >>> manifest = Manifest("sounds", (rain, bell))
        >>> [clip.clip_id for clip in manifest.split("test")]
        ['bell/0']
        >>> print(manifest.summary)
        sounds: 2 clips, 2 captions
    """

    name: str
    clips: tuple[Clip, ...]
    about: About = _UNKNOWN
    missing: tuple[Clip, ...] = ()
    faults: tuple[Fault, ...] = ()
    broken: tuple[Clip, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for clip in self.clips:
            if clip.clip_id in seen:
                raise DataError(f"{self.name}: clip_id {clip.clip_id!r} occurs twice; ids must be unique")
            seen.add(clip.clip_id)

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    @property
    def listed(self) -> tuple[Clip, ...]:
        """All clips that the caption files list: those with audio, then the missing and the broken ones."""
        return (*self.clips, *self.missing, *self.broken)

    def split(self, split: Split) -> Manifest:
        """The clips of one split, in order, with the missing clips and faults of that split."""
        kept = self.filter(lambda clip: clip.split == split)
        faults = tuple(f for f in self.faults if f.split in (None, split))
        return replace(kept, name=f"{self.name}:{split}", faults=faults)

    def filter(self, keep: Callable[[Clip], bool]) -> Manifest:
        """The listed clips for which ``keep`` is true, missing and broken ones included."""
        clips, missing, broken = (tuple(filter(keep, part)) for part in (self.clips, self.missing, self.broken))
        return replace(self, clips=clips, missing=missing, broken=broken)

    def where(self, keep: Iterable[bool]) -> Manifest:
        """The clips whose entry in ``keep`` (one truth value a clip, in order) is true; missing clips stay."""
        return replace(self, clips=tuple(c for c, k in zip(self.clips, keep, strict=True) if k))

    @property
    def n_captions(self) -> int:
        """Number of captions over all clips."""
        return sum(len(c.captions) for c in self.clips)

    @property
    def summary(self) -> DatasetSummary:
        """The counts to print beside every number computed on this manifest."""
        return DatasetSummary(
            self.name,
            self.about.version,
            clips=len(self.clips),
            captions=self.n_captions,
            missing_clips=len(self.missing),
            missing_captions=sum(len(c.captions) for c in self.missing),
            faulty_rows=len(self.faults),
            broken_clips=len(self.broken),
        )


def split_by_group(manifest: Manifest, shares: Mapping[Split, float] | None = None, seed: int = 0) -> Manifest:
    """Assign a split to every clip, with all clips of a group in one split.

    Groups are ordered by a hash of (seed, group); the first share of the groups becomes train, the next val, the rest
    test. The result depends on the group names and the seed only, not on the order of the clips.

    Args:
        manifest: Clips; one without a group is a group of its own.
        shares: Share of the groups in each split; default 70 % train, 10 % val, 20 % test.
        seed: Another seed gives another division.

    Returns:
        A manifest of the same clips in the same order, each with a split.

    Raises:
        DataError: The shares do not sum to 1.
    """
    shares = shares or {"train": 0.7, "val": 0.1, "test": 0.2}
    if abs(sum(shares.values()) - 1.0) > 1e-6:
        raise DataError(f"split shares must sum to 1, got {dict(shares)}")

    def key(group: str) -> str:
        return hashlib.sha256(f"{seed}|{group}".encode("utf-8", "surrogatepass")).hexdigest()

    groups = sorted({c.group or c.clip_id for c in manifest}, key=key)
    of_group: dict[str, Split] = {}
    start, total = 0, 0.0
    for split in SPLITS:
        total += shares.get(split, 0.0)
        stop = round(total * len(groups))
        of_group.update(dict.fromkeys(groups[start:stop], split))
        start = stop
    return replace(manifest, clips=tuple(replace(c, split=of_group[c.group or c.clip_id]) for c in manifest))


# names of the fields of a line; other fields are kept in ``Clip.extra``
FIELDS = frozenset(
    {"clip_id", "id", "path", "captions", "text", "split", "group", "label", "duration_s", "licence", "source"}
)


def local_path(folder: Path, name: str) -> Path:
    """The path of a file that a table names: backslashes, as Windows writes them, separate folders on every system."""
    path = folder / name
    if "\\" not in name or path.is_file():  # elsewhere a file name may contain a backslash
        return path
    return folder / name.replace("\\", "/")


def _clip_from_row(row: Any, where: str, folder: Path) -> Clip:
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(row).__name__}")
    clip_id = row.get("clip_id", row.get("id"))
    if not isinstance(clip_id, str) or not clip_id or not isinstance(row.get("path"), str):
        raise DataError(f"{where}: needs the text fields 'clip_id' (or 'id') and 'path', got {sorted(row)}")
    texts = row.get("captions") or ([row["text"]] if row.get("text") else [])
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise DataError(f"{where}: 'captions' must be a list of texts")
    if "\0" in clip_id + row["path"]:
        raise DataError(f"{where}: clip_id or path contains a NUL character; take it out")
    if bad := next(filter(None, map(bad_character, texts)), ""):
        raise DataError(f"{where}: a caption contains {bad}; take it out")
    split = row.get("split")
    if split is not None and split not in SPLITS:
        raise DataError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    try:
        duration = None if row.get("duration_s") is None else float(row["duration_s"])
    except (TypeError, ValueError):
        raise DataError(f"{where}: duration_s must be a number of seconds, got {row['duration_s']!r}") from None
    return Clip(
        clip_id=clip_id,
        path=str(local_path(folder, row["path"])),
        captions=tuple(Caption(f"{clip_id}#{k}", text) for k, text in enumerate(texts)),
        split=split,
        **{name: "" if row.get(name) is None else str(row[name]) for name in ("group", "label", "licence", "source")},
        duration_s=duration,
        extra={k: v for k, v in row.items() if k not in FIELDS},
    )


def read_manifest(path: Path | str) -> Manifest:
    """Read a JSON-lines manifest. Its paths are relative to its folder; those of the clips then include the folder.

    Raises:
        DataError: File missing, a line that is not JSON or lacks a field (with the line number), an id twice.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; create one with: askaudio data scenes OUT")
    clips = []
    for number, line in enumerate(split_lines(read_text(path)), start=1):
        if line.strip():
            where = f"{path}:{number}"
            clips.append(_clip_from_row(parse_json(line, where), where, path.parent))
    return Manifest(path.stem, tuple(clips))


def write_manifest(manifest: Manifest, path: Path | str) -> None:
    """Write a manifest as JSON lines in one atomic step; paths of files below its folder are written relative to it."""
    path = Path(path)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for clip in manifest:
            row = {k: v for k, v in asdict(clip).items() if v not in ("", None, {}, ()) and k != "extra"}
            row["path"] = _relative(Path(clip.path), path.parent)
            row["captions"] = [c.text for c in clip.captions]
            file.write(json_line({**clip.extra, **row}))


def _relative(path: Path, folder: Path) -> str:
    """The path as seen from the folder, with slashes on every system; absolute where it is not below the folder."""
    for target, root in ((path.absolute(), folder.absolute()), (path.resolve(), folder.resolve())):
        if target.is_relative_to(root):  # the first form keeps the names of links
            return target.relative_to(root).as_posix()
    return path.resolve().as_posix()
