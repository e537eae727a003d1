"""Score a model on captioned sounds, or embeddings, or a run file of any system.

Prints R@1, R@5, R@10, mAP@10, MRR, nDCG@10, MedR and MeanR with 95 % intervals (bootstrap over clips), the counts of
clips and captions, and the protocol. Numbers of different pools, tie rules or R@k definitions are not comparable.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askaudio.cli.evaluate.inputs import Scored, add_data_arguments
from askaudio.cli.output import emit_json, progress_bar, say

if TYPE_CHECKING:
    from askaudio.cli.evaluate.inputs import Data
    from askaudio.core.types import Json
    from askaudio.evaluation.relevance import Relevance
    from askaudio.evaluation.report import Report
    from askaudio.evaluation.run import Run

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

An .npz holds ids (texts) and embeddings (N, D). Queries are named by caption id (clip_id#0, clip_id#1 ...).
Compare what --out wrote with: askaudio compare results/a results/b
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
    add("--run", metavar="FILE", help="what any system answered: TREC, .jsonl, .csv, .parquet")
    add("--mteb", metavar="TASK,TASK", help="score the model on tasks of mteb, for example AudioCapsT2ARetrieval; "
        "t2a and a2t make tasks of --data (extra mteb)")
    add("--direction", default="t2a", choices=("t2a", "a2t"), help="of a --run (default: t2a; queries are texts)")
    add_data_arguments(parser)
    add("--ties", default="pessimistic", choices=("pessimistic", "expected"),
        help="equal scores count against the system (default), or by the mean over their random order")
    add("--a2t", default="any-of-n", choices=("any-of-n", "fraction"),
        help="R@k of a query with several answers: hit if any is found (default), or the fraction found")
    add("--metrics", metavar="M,M", help="other metrics to print, for example R@1,mAP@16,nDCG@10")
    add("--buckets", nargs="?", const="words", choices=("words", "label"),
        help="head, mid and tail by the training frequency of a caption's rarest word, or of its clip's label")
    add("--train-data", metavar="SPEC", help="captions that --buckets counts (default: train split of --data)")
    add("--near-misses", action="store_true", help="texts that are almost right: order, attribute, count, negation")
    add("--query-forms", action="store_true", help="ask the captions as key words, questions and commands too")
    add("--name", help="name of the system in tables")
    add("--workers", type=int, metavar="N", help="processes that decode and encode (default: by the number of sounds)")
    add("--out", type=Path, metavar="DIR", help="write report.json, ranks.npz, the run and figures there")
    add("--depth", type=int, default=100, metavar="K", help="best clips of each query in the run file (default: 100)")
    add("--run-format", default="jsonl", choices=("jsonl", "trec", "csv", "parquet"),
        help="of the run file in --out (default: jsonl)")
    add("--no-figures", action="store_true", help="with --out: draw nothing")
    # fmt: on


def run(args: argparse.Namespace) -> int:
    """Score, print, and write what was asked for; returns 0."""
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
    scored = (_score_model, _score_embeddings, _score_run)[sources.index(True)](args)
    extras = _extras(args, scored)
    broken = dict(scored.encoded.broken) if scored.encoded else {}
    written = _write(args, scored, extras) if args.out else []
    if args.json:
        found = {name: part.to_json() for name, part in extras.items()}
        emit_json(scored.report.to_json() | found | {"broken": broken, "written": [str(p) for p in written]})
        return 0
    say(scored.report.table())
    for part in extras.values():
        say()
        say(part.table())
    for clip_id, reason in list(broken.items())[:5]:
        sys.stderr.write(f"left out: {clip_id}: {reason}\n")
    if written:
        say()
        say("written: " + ", ".join(str(p) for p in written))
        say(f"compare it with another system: askaudio compare {args.out} OTHER")
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What is the same for all three sources: metrics and tie rule."""
    from askaudio.evaluation.metrics import DEFAULT_METRICS, parse_metric

    names = args.metrics.split(",") if args.metrics else list(DEFAULT_METRICS)
    if args.a2t == "fraction":
        names = [f"{m}-fraction" if m.startswith("R@") and not m.endswith("-fraction") else m for m in names]
    for name in names:
        if name not in ("MedR", "MeanR"):
            parse_metric(name)
    return {"metrics": names, "ties": args.ties}


