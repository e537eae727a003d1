"""What ``askaudio evaluate`` and ``askaudio compare`` read: the data of a split, and embeddings of a model."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import progress_bar

if TYPE_CHECKING:
    from askaudio.core.types import FloatArray
    from askaudio.data.manifest import Manifest
    from askaudio.encoders.encoder import Encoder
    from askaudio.evaluation.relevance import Relevance
    from askaudio.evaluation.report import Report
    from askaudio.evaluation.run import Run

_TEXT_BATCH = 64


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say which queries and clips are scored."""
    # fmt: off
    add = parser.add_argument
    add("--data", metavar="SPEC", help="manifest.jsonl, folder, .csv, audiocaps:ROOT, clotho:ROOT ... (askaudio data)")
    add("--split", default="test", choices=("train", "val", "test", "all"), help="default: %(default)s")
    add("--split-seed", type=int, metavar="N", help="deal out 70/10/20 by group with this seed, as training can")
    add("--relevance", choices=("caption", "text", "label"),
        help="queries: every caption for its own clip (default), every distinct text or label for all its clips")
    add("--qrels", metavar="FILE", help="judgements instead of captions: TREC, .jsonl, .csv, .parquet; grades 0 to 100")
    add("--min-grade", type=float, metavar="G", help="of --qrels: clips graded G or more are right, others wrong")
    # fmt: on


@dataclass(frozen=True)
class Data:
    """Clips of the split, all clips of the set, and how relevance is meant."""

    clips: Manifest
    whole: Manifest
    by: str
    about: Mapping[str, str] = field(default_factory=dict)


def read_data(args: argparse.Namespace, recipe_folder: Path | None = None, need_audio: bool = True) -> Data:
    """The data named on the command line, or that of a run folder's recipe.

    Raises:
        ConfigError: No data is named.
        DataError: No such data, no splits, an empty split.
    """
    from askaudio.core.errors import ConfigError, DataError
    from askaudio.data.manifest import split_by_group
    from askaudio.data.readers.open import open_dataset

    by = args.relevance or "caption"
    if args.data:
        with progress_bar("reading the data", "clips") as progress:
            whole = open_dataset(args.data, need_audio=need_audio, progress=progress)
    elif recipe_folder is not None:
        whole, by = _recipe_data(recipe_folder, args.relevance)
    else:
        raise ConfigError(
            "which data? Give --data SPEC, for example --data library/manifest.jsonl or clotho:/data/clotho"
        )
    if args.split_seed is not None:
        whole = split_by_group(whole, seed=args.split_seed)
    if args.split == "all":
        return Data(whole, whole, by, {"data": whole.name})
    if not any(c.split for c in whole):
        raise DataError(
            f"{whole.name} has no splits; score all of it with --split all, or deal it out by group as training does "
            "with --split-seed 0"
        )
    clips = whole.split(args.split)
    if not len(clips):
        raise DataError(f"{whole.name} has no clip in split {args.split}; choose another with --split")
    return Data(clips, whole, by, {"data": clips.name})


def _recipe_data(folder: Path, relevance: str | None) -> tuple[Manifest, str]:
    from askaudio.config.load import load_recipe
    from askaudio.pipeline.clips import read_clips

    recipe = load_recipe(str(folder))
    return read_clips(recipe.data), relevance or ("text" if recipe.data.same_text else "caption")


def read_relevance(args: argparse.Namespace, run_file: str) -> tuple[Relevance, Data | None]:
    """Relevance from ``--qrels`` (the pool is every clip that is judged or answered) or from ``--data``."""
    from askaudio.evaluation.relevance import Relevance
    from askaudio.evaluation.run_files import read_qrels, read_run

    if not args.qrels:
        data = read_data(args, need_audio=False)
        return Relevance.from_clips(data.clips, by=data.by), data  # type: ignore[arg-type]
    if args.data:
        pool = [c.clip_id for c in read_data(args, need_audio=False).clips]
    else:
        pool = sorted({*read_qrels(args.qrels).gallery_ids, *read_run(run_file).gallery_ids})
    return read_judgements(args, pool), None


def read_judgements(args: argparse.Namespace, pool: Sequence[str]) -> Relevance:
    """``--qrels`` against a pool, cut at ``--min-grade``."""
    from askaudio.evaluation.run_files import read_qrels

    judged = read_qrels(args.qrels, pool)
    return judged if args.min_grade is None else judged.at_least(args.min_grade)


@dataclass(frozen=True)
class Encoded:
    """Embeddings of the clips that could be read.

    Attributes:
        clips: These clips.
        audio: (N, D) one row a clip.
        broken: clip_id -> why it could not be read.
    """

    clips: Manifest
    audio: FloatArray
    broken: Mapping[str, str]


