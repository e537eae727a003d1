"""`askaudio data suspects --phrases`: the phrases that their sound does not support."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from askaudio.cli.output import emit_json, progress_bar, say, write_table

if TYPE_CHECKING:
    from askaudio.knowledge.reliability.phrases import PhraseEstimate
    from askaudio.pipeline.phrase_features import PhraseFeatures

_COLUMNS = (
    "clip_id", "caption_id", "caption", "phrase", "start", "stop", "posterior", "log_odds", "suggested", "path",
)  # fmt: skip


def list_phrases(args: argparse.Namespace) -> int:
    """Extract, estimate, list."""
    import torch

    from askaudio.data.readers.open import open_dataset
    from askaudio.knowledge.reliability.phrases import estimate_phrases
    from askaudio.pipeline.phrase_features import phrase_features

    with progress_bar("phrases") as progress:
        manifest = open_dataset(args.dataset, progress=progress)
        found = phrase_features(manifest, args.tower, args.model, args.cache, progress)
        tensors = (torch.from_numpy(x) for x in (found.segments, found.texts, found.clip, found.phrase))
        segments, texts, clip, phrase = tensors
        estimate = estimate_phrases(segments, texts, clip, phrase, progress=progress)
        order = estimate.suspects(len(clip))
        doubted = [row for row in order if float(estimate.posterior[row]) < args.below]
        asked = order[: max(args.n, len(doubted) if args.out else 0)]
        fitting = estimate.suggest(clip, phrase, torch.tensor(asked, dtype=torch.long)).tolist()
    words = {int(row): one.text for row, (_, _, one) in zip(found.phrase, found.couples, strict=True)}
    rows = [_facts(found, estimate, row, words.get(other, "")) for row, other in zip(asked, fitting, strict=True)]
    if args.out:
        write_table(args.out, _COLUMNS, rows[: len(doubted)])
    facts = {
        "phrases": len(found.couples),
        "clips": len(found.segments),
        "features": found.source,
        "share": estimate.share,
        "doubted": len(doubted),
        "suspects": rows[: args.n],
    }
    if args.json:
        emit_json(facts)
    else:
        _print(facts, args.below, args.out)
    return 0


def _facts(found: PhraseFeatures, estimate: PhraseEstimate, row: int, instead: str) -> dict[str, Any]:
    clip, caption, phrase = found.couples[row]
    values = (
        clip.clip_id, caption.caption_id, caption.text, phrase.text, phrase.start, phrase.stop,
        round(float(estimate.posterior[row]), 4), round(float(estimate.log_odds[row]), 4), instead, clip.path,
    )  # fmt: skip
    return dict(zip(_COLUMNS, values, strict=True))


def _print(facts: dict[str, Any], below: float, out: str | None) -> None:
    say(f"{facts['phrases']:,} phrases of {facts['clips']:,} clips; features: {facts['features']}")
    say(f"estimated share of unreliable phrases: {100 * facts['share']:.1f} %")
    say(f"phrases with a posterior below {below:g}: {facts['doubted']:,}" + (f", written to {out}" if out else ""))
    if facts["suspects"]:
        say("\nmost suspicious first (probability that the sound is there, clip, [phrase], one that fits better):")
    for one in facts["suspects"]:
        text, start, stop = one["caption"], one["start"], one["stop"]
        better = f"  -> {one['suggested']}" if one["suggested"] else ""
        say(f"  {one['posterior']:.3f}  {one['clip_id']}  {text[:start]}[{text[start:stop]}]{text[stop:]}{better}")
