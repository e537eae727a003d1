"""Checks of captioned data sets: rows, audio, captions, and recordings shared within and between sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

from askaudio.checks.audio import AudioFacts, check_audio, read_audio
from askaudio.checks.captions import alignment_checksum, check_alignment, check_captions, official_state
from askaudio.checks.findings import CheckedSet, CheckReport, Finding, Level, findings_of, in_order
from askaudio.checks.fingerprints import make_fingerprints
from askaudio.checks.leaks import Shared, report_shared, shared_recordings, shared_sounds
from askaudio.core.types import SPLITS, Progress, Split, silent
from askaudio.data.manifest import Clip, Manifest
from askaudio.data.summary import Fault

AudioDepth = Literal["none", "headers", "full"]


def check_datasets(
    manifests: Sequence[Manifest],
    audio: AudioDepth = "headers",
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Check data sets, each by itself and every pair against each other.

    Args:
        manifests: Sets from ``read_dataset``; captions of clips without audio are checked too.
        audio: "none": captions and ids only. "headers": also the length and the bytes of every file. "full": also
            decode every file and compare its sound with every other file of all sets.
        cache: Folder for the fingerprints of "full"; None to keep none.
        progress: Called after every file.

    Returns:
        Sizes, checksums and findings.
    """
    findings: list[Finding] = []
    summaries: list[CheckedSet] = []
    for manifest in manifests:
        facts = [] if audio == "none" else read_audio(manifest.clips, audio == "full", progress)
        summaries += _summaries(manifest, facts)
        findings += _check_rows(manifest, audio)
        findings += check_audio(facts, manifest.name)
        for split, clips in _parts(manifest):
            findings += check_captions(clips, _place(manifest, split), split)
        findings += report_shared(_between_splits(manifest), manifest.name)
    for first, second in combinations(manifests, 2):
        names = (first.name, second.name)
        findings += check_alignment(first, second)
        findings += report_shared(shared_recordings(first.listed, second.listed), " / ".join(names))
    if audio == "full":
        findings += _check_sounds(manifests, cache, progress)
    return CheckReport(tuple(summaries), in_order(findings))


def _parts(manifest: Manifest) -> list[tuple[Split | None, list[Clip]]]:
    """The listed clips of each split that has any."""
    parts: list[tuple[Split | None, list[Clip]]] = []
    for split in (*SPLITS, None):
        if clips := [clip for clip in manifest.listed if clip.split == split]:
            parts.append((split, clips))
    return parts


def _place(manifest: Manifest, split: Split | None) -> str:
    return f"{manifest.name}:{split}" if split and f":{split}" not in manifest.name else manifest.name


def _summaries(manifest: Manifest, facts: Sequence[AudioFacts]) -> Iterator[CheckedSet]:
    for split, clips in _parts(manifest):
        durations = [one.duration_s for one in facts if one.clip.split == split and one.duration_s is not None]
        checksum = alignment_checksum(clips)
        yield CheckedSet(
            (manifest.split(split) if split else manifest).summary,
            checksum,
            official_state(manifest, split, checksum),
            audio_s=sum(durations) if durations else None,
            shortest_s=min(durations, default=None),
            longest_s=max(durations, default=None),
        )


def _check_rows(manifest: Manifest, audio: AudioDepth) -> Iterator[Finding]:
    kinds: dict[tuple[str, Level], list[Fault]] = defaultdict(list)
    for fault in manifest.faults:
        kinds[fault.kind, fault.level].append(fault)
    for (kind, level), faults in sorted(kinds.items()):
        examples = [f"{fault.where}: {fault.what}" for fault in faults]
        yield from findings_of(level, "faulty row", manifest.name, f"rows: {kind}", examples)
    if manifest.missing and audio != "none":
        total = len(manifest.missing) + len(manifest)
        text = f"of {total:,} listed clips have no audio"
        missing = [clip.clip_id for clip in manifest.missing]
        yield from findings_of("warning", "missing audio", manifest.name, text, missing)


def _between_splits(manifest: Manifest) -> list[Shared]:
    return [
        pair
        for (_, first), (_, second) in combinations(_parts(manifest), 2)
        for pair in shared_recordings(first, second)
    ]


def _check_sounds(manifests: Sequence[Manifest], cache: Path | str | None, progress: Progress) -> Iterator[Finding]:
    clips = [clip for manifest in manifests for clip in manifest]
    owner = {id(clip): manifest.name for manifest in manifests for clip in manifest}
    prints = make_fingerprints([clip.path for clip in clips], cache, progress)
    between: dict[tuple[str, str], list[Shared]] = defaultdict(list)
    for pair in shared_sounds(clips, prints, progress):
        between[owner[id(pair.first)], owner[id(pair.second)]].append(pair)
    for (first, second), pairs in between.items():
        yield from report_shared(pairs, first if first == second else f"{first} / {second}")
