"""Does batch size limit training on your data? Measured in a short trial, before anything is built on a guess.

Features are made once by frozen towers (--tower) or by a model of yours (--model), and two small projections are
trained on them with the plain contrastive loss at your batch size. After each epoch the gradient of a batch is
compared with the gradient of the same contrast over all pairs:
  fidelity       cosine of the two; 1: the batch saw all that matters, there is no bottleneck and nothing to gain
  reach          share of all pairs that had any part in a step's gradient
  contributors   how many pairs, in effect, an anchor's gradient comes from
and the same is asked of a knowledge base that is half an epoch, one and two epochs old: how rarely may it be refreshed?

Examples:
  askaudio diagnose captions.csv --tower models/mn04_as.onnx
  askaudio diagnose library/manifest.jsonl --tower models/mn04_as.onnx --batch-size 24 --figure locality.png
  askaudio diagnose "clotho:/data/clotho?split=train" --model runs/mine --json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, progress_bar, say
from askaudio.core.errors import ConfigError
from askaudio.core.types import Json

if TYPE_CHECKING:
    from askaudio.training.diagnose import Diagnosis

HELP = "measure whether batch size limits training on your data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio diagnose``."""
    parser.add_argument("dataset", help="captioned set, as `askaudio data --help` names it")
    parser.add_argument("--tower", metavar="ONNX", help="frozen audio tower (EfficientAT); texts go through MiniLM")
    parser.add_argument("--model", metavar="SPEC", help="instead: any encoder (encoder folder, run folder, toy)")
    parser.add_argument("--batch-size", type=int, default=64, help="the batch size in question (64)")
    parser.add_argument("--epochs", type=int, default=6, help="length of the trial (6)")
    parser.add_argument("--temperature", type=float, default=0.07, help="of the loss (0.07)")
    parser.add_argument("--pairs", type=int, default=10_000, help="largest number of clips that are drawn (10000)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same numbers")
    parser.add_argument("--figure", metavar="PNG", help="draw it (needs the extra figures); .png, .svg or .pdf")
    parser.add_argument("--out", metavar="FILE", help="also write everything that was measured to this JSON file")
    parser.add_argument("--cache", help="folder of computed features; default ~/.cache/askaudio/features")


def run(args: argparse.Namespace) -> int:
    """Extract, train briefly, measure, say."""
    if args.temperature <= 0 or args.pairs < 1:
        raise ConfigError(f"--temperature and --pairs must be above 0, got {args.temperature} and {args.pairs}")
    from askaudio.cli.diagnose_figure import check_figure, draw_diagnosis
    from askaudio.core.files import write_json

    if args.figure:
        check_figure(args.figure)  # before minutes of work
    found, n_clips = _measure(args)
    facts: Json = {
        "clips": n_clips,
        **asdict(found),
        "bottleneck": found.level,
        "fidelity": found.plain(found.batch_size),
        "refresh_epochs": found.refresh_epochs,
        "verdict": verdict(found, n_clips),
    }
    if args.out:
        write_json(args.out, facts)
    if args.figure:
        draw_diagnosis(found, args.figure)
    if args.json:
        emit_json(facts)
    else:
        _print(found, facts["verdict"], args.figure)
    return 0


def _measure(args: argparse.Namespace) -> tuple[Diagnosis, int]:
    import numpy as np
    import torch

    from askaudio.data.readers.open import open_dataset
    from askaudio.pipeline.pair_features import pair_features
    from askaudio.training.diagnose import diagnose

    with progress_bar("diagnosis") as progress:
        manifest = open_dataset(args.dataset, progress=progress)
        manifest = manifest.where([bool(clip.captions) for clip in manifest])
        n_clips = len(manifest)
        if n_clips > args.pairs:
            drawn = np.random.default_rng(args.seed).permutation(n_clips) < args.pairs
            manifest = manifest.where(drawn.tolist())
        pairs = pair_features(manifest, args.tower, args.model, args.cache, progress)
        first = torch.from_numpy(np.unique(pairs.codes, return_index=True)[1])  # one caption a clip
        audio, text = torch.from_numpy(pairs.audio)[first], torch.from_numpy(pairs.text)[first]
        found = diagnose(
            audio, text, args.batch_size,
            epochs=args.epochs, temperature=args.temperature, seed=args.seed, progress=progress,
        )  # fmt: skip
    return found, n_clips


