"""Describe a captioned sound library: version, licence, sizes of its splits, missing files, a few clips.

Examples:
  askaudio data info ~/sounds                                    a folder, captions in sidecar files or in file names
  askaudio data info audiocaps:/data/AudioCaps?version=v1        975 test clips, if you have them all
  askaudio data info "audiocaps:/data/AudioCaps?split=test&list=mei_test.csv"      the 957 clips of most papers
  askaudio data info captions.csv --captions-only --json
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, progress_bar, say

if TYPE_CHECKING:
    from askaudio.core.types import Json
    from askaudio.data.manifest import Manifest

HELP = "describe a library and what is missing from it"
N_EXAMPLES = 5  # faulty rows to show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio data info``."""
    parser.add_argument("dataset", help="manifest.jsonl, .csv, folder, audiocaps:ROOT, clotho:ROOT, hf:..., wds:...")
    parser.add_argument("--captions-only", action="store_true", help="do not look for audio")
    parser.add_argument("--clips", type=int, default=3, metavar="N", help="clips to show (default 3)")


def run(args: argparse.Namespace) -> int:
    """Read the set and describe it."""
    from askaudio.data.readers.open import read_dataset

    with progress_bar("reading", "clips") as progress:
        manifest = read_dataset(args.dataset, need_audio=not args.captions_only, progress=progress)
    facts = _facts(manifest, args.clips)
    if args.json:
        emit_json(facts)
    else:
        _print(facts)
    return 0


def _facts(manifest: Manifest, n_clips: int) -> Json:
    from askaudio.core.types import SPLITS
    from askaudio.data.summary import count_kinds

    parts = [part for split in SPLITS if len(part := manifest.split(split)) or part.missing]
    return {
        "name": manifest.name,
        "version": manifest.about.version,
        "language": manifest.about.language,
        "licence": manifest.about.licence,
        "source": manifest.about.source,
        "pool": manifest.summary.to_json(),
        "splits": [part.summary.to_json() for part in parts],
        "groups": len({clip.group or clip.clip_id for clip in manifest}),
        "faults": count_kinds(manifest.faults),
        "fault_examples": [f"{fault.where}: {fault.what}" for fault in manifest.faults[:N_EXAMPLES]],
        "clips": [
            {"clip_id": clip.clip_id, "path": clip.path, "captions": [c.text for c in clip.captions]}
            for clip in manifest.clips[:n_clips]
        ],
    }


def _print(facts: Json) -> None:
    from askaudio.data.summary import DatasetSummary

    for name in ("version", "language", "licence", "source"):
        if facts[name]:
            say(f"{name:9} {facts[name]}")
    for counts in (facts["pool"], *facts["splits"]):
        say(str(DatasetSummary(**counts)))
    say(f"{facts['groups']:,} recordings (groups)")
    for kind, count in facts["faults"].items():
        say(f"faulty rows: {count:,} x {kind}")
    for example in facts["fault_examples"]:
        say(f"  {example}")
    for clip in facts["clips"]:
        say(f"\n{clip['clip_id']}  {clip['path']}")
        for text in clip["captions"]:
            say(f"  - {text}")
