"""Make a captioned library of scenes, synthesised or mixed from your own recordings.

Without --from, sounds are synthesised: 57 kinds with known pitch, speed, count and other attributes. With --from,
recordings are mixed: a phrase table lists the recordings of each class and the words for it; train, val and test never
share a recording. Every draw is seeded: the same command makes the same files, and an interrupted run is continued.

Examples:
  askaudio data scenes library                                   600 synthesised scenes of ten seconds
  askaudio data scenes library --n 5000 --zipf 1.2 --seed 1      more of them, with a longer tail
  askaudio data scenes mix --from sounds/manifest.jsonl --train 7000 --val 600 --test 1200
  askaudio data scenes mix --from sounds/manifest.jsonl --exclude BY-NC --classes 100
  askaudio data scenes mine --from sounds/manifest.jsonl --phrases my-classes.yaml
  askaudio data scenes mix2 --from sounds/manifest.jsonl --external-share 0.3 --external 4000
  askaudio data scenes --list                                    kinds and classes
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from askaudio.cli.output import emit_json, progress_bar, say
from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.data.manifest import Manifest
    from askaudio.scenes.library import SceneSet

HELP = "make a captioned library of scenes, synthesised or mixed from recordings"
_SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio data scenes``."""
    parser.add_argument("out", nargs="?", help="folder for audio/, manifest.jsonl and about.json")
    parser.add_argument("--n", type=int, default=600, help="scenes in all: 70 %% train, 10 %% val, 20 %% test")
    for part in ("train", "val", "test", "external"):
        parser.add_argument(f"--{part}", type=int, help=f"number of {part} scenes, instead of --n")
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default 0)")
    parser.add_argument("--zipf", type=float, default=0.8, help="exponent of the label frequencies (default 0.8)")
    parser.add_argument("--duration", type=float, default=10.0, metavar="S", help="seconds a scene (default 10)")
    parser.add_argument("--rate", type=int, default=32_000, metavar="HZ", help="sample rate (default 32000)")
    parser.add_argument("--events", type=int, default=3, help="most events in a scene, 1 to 3 (default 3)")
    parser.add_argument("--captions", type=int, default=5, help="captions a scene (default 5)")
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="synthesise only these kinds (see --list)")
    parser.add_argument("--from", dest="manifest", metavar="MANIFEST", help="mix the recordings of this manifest")
    parser.add_argument("--phrases", metavar="FILE", help="phrase table (YAML) for --from; default: the shipped one")
    parser.add_argument("--classes", type=int, default=121, help="classes to use, those with most recordings first")
    parser.add_argument(
        "--exclude", nargs="+", default=[], metavar="WORD", help="leave out recordings by id, source or licence"
    )
    parser.add_argument(
        "--external-share", type=float, default=0.0, help="share of recordings kept for --external scenes alone"
    )
    parser.add_argument(
        "--attributes", action="store_true", help="make recordings quiet or loud, near or far, count them, and say so"
    )
    parser.add_argument("--format", default="flac", choices=("flac", "wav"), help="16-bit audio files (default flac)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--list", action="store_true", help="print kinds and classes, and make nothing")


def run(args: argparse.Namespace) -> int:
    """Make the library, or list what can be made."""
    if args.list:
        return _list(args)
    if args.out is None:
        raise ConfigError("say where the scenes go: askaudio data scenes OUT (or --list to see the kinds)")
    from askaudio.scenes.write import write_scenes

    scenes = _scenes(args)
    with progress_bar("making scenes", "scenes") as progress:
        manifest = write_scenes(
            scenes, args.out, audio_format=args.format, workers=max(1, args.workers), progress=progress
        )
    summary = _summary(scenes, manifest, args.out)
    if args.json:
        emit_json(summary)
    else:
        _print(summary)
    return 0


def _counts(args: argparse.Namespace) -> dict[str, int]:
    parts = ("train", "val", "test", "external")
    given = {part: getattr(args, part) for part in parts if getattr(args, part) is not None}
    if given:
        return given
    if args.n < 3:
        raise ConfigError(f"--n must be at least 3 (one scene for each split), got {args.n}")
    test, val = max(1, round(_SHARES["test"] * args.n)), max(1, round(_SHARES["val"] * args.n))
    return {"train": args.n - val - test, "val": val, "test": test}


def _scenes(args: argparse.Namespace) -> SceneSet:
    from askaudio.data.manifest import read_manifest
    from askaudio.scenes.library import recorded_scenes, synthesised_scenes

    settings: dict[str, Any] = {
        "seed": args.seed,
        "zipf": args.zipf,
        "duration_s": args.duration,
        "sample_rate_hz": args.rate,
        "max_events": args.events,
        "n_captions": args.captions,
    }
    counts: dict[Any, int] = dict(_counts(args))
    if args.manifest is None and (args.phrases or args.exclude or args.external_share):
        raise ConfigError("--phrases, --exclude and --external-share are about recordings: give them with --from")
    if args.manifest is None and args.attributes:
        raise ConfigError("--attributes is about recordings, give it with --from; synthesised sounds have attributes")
    if args.manifest is not None and args.kinds:
        raise ConfigError("--kinds chooses synthesised sounds and does not go with --from (use --phrases there)")
    if args.manifest is None:
        return synthesised_scenes(counts, kinds=args.kinds, **settings)
    return recorded_scenes(
        read_manifest(args.manifest),
        counts,
        phrases=args.phrases,
        n_classes=args.classes,
        exclude=args.exclude,
        external_share=args.external_share,
        attributes=args.attributes,
        **settings,
    )


def _summary(scenes: SceneSet, manifest: Manifest, out: str) -> dict[str, Any]:
    labels = Counter(event["label"] for clip in manifest for event in clip.extra["events"])
    example = manifest.clips[0]
    return {
        "manifest": f"{out}/manifest.jsonl",
        "clips": dict(scenes.counts),
        "captions": manifest.n_captions,
        "labels": len(scenes.source.labels),
        "events": dict(labels.most_common()),
        "example": {"path": example.path, "captions": [c.text for c in example.captions]},
    }


def _print(summary: dict[str, Any]) -> None:
    counts = ", ".join(f"{n} {part}" for part, n in summary["clips"].items())
    say(f"{sum(summary['clips'].values())} scenes ({counts}) with {summary['captions']} captions")
    events = list(summary["events"].items())
    shown = ", ".join(f"{label} {n}" for label, n in events[:8])
    rarest = ", ".join(f"{label} {n}" for label, n in events[-4:])
    say(f"{len(events)} of {summary['labels']} labels occur: {shown} ... {rarest}")
    say(f"for example {summary['example']['path']}:")
    for text in summary["example"]["captions"]:
        say(f"  {text}")
    say(f"manifest: {summary['manifest']}")


def _list(args: argparse.Namespace) -> int:
    from askaudio.scenes.phrases import read_phrases
    from askaudio.scenes.synthesised import KINDS

    kinds = {name: {a: list(v) for a, v in kind.values.items()} for name, kind in sorted(KINDS.items())}
    classes = [c.name for c in read_phrases(args.phrases)]
    if args.json:
        emit_json({"kinds": kinds, "classes": classes})
        return 0
    say(f"{len(kinds)} kinds of synthesised sound, with the attributes that captions name:")
    for name, values in kinds.items():
        say(f"  {name:<16}" + ", ".join(f"{a} ({'/'.join(v)})" for a, v in values.items()))
    say(f"\n{len(classes)} classes of recordings in the phrase table:\n  " + ", ".join(classes))
    return 0
