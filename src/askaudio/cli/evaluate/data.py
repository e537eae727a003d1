"""Options of ``askaudio evaluate`` and ``askaudio compare`` that say which queries and clips are scored."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from askaudio.cli.output import progress_bar

if TYPE_CHECKING:
    from askaudio.evaluation.relevance import Relevance
    from askaudio.pipeline.evaluation.data import EvaluationData


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say which queries and clips are scored."""
    # fmt: off
    add = parser.add_argument
    add("--data", metavar="SPEC", help="manifest.jsonl, folder, .csv, audiocaps:ROOT, clotho:ROOT ... (askaudio data)")
    add("--split", default="test", choices=("train", "val", "test", "all"), help="default: %(default)s")
    add("--split-seed", type=int, metavar="N", help="split the clips 70/10/20 by group with this seed, as training can")
    add("--relevance", choices=("caption", "text", "label"),
        help="queries: every caption for its own clip (default), every distinct text or label for all its clips")
    add("--qrels", metavar="FILE", help="judgements instead of captions: TREC, .jsonl, .csv, .parquet; grades 0 to 100")
    add("--min-grade", type=float, metavar="G", help="of --qrels: clips graded G or more are right, others wrong")
    # fmt: on


def data_options(args: argparse.Namespace) -> dict[str, Any]:
    """The data options as arguments of ``evaluate_model`` and ``read_evaluation_data``."""
    return {name: getattr(args, name) for name in ("data", "split", "split_seed", "relevance")}


def read_data(args: argparse.Namespace, need_audio: bool = False) -> EvaluationData:
    """The data of the options, or of the recipe of the run folder that is scored."""
    from askaudio.pipeline.evaluation.data import read_evaluation_data

    run_folder = getattr(args, "model", None)
    with progress_bar("reading the data", "clips") as progress:
        return read_evaluation_data(
            **data_options(args), run_folder=run_folder, need_audio=need_audio, progress=progress
        )


def read_relevance(
    args: argparse.Namespace, run_file: str | None = None, audio_embeddings: str | None = None
) -> tuple[Relevance, EvaluationData | None]:
    """Relevance from ``--qrels``, or from ``--data``.

    With ``--qrels`` the pool is the clips of the embeddings, of ``--data``, or those that are judged or returned.

    Args:
        args: Parsed command line with ``qrels``, ``min_grade`` and the data options.
        run_file: Run file; its clips and the judged ones are the pool if no other source is given. None: not used.
        audio_embeddings: File of embeddings whose clips are the pool; None takes ``--data`` or ``run_file``.
    """
    from askaudio.evaluation.run_files import read_embeddings
    from askaudio.pipeline.evaluation.data import judged_pool, read_judgements

    if not args.qrels:
        data = read_data(args)
        return data.relevance, data
    if audio_embeddings:
        pool = list(read_embeddings(audio_embeddings)[0])
    elif args.data:
        pool = [clip.clip_id for clip in read_data(args).clips]
    else:
        assert run_file is not None  # callers name one of the two files
        pool = judged_pool(args.qrels, run_file)
    return read_judgements(args.qrels, pool, args.min_grade), None
