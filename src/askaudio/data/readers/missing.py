"""From listed clips to a manifest: clips whose audio exists are kept, the others are recorded as missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.data.summary import About, Fault


def captions_of(clip_id: str, texts: Iterable[str]) -> tuple[Caption, ...]:
    """Captions with the ids ``clip_id#0``, ``clip_id#1`` ...; leading and trailing blanks are removed."""
    return tuple(Caption(f"{clip_id}#{k}", text.strip()) for k, text in enumerate(texts))


def existing(clip: Clip) -> Path | None:
    """The path of the clip if it is a file, else None."""
    path = Path(clip.path)
    return path if path.is_file() else None


def manifest_of(
    name: str,
    listed: Iterable[Clip],
    find: Callable[[Clip], Path | None] | None,
    about: About,
    faults: Iterable[Fault] = (),
) -> Manifest:
    """Find the audio of each listed clip and build the manifest.

    Args:
        name: Name of the set.
        listed: Clips in the order of the caption file; ``path`` is where their audio is expected.
        find: Function from a clip to its audio file or None; None to use captions only (no clip is then missing).
        about: Origin of the set.
        faults: Rows that were left out or corrected.

    Returns:
        The manifest, with ``missing`` filled.
    """
    if find is None:
        return Manifest(name, tuple(listed), about, (), tuple(faults))
    here: list[Clip] = []
    missing: list[Clip] = []
    for clip in listed:
        path = find(clip)
        if path is None:
            missing.append(clip)
        else:
            here.append(replace(clip, path=str(path)))
    return Manifest(name, tuple(here), about, tuple(missing), tuple(faults))
