"""Pretrained towers that are trained on: EfficientAT mn04 and MiniLM, their last stages, on scenes of real recordings.

    python benchmarks/towers/run.py --sounds ../shared/data/sounds/manifest.jsonl \\
        --tower ../shared/models/efficientat_mn04/mn04_as_mAP_432.pt --out runs/towers

Makes scenes once, trains each system of ``SYSTEMS`` with each seed by the code of ``askaudio train``, scores R@1 and
mAP@10 and the accuracy on near misses (order, count, attribute), and compares with plain training by paired intervals.
What exists is not repeated, so an interrupted run continues. The output of the frozen stages is computed once and
shared by all systems. With 2,000 scenes an epoch of plain training takes some minutes of two cores.
"""

from __future__ import annotations

import argparse
import functools
from dataclasses import replace
from pathlib import Path

from askaudio.config.load import load_recipe
from askaudio.core.files import read_json, write_json, write_text
from askaudio.data.manifest import Manifest, read_manifest, write_manifest
from askaudio.evaluation.compare import compare
from askaudio.evaluation.report import Report
from askaudio.pipeline.assemble import train
from askaudio.pipeline.evaluate import evaluate_model
from askaudio.pipeline.evaluation.further import near_misses
from askaudio.scenes.caption_errors import exchange_captions
from askaudio.scenes.library import recorded_scenes
from askaudio.scenes.write import write_scenes

HERE = Path(__file__).parent
RECIPE = HERE / "recipe.yaml"
LARGE = "train.batch_size=512 train.gradient_cache_chunk=24 train.lr=0.002"
SYSTEMS = {  # name -> keys, and the share of exchanged captions
    "plain B=24": ("", 0.0),
    "plain B=512, gradient cache": (LARGE, 0.0),
    "XBM 2048": ("knowledge=xbm", 0.0),
    "ASK": ("knowledge=ask knowledge.entries=clip knowledge.refresh_early=16", 0.0),
    "plain B=24, 40 % exchanged": ("", 0.4),
    "ASK with reliability, 40 % exchanged": ("knowledge=ask knowledge.reliability=cut", 0.4),
}
METRICS = ("t2a/R@1", "t2a/mAP@10")


def exchanged(folder: Path, share: float, seed: int) -> Path:
    """The scenes' manifest with a share of the training captions exchanged."""
    path = folder / f"manifest-{share:g}-{seed}.jsonl"
    if not path.exists():
        manifest = read_manifest(folder / "manifest.jsonl")
        noisy, _ = exchange_captions(manifest.split("train"), share, seed)
        rest = [clip for clip in manifest if clip.split != "train"]
        write_manifest(Manifest(manifest.name, (*noisy.clips, *rest)), path)
    return path


def one(name: str, seed: int, scenes: Path, tower: str, out: Path, overrides: list[str]) -> Report:
    """Train and score a system with a seed, unless its report is there."""
    keys, share = SYSTEMS[name]
    place = f"{''.join(c if c.isalnum() else '_' for c in name)}-{seed}"
    run, reports = out / "runs" / place, out / "reports" / place
    if not (reports / "near_misses.json").exists():
        manifest = exchanged(scenes, share, seed) if share else scenes / "manifest.jsonl"
        given = [f"data.manifest={manifest}", f"model.audio_weights={tower}", *keys.split(), *overrides]
        train(replace(load_recipe(str(RECIPE), given), seed=seed), run, resume=True)
        found = evaluate_model(run, scenes / "manifest.jsonl", relevance="caption", name=name)
        found.report.save(reports)
        write_json(reports / "near_misses.json", near_misses(found).to_json())
        seconds = [entry["seconds"] for entry in read_json(run / "metrics.json")["history"]]
        write_json(reports / "seconds.json", seconds)
    return Report.load(reports)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/towers"))
    parser.add_argument("--scenes", type=int, default=2000, help="training scenes (default: 2000)")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args()
    keys = [word for word in args.systems if word not in SYSTEMS]  # key=value may follow --systems directly
    systems = [word for word in args.systems if word in SYSTEMS]
    folder = args.out / "scenes"
    if not (folder / "manifest.jsonl").exists():
        counts = {"train": args.scenes, "val": args.scenes // 7, "test": args.scenes * 2 // 7}
        write_scenes(recorded_scenes(read_manifest(args.sounds), counts), folder, workers=2)
    make = functools.partial(one, scenes=folder, tower=args.tower, out=args.out, overrides=[*keys, *args.overrides])
    reports = {name: [make(name, seed) for seed in args.seeds] for name in systems}
    tables = [compare(reports, metric).table("markdown") for metric in METRICS] if len(reports) > 1 else []
    write_text(args.out / "results.md", "\n\n".join(tables) + "\n")
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
