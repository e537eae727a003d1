"""Checks of the audio files of one data set, by their headers or by decoding them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from askaudio.audio.decode import decode, probe
from askaudio.checks.findings import Finding, findings_of
from askaudio.core.errors import AudioDecodeError
from askaudio.core.files import sha256_file
from askaudio.core.types import Progress, silent
from askaudio.data.manifest import Clip

SHORTEST_S = 0.1
SILENT_PEAK = 1e-4  # -80 dB of full scale
TOLERANCE_S = 0.1  # between a listed and a found duration
_LEVEL_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """Facts of one audio file.

    Args:
        clip: The clip of the file.
        duration_s: Length in seconds; None where unknown.
        digest: SHA-256 of the bytes.
        peak: Largest absolute sample; None where the file was not decoded.
        fault: Why the file cannot be decoded, or "".
    """

    clip: Clip
    duration_s: float | None = None
    digest: str = ""
    peak: float | None = None
    fault: str = ""


def read_audio(clips: Sequence[Clip], decoded: bool, progress: Progress = silent) -> list[AudioFacts]:
    """Read the header of every file, hash its bytes, and optionally decode it.

    Args:
        clips: Clips whose audio exists.
        decoded: Decode every file to find damaged and silent ones (about 300 times real time a core).
        progress: Called after every clip.

    Returns:
        One result a clip, in order.
    """

    def one(clip: Clip) -> AudioFacts:
        try:
            info = probe(clip.path)
            facts = AudioFacts(clip, info.duration_s, sha256_file(clip.path))
            if not decoded:
                return facts
            samples = decode(clip.path, _LEVEL_RATE_HZ)  # (S,)
            return replace(facts, duration_s=len(samples) / _LEVEL_RATE_HZ, peak=float(np.abs(samples).max()))
        except AudioDecodeError as error:
            return AudioFacts(clip, fault=error.reason)

    results = []
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
        for facts in pool.map(one, clips):
            results.append(facts)
            progress(len(results), len(clips), "reading audio")
    return results


def check_audio(facts: Iterable[AudioFacts], where: str) -> Iterator[Finding]:
    """Findings in the audio files of one set."""
    facts = list(facts)
    broken = [f"{one.clip.path}: {one.fault}" for one in facts if one.fault]
    yield from findings_of("error", "broken audio", where, "files cannot be decoded", broken)
    timed = [one for one in facts if one.duration_s is not None]
    short = [f"{one.clip.clip_id}: {one.duration_s:.3f} s" for one in timed if (one.duration_s or 0) < SHORTEST_S]
    yield from findings_of("warning", "short audio", where, f"clips are shorter than {SHORTEST_S} s", short)
    mute = [one.clip.clip_id for one in facts if one.peak is not None and one.peak < SILENT_PEAK]
    yield from findings_of("warning", "silent audio", where, "clips are silent (peak under -80 dB)", mute)
    wrong = [
        f"{one.clip.clip_id}: listed {one.clip.duration_s:.2f} s, found {one.duration_s:.2f} s"
        for one in timed
        if one.clip.duration_s is not None and abs(one.clip.duration_s - (one.duration_s or 0)) > TOLERANCE_S
    ]
    yield from findings_of("warning", "wrong duration", where, "clips are not as long as listed", wrong)
    yield from _equal_files(facts, where)


def _equal_files(facts: list[AudioFacts], where: str) -> Iterator[Finding]:
    """Files with the same bytes: a leak where they are in two splits, else duplicates."""
    same: dict[str, list[Clip]] = defaultdict(list)
    for one in facts:
        if one.digest:
            same[one.digest].append(one.clip)
    sets = [clips for clips in same.values() if len(clips) > 1]
    across = [_names(clips) for clips in sets if len({clip.split for clip in clips}) > 1]
    within = [_names(clips) for clips in sets if len({clip.split for clip in clips}) == 1]
    text = "files are in two splits with the same bytes: take them out of one"
    yield from findings_of("error", "same file in two splits", where, text, across)
    yield from findings_of(
        "warning", "same file twice", where, "sounds occur more than once with the same bytes", within
    )


def _names(clips: list[Clip]) -> str:
    return " = ".join(clip.clip_id for clip in clips)