def _score_model(args: argparse.Namespace) -> Scored:
    from askaudio.cli.evaluate.inputs import encode_clips, encode_texts, read_data
    from askaudio.core.errors import ConfigError
    from askaudio.encoders.load import load
    from askaudio.evaluation.evaluate import evaluate_embeddings
    from askaudio.evaluation.relevance import Relevance
    from askaudio.evaluation.run import Run

    if args.qrels:
        raise ConfigError("--qrels goes with --run or with embeddings; a model needs the texts of --data")
    options = _options(args)
    folder = Path(args.model)
    encoder = load(args.model)
    data = read_data(args, folder if (folder / "recipe.yaml").is_file() else None)
    Relevance.from_clips(data.clips, by=data.by)  # type: ignore[arg-type] # no captions: say so before hours of encoding
    encoded = encode_clips(args.model, encoder, data.clips, args.workers)
    relevance = Relevance.from_clips(encoded.clips, by=data.by)  # type: ignore[arg-type]
    text = encode_texts(encoder, [relevance.texts[q] for q in relevance.query_ids])
    name = args.name or (folder.resolve().name if folder.exists() else args.model)
    windows = f"fixed, {encoder.window_s:g} s every {encoder.hop_s:g} s, mean"
    report = evaluate_embeddings(
        encoded.audio,
        text,
        relevance,
        name=name,
        n_missing_clips=len(data.clips.missing) + len(encoded.broken),
        protocol={**data.about, "windows": windows, "model": f"{encoder.name} {encoder.fingerprint}"},
        **options,
    )
    run = Run.from_embeddings(text, encoded.audio, relevance.query_ids, relevance.gallery_ids, name)
    return Scored(report, relevance, run, data, encoded, text, encoder)


def _score_embeddings(args: argparse.Namespace) -> Scored:
    from askaudio.cli.evaluate.inputs import read_data, read_embedding_files, read_judgements
    from askaudio.core.errors import ConfigError
    from askaudio.evaluation.evaluate import evaluate_embeddings
    from askaudio.evaluation.relevance import Relevance
    from askaudio.evaluation.run import Run
    from askaudio.evaluation.run_files import read_embeddings

    if not (args.audio_embeddings and args.text_embeddings):
        raise ConfigError("--audio-embeddings and --text-embeddings belong together")
    options = _options(args)
    data = None if args.qrels else read_data(args, need_audio=False)
    if data is None:
        relevance = read_judgements(args, read_embeddings(args.audio_embeddings)[0])
    else:
        relevance = Relevance.from_clips(data.clips, by=data.by)  # type: ignore[arg-type]
    n_listed = relevance.n_gallery + (len(data.clips.missing) if data else 0)
    audio, text, relevance = read_embedding_files(
        args.audio_embeddings, args.text_embeddings, relevance, data.clips if data else None
    )
    missing = n_listed - relevance.n_gallery
    name = args.name or Path(args.audio_embeddings).stem
    protocol = dict(data.about) if data else {"judgements": str(args.qrels)}
    report = evaluate_embeddings(
        audio, text, relevance, name=name, n_missing_clips=missing, protocol=protocol, **options
    )
    return Scored(
        report, relevance, Run.from_embeddings(text, audio, relevance.query_ids, relevance.gallery_ids, name), data
    )


def _score_run(args: argparse.Namespace) -> Scored:
    from askaudio.cli.evaluate.inputs import read_relevance

    relevance, data = read_relevance(args, args.run)
    report, run = score_run_file(args.run, relevance, args.direction, args.name, _options(args), data)
    return Scored(report, relevance, run, data)


def score_run_file(
    file: str, relevance: Relevance, direction: str, name: str | None, options: dict[str, Any], data: Data | None = None
) -> tuple[Report, Run]:
    """Read a run file against the data and score it."""
    from askaudio.evaluation.evaluate import evaluate
    from askaudio.evaluation.run_files import read_run

    judged = relevance if direction == "t2a" else relevance.transposed()
    run = read_run(file, judged, name)
    with progress_bar("ranking", "queries") as progress:
        report = evaluate(
            run,
            relevance,
            directions=(direction,),
            n_missing_clips=len(data.clips.missing) if data else 0,
            protocol=dict(data.about) if data else None,
            progress=progress,
            **options,
        )
    return report, run


def _extras(args: argparse.Namespace, scored: Scored) -> dict[str, Any]:
    """The further tests that were asked for, each with ``table`` and ``to_json``."""
    from askaudio.cli.evaluate import extras

    found: dict[str, Any] = {}
    if args.buckets:
        found["buckets"] = extras.buckets(args, scored)
    if args.near_misses:
        found["near_misses"] = extras.near_misses(scored)
    if args.query_forms:
        found["query_forms"] = extras.query_forms(scored)
    return found


def _write(args: argparse.Namespace, scored: Scored, extras: dict[str, Any]) -> list[Path]:
    from askaudio.cli.evaluate.extras import draw
    from askaudio.core.files import write_json
    from askaudio.evaluation.run_files import write_run

    scored.report.save(args.out)
    run_file = args.out / f"{'t2a' if 't2a' in scored.report.directions else 'a2t'}.{args.run_format}"
    write_run(scored.run, run_file, args.depth)
    written = [args.out / "report.json", args.out / "ranks.npz", run_file]
    for name, part in extras.items():
        detail: Json = part.to_json()
        write_json(args.out / f"{name}.json", detail)
        written.append(args.out / f"{name}.json")
    return written if args.no_figures else written + draw(scored, extras, args.out)
