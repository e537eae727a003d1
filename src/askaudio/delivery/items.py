"""A selection that is ready to be taken: sounds and parts of sounds, their credits, and the names of their copies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from askaudio.core.errors import ConfigError
from askaudio.core.names import readable
from askaudio.delivery.credits import Credit, CreditReader
from askaudio.delivery.file_names import Names
from askaudio.index.bookkeeping import Bookkeeping, Stamp, public_metadata
from askaudio.index.entries import StoredClip
from askaudio.index.filters import clips_are
from askaudio.index.store import VectorStore
from askaudio.projects.projects import NewItem

_AT_ONCE = 400
_ALL_S = 0.05  # a part that leaves out less at either end is the whole recording
MOST_HANDLES_S = 60.0
CREDITS_FILE = "CREDITS.txt"


@dataclass(frozen=True, slots=True)
class Taken:
    """One sound of a selection.

    Attributes:
        clip_id: Id in the collection.
        path: The file, absolute.
        metadata: Facts about the recording.
        credit: Its credit.
        name: Name of its copy, unique in the selection.
        stamp: State of the file when it was indexed.
        start_s: Start of the part, in seconds; None for the whole recording.
        end_s: End of the part.
        cut_start_s: Start of what is copied: the part with its handles.
        cut_end_s: Its end.
        note: What a person noted about it.
    """

    clip_id: str
    path: str
    metadata: Mapping[str, Any]
    credit: Credit
    name: str
    stamp: Stamp | None = None
    start_s: float | None = None
    end_s: float | None = None
    cut_start_s: float = 0.0
    cut_end_s: float = 0.0
    note: str = ""

    @property
    def is_part(self) -> bool:
        """Whether only a part of the recording is taken."""
        return self.start_s is not None

    @property
    def recording_s(self) -> float:
        """Length of the whole recording, in seconds."""
        return float(self.metadata.get("duration_s") or 0.0)

    @property
    def length_s(self) -> float:
        """Length of what is taken, without handles, in seconds."""
        return self.recording_s if self.start_s is None or self.end_s is None else self.end_s - self.start_s

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the file; 48,000 where it is not known."""
        return int(self.metadata.get("sample_rate_hz") or 48_000)


@dataclass(frozen=True, slots=True)
class Left:
    """A sound that was left out, and why."""

    clip_id: str
    path: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """All fields."""
        return {"clip_id": self.clip_id, "path": self.path, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Selection:
    """What is taken, in order, and what was left out."""

    taken: tuple[Taken, ...] = ()
    left: tuple[Left, ...] = field(default_factory=tuple)

    def without(self, left: Sequence[Left]) -> Selection:
        """The selection with more sounds left out."""
        gone = {(one.clip_id, one.path) for one in left}
        taken = tuple(one for one in self.taken if (one.clip_id, one.path) not in gone)
        return replace(self, taken=taken, left=(*self.left, *left))


def select(
    store: VectorStore,
    wanted: Iterable[NewItem | str],
    credits: CreditReader,
    *,
    handles_s: float = 0.0,
    commercial: bool = False,
) -> Selection:
    """Look up a selection in the collection.

    Args:
        store: The open collection.
        wanted: Ids of clips, or parts of clips. The same part twice is taken once.
        credits: Reads the credits.
        handles_s: Seconds of sound to keep before and after each part.
        commercial: Leave out what is not known to allow commercial use.

    Raises:
        ConfigError: ``handles_s`` is out of range.
    """
    if not 0 <= handles_s <= MOST_HANDLES_S:
        raise ConfigError(f"handles of {handles_s} s; expected 0 to {MOST_HANDLES_S:g} s")
    items = list(dict.fromkeys(NewItem(item) if isinstance(item, str) else item for item in wanted))
    stored = _stored(store, [item.clip_id for item in items])
    names, taken, left = Names(CREDITS_FILE), [], []
    for item in items:
        clip = stored.get(item.clip_id)
        if clip is None:
            left.append(Left(item.clip_id, "", "the collection does not hold it"))
            continue
        credit = credits.read(clip.path, clip.metadata)
        if commercial and not credit.licence.commercial:
            left.append(Left(item.clip_id, clip.path, _refusal(credit)))
            continue
        one = _part(clip, item, credit, handles_s)
        if one.is_part and one.cut_end_s <= one.cut_start_s:
            left.append(Left(item.clip_id, clip.path, f"it ends at {one.recording_s:g} s, before the part begins"))
            continue
        taken.append(replace(one, name=names.add(*_file_name(one))))
    return Selection(tuple(taken), tuple(left))


def _refusal(credit: Credit) -> str:
    licence = credit.licence
    if not licence.name:
        return "no licence is known, so commercial use is not known to be allowed"
    if licence.commercial is None:
        return f"it is not known whether {licence.name!r} allows commercial use"
    return f"{licence.name!r} does not allow commercial use"


def _part(clip: StoredClip, item: NewItem, credit: Credit, handles_s: float) -> Taken:
    whole = Taken(clip.clip_id, clip.path, public_metadata(clip.metadata), credit, "",
                  Bookkeeping.of(clip.metadata).stamp, note=item.note)  # fmt: skip
    length_s = whole.recording_s
    if item.start_s is None or item.end_s is None or _is_all(item.start_s, item.end_s, length_s):
        return replace(whole, cut_end_s=length_s)
    end_s = min(item.end_s, length_s) if length_s else item.end_s
    return replace(
        whole,
        start_s=item.start_s,
        end_s=end_s,
        cut_start_s=max(0.0, item.start_s - handles_s),
        cut_end_s=end_s + handles_s if not length_s else min(length_s, end_s + handles_s),
    )


def _is_all(start_s: float, end_s: float, length_s: float) -> bool:
    """Whether a part is the whole recording, which is then copied as it is."""
    return start_s < _ALL_S and 0 < length_s < end_s + _ALL_S


def _file_name(one: Taken) -> tuple[str, str]:
    """Stem and suffix of a copy: parts are WAV files whose name says where they are from."""
    stem, suffix = os.path.splitext(readable(os.path.basename(one.path)))
    return (f"{stem} {one.cut_start_s:.2f}-{one.cut_end_s:.2f} s", ".wav") if one.is_part else (stem, suffix)


def _stored(store: VectorStore, clip_ids: Sequence[str]) -> dict[str, StoredClip]:
    ids = sorted(set(clip_ids))
    parts = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
    return {clip.clip_id: clip for part in parts for clip in store.clips(clips_are(part))}
