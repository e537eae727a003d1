"""Recordings that occur on both sides of a split: found by recording id, by file name or by sound, and removed.

The knowledge base counts as training data: run the same filter on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from askaudio.checks.findings import Finding, Level, findings_of
from askaudio.checks.fingerprints import Fingerprint, make_fingerprints
from askaudio.checks.same_sound import Overlap, find_overlaps
from askaudio.core.errors import DataError
from askaudio.core.names import normal
from askaudio.core.types import Progress, Split, silent
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.readers.identity import named_in, read_id_list

Reason = Literal["recording", "name", "sound"]
SHORTEST_NAME = 8  # characters; equal short names such as "1.wav" or "rain.wav" in two corpora are no evidence

# filter -> (corpus, the splits whose recordings are removed)
LEAK_FILTERS: dict[str, tuple[str, tuple[Split, ...]]] = {
    "no_clotho": ("clotho", ("train", "val", "test")),
    "no_clotho_val_test": ("clotho", ("val", "test")),
    "no_clotho_test": ("clotho", ("test",)),
    "no_audiocaps": ("audiocaps", ("train", "val", "test")),
    "no_audiocaps_val_test": ("audiocaps", ("val", "test")),
    "no_audiocaps_test": ("audiocaps", ("test",)),
}


def recording(clip: Clip) -> str:
    """The recording that a clip was cut from ("freesound:181625"), or "" where unknown."""
    return clip.group if ":" in clip.group else ""


def long_name(clip: Clip) -> str:
    """The file name without suffix, case kept ("Ambience birds" is not "Ambience Birds"); "" if too short."""
    file_name = clip.extra.get("file_name")
    name = Path(file_name if isinstance(file_name, str) else clip.path).stem
    name = normal(name)
    return name if len(name) >= SHORTEST_NAME and any(char.isalpha() for char in name) else ""


@dataclass(frozen=True, slots=True)
class Shared:
    """Two clips that are, or may be, the same recording."""

    first: Clip
    second: Clip
    reason: Reason
    detail: str


def _pairs(first: Sequence[Clip], second: Sequence[Clip]) -> Iterator[Shared]:
    """Pairs with the same recording id, or the same long file name."""
    by_recording: dict[str, list[Clip]] = defaultdict(list)
    by_name: dict[str, list[Clip]] = defaultdict(list)
    for clip in first:
        by_recording[recording(clip)].append(clip)
        by_name[long_name(clip)].append(clip)
    for clip in second:
        known = by_recording[recording(clip)] if recording(clip) else []
        yield from (Shared(other, clip, "recording", recording(clip)) for other in known)
        named = by_name[long_name(clip)] if long_name(clip) else []
        yield from (Shared(other, clip, "name", long_name(clip)) for other in named if other not in known)


def shared_recordings(first: Sequence[Clip], second: Sequence[Clip]) -> list[Shared]:
    """Pairs of clips, one of each side, with the same recording id or the same file name.

    Args:
        first: Clips of one split or corpus.
        second: Clips of another.

    Returns:
        The pairs. A pair with the same recording id is not reported for its name too.
    """
    return list(_pairs(first, second))


_SENTENCES = {
    "recording": "recordings are on both sides",
    "name": "file names are on both sides; listen to check whether they are the same sound",
    "sound": "sounds are on both sides (audio fingerprints)",
}


def level_of(first: Split | None, second: Split | None, reason: Reason) -> Level:
    """Level of a shared recording: error between training and test, warning if only the name is equal, else note.

    Args:
        first: Split of one clip.
        second: Split of the other.
        reason: How the pair was found.
    """
    sides = {first, second}
    trained_and_tested = "test" in sides or "val" in sides
    if first == second or not trained_and_tested:
        return "note"
    return "warning" if reason == "name" or None in sides else "error"


def report_shared(pairs: Iterable[Shared], where: str) -> Iterator[Finding]:
    """One finding for each reason and pair of splits."""
    sorted_out: dict[tuple[Reason, str, str], list[Shared]] = defaultdict(list)
    for pair in pairs:
        key = (pair.reason, str(pair.first.split or "all"), str(pair.second.split or "all"))
        sorted_out[key].append(pair)
    for (reason, left, right), found in sorted(sorted_out.items()):
        level = level_of(found[0].first.split, found[0].second.split, reason)
        place = f"{where}: {left}" if left == right else f"{where}: {left} and {right}"
        text = _SENTENCES[reason]
        if level != "note":
            text += "; remove them with: askaudio data convert --without"
        examples = [f"{pair.first.clip_id} = {pair.second.clip_id} ({pair.detail})" for pair in found]
        n = len({pair.detail for pair in found}) if reason != "sound" else len(found)
        yield from findings_of(level, f"shared {reason}", place, text, examples, count=n)


def shared_sounds(
    clips: Sequence[Clip], prints: Sequence[Fingerprint | None], progress: Progress = silent
) -> list[Shared]:
    """Pairs of clips that contain the same sound; clips of one recording in one split are left out.

    Args:
        clips: Clips of any sets.
        prints: Their fingerprints; None where the audio cannot be decoded.
        progress: Called after every clip.
    """
    pairs = [(clips[o.first], clips[o.second], o) for o in find_overlaps(prints, progress)]
    return [
        Shared(a, b, "sound", _describe(overlap))
        for a, b, overlap in pairs
        if not (recording(a) and recording(a) == recording(b) and a.split == b.split)
    ]


def _describe(overlap: Overlap) -> str:
    return f"{overlap.overlap_s:.1f} s at {overlap.offset_s:+.1f} s, {100 * overlap.bit_error:.0f} % of bits differ"


@dataclass(frozen=True, slots=True)
class Filtered:
    """The remaining clips of a filter, and the number of removed clips for each reason."""

    manifest: Manifest
    dropped: dict[Reason, int]


def without_recordings_of(
    manifest: Manifest,
    reference: Manifest,
    *,
    by_sound: bool = False,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> Filtered:
    """Remove every clip whose recording is in ``reference``.

    Args:
        manifest: Training data or contents of a knowledge base.
        reference: Clips that it must not contain, for example the test split; audio is needed only for ``by_sound``.
        by_sound: Compare the audio too.
        cache: Folder for the fingerprints; None to keep none.
        progress: Called after every file.

    Returns:
        The remaining clips. An equal file name is enough to remove a clip: too many are better than too few.
    """
    why: dict[str, Reason] = {}
    for pair in _pairs(reference.listed, manifest.clips):
        why.setdefault(pair.second.clip_id, pair.reason)
    if by_sound:
        clips = (*manifest.clips, *reference.clips)
        prints = make_fingerprints([clip.path for clip in clips], cache, progress)
        n = len(manifest.clips)
        for overlap in find_overlaps(prints, progress):
            if overlap.first < n <= overlap.second:  # a pair within one of the two sides does not count
                why.setdefault(clips[overlap.first].clip_id, "sound")
    dropped: dict[Reason, int] = {"recording": 0, "name": 0, "sound": 0}
    for reason in why.values():
        dropped[reason] += 1
    return Filtered(manifest.where(clip.clip_id not in why for clip in manifest), dropped)


def without_listed(manifest: Manifest, path: Path | str) -> Filtered:
    """Remove the clips that a list file names, for example a blacklist of WavCaps.

    Raises:
        DataError: As ``read_id_list``.
    """
    named = named_in(manifest, read_id_list(path))
    keep = [clip.clip_id not in named for clip in manifest]
    return Filtered(manifest.where(keep), {"recording": 0, "name": keep.count(False), "sound": 0})


def reference_of(name: str, corpus: Manifest) -> Manifest:
    """The part of a corpus whose recordings a named filter removes.

    Args:
        name: One of ``LEAK_FILTERS``.
        corpus: The corpus that the filter names; its audio is not needed.

    Raises:
        DataError: Unknown filter, or another corpus.
    """
    if name not in LEAK_FILTERS:
        raise DataError(f"no leak filter {name!r}; expected one of {', '.join(LEAK_FILTERS)}")
    expected, splits = LEAK_FILTERS[name]
    if corpus.name.split(":")[0] != expected:
        raise DataError(f"the filter {name} needs {expected}, got {corpus.name}; pass {name}={expected}:ROOT")
    return corpus.filter(lambda clip: clip.split in splits)
