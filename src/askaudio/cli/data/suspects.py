"""Estimate the share of wrong captions, and list the most suspicious ones.

Each pair's text is predicted from its sound, and its sound from its text, by the other clips; randomly mismatched
pairs show how wrong captions score (docs/method.md, section 4). The features must not be trained on your pairs: prefer
--tower, or a --model that was trained on other data. Clips that sound alike cannot be distinguished, and a rare sound
may look suspicious only because no other clip is similar: listen before you delete. Each suspect is listed with the
reliable caption of another clip that fits its sound best, as a hint.

--phrases asks the same of every phrase of every caption, against any part of its sound: which words does the sound not
support? That finds one wrong sound in a caption that is otherwise right, as machines write them.

Examples:
  askaudio data suspects captions.csv --tower models/mn04_as.onnx
  askaudio data suspects library/manifest.jsonl --tower models/mn04_as.onnx -n 50 --out suspects.csv
  askaudio data suspects "clotho:/data/clotho?split=train" --model runs/other --json
  askaudio data suspects captions.csv --tower models/mn04_as.onnx --phrases
  askaudio data convert captions.csv clean.jsonl --without ids=suspects.csv        take their clips out
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from askaudio.cli.output import emit_json, progress_bar, say, write_table
from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.knowledge.reliability.estimate import ReliabilityEstimate
    from askaudio.pipeline.pair_features import PairFeatures

HELP = "list captions that probably belong to another sound"
_COLUMNS = ("clip_id", "caption_id", "caption", "posterior", "log_odds", "suggested", "path")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio data suspects``."""
    parser.add_argument("dataset", help="set of at least 64 captioned pairs, as `askaudio data --help` names it")
    parser.add_argument("--tower", metavar="ONNX", help="frozen audio tower (EfficientAT); texts go through MiniLM")
    parser.add_argument("--model", metavar="SPEC", help="instead: any encoder (encoder folder, run folder, toy)")
    parser.add_argument("--phrases", action="store_true", help="list phrases instead of whole captions")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="number of pairs to list (20)")
    parser.add_argument("--below", type=float, default=0.5, help="--out holds pairs with a posterior below this (0.5)")
    parser.add_argument("--out", metavar="CSV", help="write the suspicious pairs, worst first, to this file")
    parser.add_argument("--cache", help="folder of computed features; default ~/.cache/askaudio/features")


def run(args: argparse.Namespace) -> int:
    """Extract, estimate, list."""
    if args.n < 0:
        raise ConfigError(f"-n must be 0 or more, got {args.n}")
    if not 0 <= args.below <= 1:
        raise ConfigError(f"--below is a probability from 0 to 1, got {args.below}")
    if args.phrases:
        from askaudio.cli.data.suspect_phrases import list_phrases

        return list_phrases(args)
    import torch

    from askaudio.data.readers.open import open_dataset
    from askaudio.knowledge.reliability.estimate import estimate_reliability
    from askaudio.knowledge.reliability.suggestions import suggest
    from askaudio.pipeline.pair_features import pair_features

    with progress_bar("suspects") as progress:
        manifest = open_dataset(args.dataset, progress=progress)
        found = pair_features(manifest, args.tower, args.model, args.cache, progress)
        audio, text, codes = (torch.from_numpy(x) for x in (found.audio, found.text, found.codes))
        estimate = estimate_reliability(audio, text, codes, progress=progress)
        order = estimate.suspects(len(found.pairs))
        doubted = [row for row in order if float(estimate.posterior[row]) < args.below]
        asked = order[: max(args.n, len(doubted) if args.out else 0)]
        fitting = suggest(audio, text, codes, estimate.posterior, torch.tensor(asked, dtype=torch.long)).tolist()
    instead = {row: found.pairs[other][1].text if other >= 0 else "" for row, other in zip(asked, fitting, strict=True)}
    if args.out:
        write_table(args.out, _COLUMNS, [_facts(found, estimate, row, instead[row]) for row in doubted])
    facts = {
        "pairs": len(found.pairs),
        "clips": len(set(found.codes.tolist())),
        "features": found.source,
        "share": estimate.share,
        "doubted": len(doubted),
        "suspects": [_facts(found, estimate, row, instead[row]) for row in order[: args.n]],
    }
    if args.json:
        emit_json(facts)
    else:
        _print(facts, args.below, args.out)
    return 0


def _facts(found: PairFeatures, estimate: ReliabilityEstimate, row: int, instead: str) -> dict[str, Any]:
    clip, caption = found.pairs[row]
    return {
        "clip_id": clip.clip_id,
        "caption_id": caption.caption_id,
        "caption": caption.text,
        "posterior": round(float(estimate.posterior[row]), 4),
        "log_odds": round(float(estimate.log_odds[row]), 4),
        "suggested": instead,
        "path": clip.path,
    }


def _print(facts: dict[str, Any], below: float, out: str | None) -> None:
    say(f"{facts['pairs']:,} pairs of {facts['clips']:,} clips; features: {facts['features']}")
    say(f"estimated share of unreliable pairs: {100 * facts['share']:.1f} %")
    say(f"pairs with a posterior below {below:g}: {facts['doubted']:,}" + (f", written to {out}" if out else ""))
    if facts["suspects"]:
        say("\nmost suspicious first (probability that the pair is right, clip, caption, a caption that fits better):")
    for one in facts["suspects"]:
        better = f"  -> {one['suggested']}" if one["suggested"] not in ("", one["caption"]) else ""
        say(f"  {one['posterior']:.3f}  {one['clip_id']}  {one['caption']}{better}")
