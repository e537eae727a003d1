"""Score a model on captioned sounds, or embeddings, or a run file of any system.

Prints R@1, R@5, R@10, mAP@10, MRR, nDCG@10, MedR and MeanR with 95 % intervals (bootstrap over clips), the counts of
clips and captions, and the protocol. Numbers with different pools, tie rules or R@k definitions are not comparable.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askaudio.cli.evaluate.data import add_data_arguments, data_options, read_relevance
from askaudio.cli.output import emit_json, progress_bar, say, warn

if TYPE_CHECKING:
    from askaudio.pipeline.evaluate import Evaluation

HELP = "score a model, embeddings or a run file"

EXAMPLES = """examples:
  askaudio evaluate runs/demo                                   a training's test split
  askaudio evaluate --model runs/demo --data clotho:/data/clotho --out results/demo
  askaudio evaluate --model toy --data library/manifest.jsonl --near-misses --query-forms --buckets
  askaudio evaluate --audio-embeddings a.npz --text-embeddings t.npz --data clotho:/data/clotho
  askaudio evaluate --run theirs.trec --data audiocaps:/data/AudioCaps --ties expected
  askaudio evaluate --run theirs.jsonl --qrels judgements.csv --metrics mAP@16,nDCG@10
  askaudio evaluate clap --mteb AudioCapsT2ARetrieval,ClothoT2ARetrieval.v2     downloaded by mteb
  askaudio evaluate runs/demo --mteb t2a,a2t                    the same files, scored by mteb

