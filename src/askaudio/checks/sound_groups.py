"""Splits that separate neither a recording nor a sound: groups whose clips share a sound are put into one split.

Libraries of game sounds and effects reuse a sound under many names. With groups by name only, 71 of 1,020 test clips of
a library of free games had their sound in the training split too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from askaudio.checks.fingerprints import make_fingerprints
from askaudio.checks.same_sound import find_overlaps
from askaudio.core.types import Progress, Split, silent
from askaudio.data.manifest import Manifest, split_by_group


def joined(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Connected components: name -> the smallest name that it is connected with through pairs."""
    root = {name: name for name in names}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for first, second in pairs:
        low, high = sorted((find(first), find(second)))
        root[high] = low
    return {name: find(name) for name in root}


def split_by_sound(
    manifest: Manifest,
    shares: Mapping[Split, float] | None = None,
    seed: int = 0,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Like ``split_by_group``, with groups that share a sound merged into one.

    Args:
        manifest: Clips with audio.
        shares: Share of the merged groups in each split; default as ``split_by_group``.
        seed: Another seed gives another division.
        cache: Folder for the fingerprints; None to keep none.
        progress: Called after every file.

    Returns:
        The same clips in the same order, each with a split; their ``group`` is unchanged.
    """
    prints = make_fingerprints([clip.path for clip in manifest], cache, progress)
    groups = [clip.group or clip.clip_id for clip in manifest]
    overlaps = find_overlaps(prints, progress)
    together = joined(groups, ((groups[o.first], groups[o.second]) for o in overlaps))
    grouped = [replace(clip, group=together[group]) for clip, group in zip(manifest, groups, strict=True)]
    dealt = split_by_group(replace(manifest, clips=tuple(grouped)), shares, seed)
    clips = (replace(clip, split=other.split) for clip, other in zip(manifest, dealt, strict=True))
    return replace(manifest, clips=tuple(clips))
