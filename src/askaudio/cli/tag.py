"""Propose UCS categories, key words and descriptions for files; write them, and rename files, by a plan with undo.

A table of proposals is printed; nothing is changed. With --write or --rename a plan is made as a JSON file. It is
carried out if you agree, or later with --apply, after you have reviewed or edited it. The sound is never changed.
A proposal below --least is unsure: it is in the plan with "apply": false.

Examples:
  askaudio tag ~/sounds                                     show proposals
  askaudio tag ~/sounds --csv > proposals.csv
  askaudio tag                                              for all sounds of the default collection
  askaudio tag ~/sounds --write tags                        into bext and iXML, ID3, Vorbis or MP4 tags
  askaudio tag ~/sounds --write sidecars                    into NAME.wav.txt beside each file
  askaudio tag ~/sounds --rename --creator AB --source MyLibrary --plan plan.json
  askaudio tag --apply plan.json                            after reviewing it; continues an interrupted run
  askaudio tag --status plan.json                           what the files say now
  askaudio tag --undo plan.json                             restores every byte and every name
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError
from askaudio.core.names import shown

if TYPE_CHECKING:
    from askaudio.tagging.apply import Outcome
    from askaudio.tagging.propose import Proposal

HELP = "propose UCS categories and key words, write them and rename files"
_COLUMNS = ("path", "cat_id", "category", "subcategory", "probability", "sure", "keywords", "description", "title",
            "alternatives")  # fmt: skip
_MOST_ROWS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio tag``."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="files or folders; default: the whole collection")
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")
    parser.add_argument("--where", help="without FILE: only what a filter names")
    parser.add_argument("--model", help="encoder to use; default: the collection's, else small")
    parser.add_argument("--least", type=float, default=0.5, help="probability of a sure proposal (default 0.5)")
    parser.add_argument("--no-names", action="store_true", help="judge by the sound alone, not by the file's name")
    parser.add_argument("--csv", action="store_true", help="print the proposals as CSV")
    parser.add_argument("--write", choices=["tags", "sidecars"], help="write the texts into the files or beside them")
    parser.add_argument("--replace", action="store_true", help="also write fields that a file has already")
    parser.add_argument("--rename", action="store_true", help="give files UCS names: CatID_Title_Creator_Source")
    parser.add_argument("--creator", default="", help="creator in the names")
    parser.add_argument("--source", default="", help="source (library) in the names")
    parser.add_argument("--plan", metavar="OUT.json", help="where the plan is written; default: a dated name here")
    parser.add_argument("--yes", action="store_true", help="carry the plan out without asking")
    verbs = parser.add_mutually_exclusive_group()
    verbs.add_argument("--apply", metavar="PLAN", help="carry a plan out")
    verbs.add_argument("--undo", metavar="PLAN", help="undo what was applied of a plan")
    verbs.add_argument("--status", metavar="PLAN", help="read back what the files of a plan say now")


def run(args: argparse.Namespace) -> int:
    """Propose, apply, undo or read back; 1 when a file was left alone."""
    _check(args)
    if args.apply or args.undo:
        return _carry_out(args, args.apply or args.undo, bool(args.undo))
    if args.status:
        return _status(args)
    proposals, broken, model = _proposals(args)
    if not (args.write or args.rename):
        _show(args, proposals)
        _list("could not be read", broken)
        return 1 if broken else 0
    return _plan(args, proposals, broken, model)


def _check(args: argparse.Namespace) -> None:
    if (args.apply or args.undo or args.status) and args.files:
        raise ConfigError("--apply, --undo and --status take a plan and no files")
    if not 0 <= args.least <= 1:
        raise ConfigError(f"--least is {args.least}; expected 0 to 1")
    if args.plan and not (args.write or args.rename):
        raise ConfigError("--plan needs --write tags, --write sidecars or --rename: what the plan should do")
    if args.write == "tags":
        from askaudio.core.extras import require

        require("mutagen", "tags")


def _proposals(args: argparse.Namespace) -> tuple[list[Proposal], dict[str, str], str]:
    """Proposals in the order of the paths, files that cannot be read, and the model."""
    import numpy as np

    from askaudio.core.errors import CollectionNotFoundError
    from askaudio.data.cache import default_root
    from askaudio.encoders.load import DEFAULT, load_encoder
    from askaudio.engines.open import default_collection, open_store
    from askaudio.ingest.walk import existing_roots, find_sounds
    from askaudio.tagging.propose import propose
    from askaudio.tagging.vectors import file_vectors, stored_vectors
    from askaudio.tagging.zero_shot import ZeroShot

    store = None
    try:
        store = open_store(args.collection or default_collection())
    except CollectionNotFoundError:
        if args.collection or not args.files:
            raise
    try:
        model = args.model or (store.identity.model if store else "") or DEFAULT
        encoder = load_encoder(model)
        if store is not None and encoder.fingerprint != store.identity.fingerprint:
            store.close()
            store = None  # another model was named: its vectors are computed here
        with progress_bar("tagging", "files") as bar:
            if args.files:
                paths = find_sounds(existing_roots(args.files)).sounds
                vectors, broken = file_vectors(paths, encoder, store, bar)
            elif store is not None:
                vectors, broken = stored_vectors(store, args.where, bar), {}
            else:
                raise ConfigError("name files for another model than the collection's")
    finally:
        if store is not None:
            store.close()
    paths = sorted(vectors)
    rows = np.stack([vectors[path] for path in paths]) if paths else np.zeros((0, encoder.embed_dim), np.float32)
    zero_shot = ZeroShot(encoder, default_root().parent / "tagging")
    return propose(zero_shot, paths, rows, args.least, not args.no_names), broken, model


def _show(args: argparse.Namespace, proposals: list[Proposal]) -> None:
    rows = [proposal.to_json() for proposal in proposals]
    if args.json:
        emit_json(rows)
    elif args.csv:
        writer = csv.DictWriter(sys.stdout, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            others = "; ".join(f"{one['cat_id']} {one['probability']}" for one in row["alternatives"])
            keywords = ", ".join(row["keywords"])
            writer.writerow({**row, "path": shown(row["path"]), "keywords": keywords, "alternatives": others})
    else:
        _table(proposals)


def _table(proposals: list[Proposal]) -> None:
    width = min(44, max((len(shown(Path(p.path).name)) for p in proposals), default=4))
    say(f"{'file':{width}}  {'CatID':10} {'prob':>5}  key words")
    for proposal in proposals:
        name = shown(Path(proposal.path).name)
        name = name if len(name) <= width else f"{name[: width - 1]}…"
        sure = f"{proposal.probability:5.0%}" if proposal.sure else f"{proposal.probability:4.0%}?"
        words = ", ".join(proposal.keywords[:4])
        if not proposal.sure:
            words = "unsure; or " + ", ".join(f"{one.cat_id} {p:.0%}" for one, p in proposal.alternatives)
        say(f"{name:{width}}  {proposal.category.cat_id:10} {sure}  {words}")
    unsure = sum(not proposal.sure for proposal in proposals)
    say(f"{count_of(len(proposals), 'file')}, {len(proposals) - unsure} sure, {unsure} unsure")
    if proposals and not proposals[0].calibrated:
        say("The probabilities are a guess: this model is not calibrated for UCS. Use the model small.")


def _plan(args: argparse.Namespace, proposals: list[Proposal], broken: dict[str, str], model: str) -> int:
    from askaudio.tagging.plan import make_plan

    place = args.plan or time.strftime("askaudio-tags-%Y%m%d-%H%M%S.json")
    if Path(place).exists():
        raise ConfigError(f"{place} exists already; name another plan with --plan")
    with progress_bar("planning", "files") as bar:
        plan, left_out = make_plan(
            proposals, args.write, args.rename, creator=args.creator, source=args.source,
            replace_texts=args.replace, model=model, progress=bar,
        )  # fmt: skip
    plan.save(place)
    chosen = sum(action.apply for action in plan.actions)
    if not args.json:
        _table(proposals)
        for action in [action for action in plan.actions if action.apply and action.rename][:_MOST_ROWS]:
            say(f"  {shown(Path(action.path).name)} -> {shown(action.rename)}")
        _list("could not be read", broken)
        _list("not in the plan", left_out)
        say(f"{place}: {count_of(chosen, 'file')} to change, {len(plan.actions) - chosen} unsure and not chosen")
    if chosen and (args.yes or _agreed(chosen)):
        return _carry_out(args, place, undo=False)
    if args.json:
        emit_json({"plan": place, "actions": len(plan.actions), "chosen": chosen, "left": {**broken, **left_out}})
    else:
        say(f"Nothing was changed. Review the plan, then: askaudio tag --apply {place}")
    return 1 if broken or left_out else 0


def _agreed(chosen: int) -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"Change {count_of(chosen, 'file')} now? It can be undone. [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _carry_out(args: argparse.Namespace, plan: str, undo: bool) -> int:
    from askaudio.tagging.apply import apply_plan, undo_plan

    with progress_bar("undoing" if undo else "writing", "files") as bar:
        outcome: Outcome = (undo_plan if undo else apply_plan)(plan, bar)
    if args.json:
        emit_json({"plan": plan, **outcome.to_json()})
    else:
        _list("left alone", outcome.left)
        what = "as they were before" if undo else "done"
        done, left = count_of(len(outcome.done), "file"), len(outcome.left)
        say(f"{done} {what}, {outcome.skipped} not chosen, {left} left alone")
        if not undo and outcome.done:
            say(f"To undo: askaudio tag --undo {plan}. To find the sounds under their new texts: askaudio index FOLDER")
    return 1 if outcome.left else 0


def _status(args: argparse.Namespace) -> int:
    from askaudio.tagging.apply import read_back

    rows = read_back(args.status)
    if args.json:
        emit_json(rows)
        return 0
    for row in rows:
        texts = "; ".join(f"{name}: {text}" for name, text in row.get("texts", {}).items())
        say(f"{row['state']:17} {shown(row['now'])}")
        say(f"{'':17} {shown(texts)}")
    return 0


def _list(what: str, rows: dict[str, str]) -> None:
    if rows:
        say(f"{count_of(len(rows), 'file')} {what}:")
    for path in sorted(rows)[:_MOST_ROWS]:
        say(f"  {shown(path)}: {shown(rows[path])}")
    if len(rows) > _MOST_ROWS:
        say(f"  ... and {len(rows) - _MOST_ROWS} more; --json prints all of them")