An .npz holds ids (strings) and embeddings (N, D). Queries are named by caption id (clip_id#0, clip_id#1 ...).
Compare two folders that --out wrote with: askaudio compare results/a results/b
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio evaluate``."""
    parser.epilog = EXAMPLES
    # fmt: off
    add = parser.add_argument
    add("folder", nargs="?", metavar="MODEL", help="run folder of a training (its test data is used), or any model")
    add("--model", metavar="SPEC", help="the same by name: run folder, encoder folder, toy ...")
    add("--audio-embeddings", metavar="NPZ", help="embeddings of the clips, instead of a model")
    add("--text-embeddings", metavar="NPZ", help="embeddings of the captions, instead of a model")
    add("--run", metavar="FILE", help="ranked results of any system: TREC, .jsonl, .csv, .parquet")
    add("--mteb", metavar="TASK,TASK", help="score the model on tasks of mteb, for example AudioCapsT2ARetrieval; "
        "t2a and a2t make tasks of --data (extra mteb)")
    add("--direction", default="t2a", choices=("t2a", "a2t"), help="of a --run (default: t2a; queries are texts)")
    add_data_arguments(parser)
    add("--ties", default="pessimistic", choices=("pessimistic", "expected"),
        help="equal scores count against the system (default), or are averaged over their random order")
    add("--a2t", default="any-of-n", choices=("any-of-n", "fraction"),
        help="R@k of a query with several answers: hit if any is found (default), or the fraction found")
    add("--metrics", metavar="M,M", help="other metrics to print, for example R@1,mAP@16,nDCG@10")
    add("--buckets", nargs="?", const="words", choices=("words", "label"),
        help="head, mid and tail by the training frequency of a caption's rarest word, or of its clip's label")
    add("--train-data", metavar="SPEC", help="captions that --buckets counts (default: train split of --data)")
    add("--near-misses", action="store_true", help="texts that are almost right: order, attribute, count, negation")
    add("--query-forms", action="store_true", help="also search with the captions as key words, questions and commands")
    add("--correct-hubs", action="store_true", help="also score with the correction of hubs that search has; "
        "skewness and the largest hub without and with it")
    add("--name", help="name of the system in tables")
    add("--workers", type=int, metavar="N", help="processes that decode and encode (default: by the number of sounds)")
    add("--out", type=Path, metavar="DIR", help="write report.json, ranks.npz, the run and figures there")
    add("--depth", type=int, default=100, metavar="K", help="best clips of each query in the run file (default: 100)")
    add("--run-format", default="jsonl", choices=("jsonl", "trec", "csv", "parquet"),
        help="of the run file in --out (default: jsonl)")
    add("--no-figures", action="store_true", help="with --out: draw nothing")
    # fmt: on


def run(args: argparse.Namespace) -> int:
    """Score, print, and write the files of ``--out``; returns 0."""
    from askaudio.core.errors import ConfigError

    args.model = args.model or args.folder
    if args.mteb:
        from askaudio.cli.evaluate.mteb import run_mteb

        return run_mteb(args)
    sources = [bool(args.model), bool(args.audio_embeddings or args.text_embeddings), bool(args.run)]
    if sum(sources) != 1:
        raise ConfigError(
            "what is to be scored? Give exactly one of: a model; --audio-embeddings with --text-embeddings; --run"
        )
    if args.depth < 1:
        raise ConfigError(f"--depth must be at least 1, got {args.depth}")
    evaluation = (_score_model, _score_embeddings, _score_run)[sources.index(True)](args)
    further = _further_tests(args, evaluation)
    written = _write(args, evaluation, further) if args.out else []
    broken = dict(getattr(evaluation, "broken", {}))
    if args.json:
        found = {name: report.to_json() for name, report in further.items()}
        emit_json(evaluation.report.to_json() | found | {"broken": broken, "written": [str(p) for p in written]})
        return 0
    say(evaluation.report.table())
    for report in further.values():
        say()
        say(report.table())
    for clip_id, reason in list(broken.items())[:5]:
        warn(f"left out: {clip_id}: {reason}")
    if written:
        say()
        say("written: " + ", ".join(str(p) for p in written))
        say(f"compare it with another system: askaudio compare {args.out} OTHER")
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments that all three sources share: metrics, tie rule, name."""
    from askaudio.evaluation.metrics import DEFAULT_METRICS, parse_metric

    names = args.metrics.split(",") if args.metrics else list(DEFAULT_METRICS)
    if args.a2t == "fraction":
        names = [f"{m}-fraction" if m.startswith("R@") and not m.endswith("-fraction") else m for m in names]
    for name in names:
        if name not in ("MedR", "MeanR"):
            parse_metric(name)
    return {"metrics": names, "ties": args.ties, "name": args.name or ""}


def _score_model(args: argparse.Namespace) -> Evaluation:
    from askaudio.core.errors import ConfigError
    from askaudio.pipeline.evaluate import evaluate_model

    if args.qrels:
        raise ConfigError("--qrels goes with --run or with embeddings; a model needs the texts of --data")
    with progress_bar("evaluating") as progress:
        return evaluate_model(
            args.model, **data_options(args), **_options(args), workers=args.workers, progress=progress
        )


def _score_embeddings(args: argparse.Namespace) -> Evaluation:
    from askaudio.core.errors import ConfigError
    from askaudio.pipeline.evaluate import evaluate_embedding_files

    files = args.audio_embeddings, args.text_embeddings
    if not all(files):
        raise ConfigError("--audio-embeddings and --text-embeddings belong together")
    options = _options(args)
    judged, data = read_relevance(args, audio_embeddings=args.audio_embeddings)
    protocol = {"judgements": str(args.qrels)} if args.qrels else None
    return evaluate_embedding_files(*files, judged, data, protocol=protocol, **options)


def _score_run(args: argparse.Namespace) -> Evaluation:
    from askaudio.pipeline.evaluate import evaluate_run_file

    judged, data = read_relevance(args, run_file=args.run)
    with progress_bar("ranking", "queries") as progress:
        return evaluate_run_file(args.run, judged, data, direction=args.direction, progress=progress, **_options(args))


def _further_tests(args: argparse.Namespace, evaluation: Evaluation) -> dict[str, Any]:
    """The further tests of the options: name -> report with ``table`` and ``to_json``."""
    if not (args.buckets or args.near_misses or args.query_forms or args.correct_hubs):
        return {}
    from askaudio.core.errors import ConfigError
    from askaudio.data.readers.open import open_dataset
    from askaudio.pipeline.evaluate import ModelEvaluation
    from askaudio.pipeline.evaluation.further import frequency_buckets, hubs, near_misses, query_forms

    found: dict[str, Any] = {}
    if args.buckets:
        train = open_dataset(args.train_data, need_audio=False) if args.train_data else None
        found["buckets"] = frequency_buckets(evaluation, args.buckets, train)
    for name, test in (("near_misses", near_misses), ("query_forms", query_forms), ("correct_hubs", hubs)):
        if not getattr(args, name):
            continue
        if not isinstance(evaluation, ModelEvaluation):
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} needs a model, not its embeddings or a run file alone")
        with progress_bar(name.replace("_", " "), "texts") as progress:
            found[name] = test(evaluation, progress)
    return found


def _write(args: argparse.Namespace, evaluation: Evaluation, further: dict[str, Any]) -> list[Path]:
    from askaudio.core.errors import MissingExtraError
    from askaudio.pipeline.evaluation.files import draw_evaluation, write_evaluation

    written = write_evaluation(evaluation, args.out, further, depth=args.depth, run_format=args.run_format)
    if args.no_figures:
        return written
    try:
        return written + draw_evaluation(evaluation, args.out, further.get("buckets"))
    except MissingExtraError as error:
        warn(f"no figures: {error}")
        return written
