"""Make texts that are almost right from the captions of a set, to test or to train with.

Each differs from a caption in one fact: the order of two sounds, an attribute, a number, a sound that is denied, or a
sound that is exchanged (docs/protocol.md). A text that may by chance be true of the sound too (sounds that overlap,
another word for the same sound) is marked; evaluation and training leave it out. Captions must be English; no audio is
read.

--out FILE.jsonl writes the set with the field near_misses, which `askaudio evaluate --near-misses` and trainings with
data.near_misses take instead of the rules: edit it by hand where a rule was wrong.

Examples:
  askaudio data near-misses captions.csv
  askaudio data near-misses "clotho:/data/clotho?split=test" --kinds order,count -n 50
  askaudio data near-misses audiocaps:/data/AudioCaps --ontology ontology.json --csv near.csv
  askaudio data near-misses library/manifest.jsonl --out tested.jsonl
  askaudio train data.manifest=captions.csv "data.near_misses=[order, count]"
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from askaudio.cli.output import emit_json, progress_bar, say, write_table
from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.data.manifest import Manifest

HELP = "make texts that are almost right"
_COLUMNS = ("clip_id", "caption_id", "caption", "kind", "near_miss", "may_be_true")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio data near-misses``."""
    parser.add_argument("dataset", help="captioned set, as `askaudio data --help` names it")
    parser.add_argument("--kinds", help="of order, attribute, count, negation, label; default all")
    parser.add_argument("--ontology", metavar="JSON", help="sound classes as AudioSet's ontology.json, for kind label")
    parser.add_argument("--seed", type=int, default=0, help="another seed changes other words (0)")
    parser.add_argument("-n", type=int, default=5, metavar="N", help="captions to show (5)")
    parser.add_argument("--csv", metavar="FILE", help="write all near misses to this table")
    parser.add_argument("--out", metavar="FILE", help="write the set with its near misses to this manifest (.jsonl)")


def run(args: argparse.Namespace) -> int:
    """Make them, count them, show some."""
    from askaudio.data.manifest import write_manifest
    from askaudio.data.near_misses import KINDS
    from askaudio.data.readers.open import read_dataset

    if args.n < 0:
        raise ConfigError(f"-n must be 0 or more, got {args.n}")
    if args.out and not args.out.endswith(".jsonl"):
        raise ConfigError(f"the manifest to write must end in .jsonl, got {args.out!r}")
    kinds = tuple(kind.strip() for kind in args.kinds.split(",")) if args.kinds else KINDS
    with progress_bar("near misses", "captions") as progress:
        manifest = read_dataset(args.dataset, need_audio=False, progress=progress)
        rows = _rows(manifest, kinds, args.ontology, args.seed, progress)
    if args.csv:
        write_table(args.csv, _COLUMNS, ({**row, "may_be_true": str(row["may_be_true"]).lower()} for row in rows))
    if args.out:
        write_manifest(_with_near_misses(manifest, rows), args.out)
    facts = _facts(manifest, rows, kinds, args.n)
    if args.json:
        emit_json(facts)
    else:
        _print(facts)
    return 0


def _rows(manifest: Manifest, kinds: tuple[str, ...], ontology: str | None, seed: int, progress: Any) -> list[Any]:
    """One row for each near miss, in order of the captions."""
    from askaudio.data.near_misses import Vocabulary, near_misses

    pairs = [(clip, caption) for clip in manifest for caption in clip.captions]
    vocabulary = Vocabulary.of((caption.text for _, caption in pairs), ontology)
    rows = []
    for done, (clip, caption) in enumerate(pairs, start=1):
        own = {c.text.lower() for c in clip.captions}
        for miss in near_misses(caption.text, vocabulary, kinds=kinds, seed=seed):
            true = miss.may_be_true or miss.text.lower() in own
            values = (clip.clip_id, caption.caption_id, caption.text, miss.kind, miss.text, true)
            rows.append(dict(zip(_COLUMNS, values, strict=True)))
        progress(done, len(pairs))
    return rows


def _with_near_misses(manifest: Manifest, rows: list[Any]) -> Manifest:
    """The set with those that are certainly wrong as a field of each clip."""
    from dataclasses import replace

    found: dict[str, list[list[str]]] = {}
    for row in rows:
        if not row["may_be_true"]:
            found.setdefault(row["caption_id"], []).append([row["kind"], row["near_miss"]])
    clips = tuple(
        replace(clip, extra={**clip.extra, "near_misses": [found.get(c.caption_id, []) for c in clip.captions]})
        for clip in manifest
    )
    return replace(manifest, clips=clips)


def _facts(manifest: Manifest, rows: list[Any], kinds: tuple[str, ...], n: int) -> dict[str, Any]:
    captions = {caption.caption_id for clip in manifest for caption in clip.captions}
    shown = set(list(dict.fromkeys(row["caption_id"] for row in rows))[:n])
    counts = {}
    for kind in kinds:
        of_kind = [row for row in rows if row["kind"] == kind]
        counts[kind] = {"n": len(of_kind), "sure": sum(not row["may_be_true"] for row in of_kind)}
    sure = {row["caption_id"] for row in rows if not row["may_be_true"]}
    examples = [row for row in rows if row["caption_id"] in shown]
    return {"captions": len(captions), "with_any": len(sure), "kinds": counts, "near_misses": examples}


def _print(facts: dict[str, Any]) -> None:
    total = max(facts["captions"], 1)
    say(f"{facts['captions']:,} captions, {facts['with_any']:,} with a near miss that is certainly wrong")
    say("\nkind        made   certainly wrong   share of captions")
    for kind, found in facts["kinds"].items():
        say(f"{kind:<10}{found['n']:>6,}{found['sure']:>18,}{100 * found['sure'] / total:>18.1f} %")
    last = ""
    for row in facts["near_misses"]:
        if row["caption_id"] != last:
            say(f"\n{row['caption']}")
            last = row["caption_id"]
        say(f"  {row['kind']:<10}{row['near_miss']}" + ("   (may be true)" if row["may_be_true"] else ""))