def verdict(found: Diagnosis, n_clips: int) -> list[str]:
    """The findings in words, one a line."""
    size, now = found.batch_size, found.plain(found.batch_size)
    lines = {
        "none": f"No bottleneck at batch size {size}: its gradient agrees with that of all pairs (fidelity {now:.2f}). "
        "Where there is no bottleneck there is nothing to gain: train plainly.",
        "slight": f"A slight bottleneck at batch size {size} (fidelity {now:.2f}): knowledge, or a larger batch, may "
        "help a little; compare with the plain loss before you keep it.",
        "strong": f"A bottleneck at batch size {size}: its gradient points elsewhere than that of all pairs (fidelity "
        f"{now:.2f}). A larger batch or knowledge from outside it (knowledge=ask) is worth a try.",
    }
    said = [lines[found.level]]
    sizes = sorted({b.batch_size for b in found.batches})
    enough = [size for size in sizes if found.plain(size) >= 0.95]
    if found.level != "none":
        what = f"at batch size {enough[0]}" if enough else f"at no batch size tried (up to {sizes[-1]})"
        said.append(f"A fidelity of 0.95 is reached {what}.")
        said.append(_refresh(found))
    if found.pairs < n_clips:
        said.append(f"Measured on {found.pairs:,} of {n_clips:,} clips; with all of them fidelity is lower.")
    said.append("Fidelity says how far gradients agree, not how many points of R@10 there are to win: that only a "
                "comparison on held-out clips shows (askaudio compare).")  # fmt: skip
    return said


AGE_WORDS = {0.5: "half an epoch old", 1.0: "an epoch old", 2.0: "two epochs old"}


def _refresh(found: Diagnosis) -> str:
    """How rarely a base may be refreshed, with the recipe keys that say so."""
    half = max(1, found.pairs // found.batch_size // 2)  # steps
    keys = {
        0.5: f"knowledge.refresh=steps knowledge.refresh_steps={half}",
        1.0: "the recipe's own period",
        2.0: "knowledge.refresh_epochs=2",
    }
    period = found.refresh_epochs
    if period is None:
        return ("The encoders move fast: even a base that is half an epoch old differs from a fresh one; refresh more "
                f"often than {keys[0.5]}, or write fresh rows through at every step.")  # fmt: skip
    said = (f"A base {AGE_WORDS[period]} still agrees with a fresh one (fidelity {found.aged(period):.3f}): refreshing "
            f"it more often does not pay ({keys[period]}).")  # fmt: skip
    if found.faster_at_first:
        said += (" In the first epoch drift is faster; knowledge.refresh_early=16 follows it (in benchmarks/knowledge "
                 "that raised fidelity, not recall).")  # fmt: skip
    return said


def _print(found: Diagnosis, lines: list[str], figure: str | None) -> None:
    say(f"{found.pairs:,} pairs, {found.epochs} epochs at batch size {found.batch_size}; loss "
        f"{found.losses[0]:.2f} to {found.losses[-1]:.2f}")  # fmt: skip
    say("\nbatch size   reach   contributors   fidelity: before training, after epoch 1, last, mean of the trained")
    for size in sorted({b.batch_size for b in found.batches}):
        rows = [b for b in found.batches if b.batch_size == size]
        numbers = "  ".join(f"{x:.3f}" for x in (*(rows[i].fidelity for i in (0, 1, -1)), found.plain(size)))
        mark = "  <- yours" if size == found.batch_size else ""
        say(f"{size:>10}  {100 * rows[-1].reach:>5.1f} %   {rows[-1].contributors:>12.1f}   {numbers}{mark}")
    say("\nage of a base   drift (1 - cosine)   fidelity against a fresh one")
    for age in sorted({a.age_epochs for a in found.ages}):
        drift = [a.drift for a in found.ages if a.age_epochs == age]
        say(f"{age:>6g} epochs   first {drift[0]:.3f}, last {drift[-1]:.3f}   mean {found.aged(age):.3f}")
    say()
    for line in lines:
        say(line)
    if figure:
        say(f"\ndrawn: {figure}")
