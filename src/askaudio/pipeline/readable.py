"""Which sounds can be read: every new file is decoded once, before anything is computed from it.

A broken file is otherwise noticed when its turn comes, hours into the features of a large set, and only the first one.
What could be read is kept in the feature cache by content, so later runs check new files only. Cost: one decoding of
each new file, in threads (some hundred times real time a core).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import numpy as np

from askaudio.audio.decode import read_windows
from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import DataError
from askaudio.core.files import sha256_file
from askaudio.core.types import Progress, silent
from askaudio.data.cache import FeatureCache
from askaudio.data.manifest import Manifest
from askaudio.encoders.recording import READ_ERRORS, reason_of

_BLOCK = 1024  # files whose result is written at once: the most that a killed run checks again
_NAMED = 5  # broken sounds in a message


def sound_keys(paths: Sequence[str], pool: Executor, progress: Progress = silent) -> list[str]:
    """SHA-256 of each file; "" for one that cannot be opened.

    Args:
        paths: Paths of the files; the result has their order.
        pool: Executor that reads the files.
        progress: Called after each file.
    """
    keys = []
    for key in pool.map(_key, paths):
        keys.append(key)
        progress(len(keys), len(paths), "sounds read")
    return keys


def _key(path: str) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return ""


def broken_sounds(
    paths: Sequence[str],
    keys: Sequence[str],
    front_end: FrontEnd,
    *,
    features: FeatureCache,
    root: Path | str,
    pool: Executor,
    progress: Progress = silent,
) -> dict[int, str]:
    """Decode every file that is not known to be readable.

    Args:
        paths: The files.
        keys: ``sound_keys`` of the files.
        front_end: Sample rate and windows by which the files will be read.
        features: A file whose features are in this cache was read before.
        root: Folder of all caches.
        pool: Threads.
        progress: Called after every file.

    Returns:
        Position of each file that cannot be read -> the reason.
    """

    def reason(path: str) -> str:
        try:
            rate, window_s, hop_s = front_end.sample_rate_hz, front_end.window_s, front_end.hop_s
            read_windows(path, rate, window_s, hop_s, lambda windows: sum(1 for _ in windows))
        except READ_ERRORS as error:
            return reason_of(error)
        return ""

    checks = FeatureCache(root, {"readable at": front_end.sample_rate_hz})
    known = checks.available(keys) | features.available(keys)
    new = [position for position, key in enumerate(keys) if key not in known]
    reasons: dict[int, str] = {}
    done = 0
    for start in range(0, len(new), _BLOCK):
        block = new[start : start + _BLOCK]
        for position, found in zip(block, pool.map(reason, [paths[position] for position in block]), strict=True):
            done += 1
            if found or not keys[position]:
                reasons[position] = found or "cannot be opened"
            progress(done, len(new), f"sounds checked, {len(reasons)} broken" if reasons else "sounds checked")
        good = [keys[position] for position in block if position not in reasons]
        checks.collect(good, lambda positions: [np.ones(1, np.uint8) for _ in positions], pack=_BLOCK, chunk=_BLOCK)
    return reasons


def without_broken(manifest: Manifest, reasons: dict[int, str], skip: bool, spec: str) -> Manifest:
    """The clips that can be read; the others are in ``broken``.

    Args:
        manifest: The clips.
        reasons: ``broken_sounds`` of their files.
        skip: Leave the broken ones out; False: refuse them.
        spec: Name of the data set, for the message.

    Raises:
        DataError: A sound is broken and ``skip`` is not set, or none can be read.
    """
    if not reasons:
        return manifest
    if not skip or len(reasons) == len(manifest):
        named = "; ".join(f"{manifest.clips[k].path}: {reasons[k]}" for k in sorted(reasons)[:_NAMED])
        more = f"; and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
        raise DataError(
            f"{len(reasons):,} of {len(manifest):,} sounds cannot be read: {named}{more}. Leave them out with "
            f"data.skip_broken=true, or see all of them: askaudio data check '{spec}' --audio full"
        )
    broken = tuple(manifest.clips[k] for k in sorted(reasons))
    return replace(manifest.where(k not in reasons for k in range(len(manifest))), broken=broken)