@dataclass(frozen=True)
class Scored:
    """A report and what further tests need."""

    report: Report
    relevance: Relevance
    run: Run
    data: Data | None = None
    encoded: Encoded | None = None
    text: FloatArray | None = None
    encoder: Encoder | None = None


def encode_clips(spec: str, encoder: Encoder, clips: Manifest, workers: int | None = None) -> Encoded:
    """Decode, cut into fixed windows, encode and mean-pool every clip, as indexing does; broken clips are left out.

    Raises:
        DataError: Not one clip could be read.
    """
    import numpy as np

    from askaudio.core.errors import DataError
    from askaudio.encoders.encoder import pool_windows
    from askaudio.ingest.workers import encode_here, encode_in_pool

    tasks = [(path, ()) for path in dict.fromkeys(c.path for c in clips)]
    workers = workers or (1 if len(tasks) < 64 else os.cpu_count() or 1)
    sounds = encode_here(encoder, tasks) if workers == 1 else encode_in_pool(spec, iter(tasks), workers)
    rows: dict[str, FloatArray] = {}
    reasons: dict[str, str] = {}
    with progress_bar("encoding sounds", "sounds") as progress:
        progress(0, len(tasks))
        for done, sound in enumerate(sounds, start=1):
            if sound.reason:
                reasons[sound.path] = sound.reason
            else:
                rows[sound.path] = pool_windows(sound.vectors)
            progress(done, len(tasks), f"{len(reasons)} broken" if reasons else "")
    if not rows:
        path, reason = next(iter(reasons.items()))
        raise DataError(f"none of {len(tasks)} sounds could be read; the first: {path}: {reason}")
    kept = clips.where(c.path in rows for c in clips)
    broken = {c.clip_id: reasons[c.path] for c in clips if c.path in reasons}
    return Encoded(kept, np.stack([rows[c.path] for c in kept]), broken)


def encode_texts(encoder: Encoder, texts: Sequence[str], title: str = "encoding texts") -> FloatArray:
    """(Q, D) of Q texts; equal texts are encoded once."""
    import numpy as np

    distinct = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(distinct)}
    rows = []
    with progress_bar(title, "texts") as progress:
        for start in range(0, len(distinct), _TEXT_BATCH):
            rows.append(encoder.encode_text(distinct[start : start + _TEXT_BATCH]))
            progress(min(start + _TEXT_BATCH, len(distinct)), len(distinct))
    return np.concatenate(rows)[[place[text] for text in texts]]


def read_embedding_files(
    audio_file: str, text_file: str, judged: Relevance, clips: Manifest | None
) -> tuple[FloatArray, FloatArray, Relevance]:
    """Audio (N, D) and text (Q, D) in the order of the relevance of what is there.

    Args:
        audio_file: ``.npz`` of the clips; clips of the data that it lacks leave the pool.
        text_file: ``.npz`` of the queries.
        judged: Relevance of the whole data.
        clips: The clips it was made from; None when it came from judgements.

    Raises:
        DataError: Ids outside the data, or a text without embedding.
    """
    from askaudio.core.errors import DataError
    from askaudio.evaluation.relevance import Relevance
    from askaudio.evaluation.run_files import read_embeddings

    audio_ids, audio = read_embeddings(audio_file)
    text_ids, text = read_embeddings(text_file)
    there = set(audio_ids)
    relevance = judged
    if clips is not None and there:
        relevance = Relevance.from_clips(clips.where(c.clip_id in there for c in clips), by=judged.kind)  # type: ignore[arg-type]
    for file, ids, known, needed in (
        (audio_file, audio_ids, judged.gallery_ids, relevance.gallery_ids),
        (text_file, text_ids, judged.query_ids, relevance.query_ids),
    ):
        strangers, absent = sorted(set(ids) - set(known)), sorted(set(needed) - set(ids))
        if strangers or absent:
            raise DataError(
                f"{file}: {len(strangers)} ids are not in the data (first: {strangers[:1]}), {len(absent)} ids of the "
                f"data are not in it (first: {absent[:1]}); is it another split? Clips go by clip id, captions by "
                "caption id (clip_id#0), with --relevance text or label by the text or label itself"
            )
    return _in_order(audio, audio_ids, relevance.gallery_ids), _in_order(text, text_ids, relevance.query_ids), relevance


def _in_order(rows: FloatArray, ids: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    place = {x: i for i, x in enumerate(ids)}
    return rows[[place[x] for x in wanted]]
