"""Score a model, embeddings or a run file on a data set: what ``askaudio evaluate`` calls.

    evaluation = evaluate_model("small", "library/manifest.jsonl")
    evaluation.report["t2a/R@10"]        # a share between 0 and 1
    print(evaluation.report.table())

Works without torch for encoders that need none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from askaudio.core.types import FloatArray, Progress, silent
from askaudio.data.manifest import Manifest
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load_encoder
from askaudio.evaluation.evaluate import evaluate, evaluate_embeddings
from askaudio.evaluation.metrics import DEFAULT_METRICS
from askaudio.evaluation.ranks import Ties
from askaudio.evaluation.relevance import By, Relevance
from askaudio.evaluation.report import Report
from askaudio.evaluation.run import Run
from askaudio.evaluation.run_files import read_run
from askaudio.pipeline.evaluation.data import EvaluationData, read_evaluation_data
from askaudio.pipeline.evaluation.embed import encode_clips, encode_texts, read_embedding_files


@dataclass(frozen=True)
class Evaluation:
    """A report, and what it was computed from.

    Attributes:
        report: Metrics, counts, protocol and warnings.
        relevance: Which clips are right for each query.
        run: The score of every clip for every query.
        data: The data set; None where judgements say what is right.
    """

    report: Report
    relevance: Relevance
    run: Run
    data: EvaluationData | None


@dataclass(frozen=True)
class ModelEvaluation(Evaluation):
    """The evaluation of a model.

    Attributes:
        encoder: The model.
        clips: The N clips that could be read.
        audio: (N, D), one row per clip, in the order of ``relevance.gallery_ids``.
        text: (Q, D), one row per query, in the order of ``relevance.query_ids``.
        broken: clip_id -> why it could not be read; these clips are not in the pool.
    """

    encoder: Encoder
    clips: Manifest
    audio: FloatArray
    text: FloatArray
    broken: Mapping[str, str]


def evaluate_model(
    model: str | Path | Encoder,
    data: str | Path | Manifest | None = None,
    *,
    split: str = "test",
    split_seed: int | None = None,
    relevance: By | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    ties: Ties = "pessimistic",
    name: str = "",
    workers: int | None = None,
    progress: Progress = silent,
) -> ModelEvaluation:
    """Score a model on captioned sounds, in both directions (text-to-audio and audio-to-text).

    Every clip is cut into the encoder's fixed windows and becomes one vector, the mean over its windows.

    Args:
        model: Spec of an encoder (``load_encoder``), or an open one.
        data: Spec of a data set (``open_dataset``), or one that is open; None for the data of a run folder's recipe.
        split: ``train``, ``val``, ``test`` or ``all``.
        split_seed: Split the clips 70/10/20 by group with this seed; None keeps the set's own splits.
        relevance: What a query is: ``caption`` (each caption finds its own clip), ``text`` or ``label`` (each distinct
            one finds all its clips). None for ``caption``, or what the recipe says.
        metrics: Names for the report's table, for example ``R@1`` or ``mAP@16``.
        ties: ``pessimistic``: equal scores count against the system; ``expected``: mean over their random order.
        name: Name of the system in tables; default the model's.
        workers: Processes that decode and encode; None chooses by the number of sounds. An open encoder always works
            in this process.
        progress: Called with the clips, sounds or texts done.

    Raises:
        ConfigError: No data, or an unknown metric or tie rule.
        DataError: The data cannot be read, have no captions or an empty split, or none of its sounds can be decoded.
        ModelError: The model cannot be opened.

    Example:
        >>> evaluate_model("small", "clotho:/data/clotho").report["t2a/R@10"]  # doctest: +SKIP
        0.312
    """
    spec = str(model) if isinstance(model, str | Path) else ""
    encoder = load_encoder(model) if isinstance(model, str | Path) else model
    found = read_evaluation_data(
        data, run_folder=spec or None, split=split, split_seed=split_seed, relevance=relevance, progress=progress
    )
    _ = found.relevance  # raises for data without captions, before hours of encoding
    clips, audio, broken = encode_clips(encoder, found.clips, spec, workers, progress)
    judged = Relevance.from_clips(clips, by=found.by)
    text = encode_texts(encoder, [judged.texts[query] for query in judged.query_ids], progress)
    name = name or (Path(spec).resolve().name if spec and Path(spec).exists() else spec or encoder.name)
    report = evaluate_embeddings(
        audio,
        text,
        judged,
        name=name,
        n_missing_clips=len(found.clips.missing) + len(broken),
        protocol={
            **found.about,
            "windows": f"fixed, {encoder.window_s:g} s every {encoder.hop_s:g} s, mean",
            "model": f"{encoder.name} {encoder.fingerprint}",
        },
        metrics=metrics,
        ties=ties,
    )
    run = Run.from_embeddings(text, audio, judged.query_ids, judged.gallery_ids, name)
    return ModelEvaluation(report, judged, run, found, encoder, clips, audio, text, broken)


def evaluate_embedding_files(
    audio_file: Path | str,
    text_file: Path | str,
    judged: Relevance,
    data: EvaluationData | None = None,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    ties: Ties = "pessimistic",
    name: str = "",
    protocol: Mapping[str, str] | None = None,
) -> Evaluation:
    """Score embeddings of any system in both directions.

    Args:
        audio_file: ``.npz`` with the ``ids`` and ``embeddings`` (N, D) of the clips.
        text_file: The same of the queries.
        judged: Which clips are right for each query.
        data: The data set that ``judged`` was made from; clips without an embedding are then counted as missing.
        metrics: Names for the report's table.
        ties: Tie rule.
        name: Name of the system; default the name of ``audio_file``.
        protocol: Words for the protocol line; default those of ``data``.

    Raises:
        DataError: The files do not fit the data.
    """
    audio, text, relevance = read_embedding_files(audio_file, text_file, judged, data)
    n_listed = judged.n_gallery + (len(data.clips.missing) if data else 0)
    name = name or Path(audio_file).stem
    report = evaluate_embeddings(
        audio,
        text,
        relevance,
        name=name,
        n_missing_clips=n_listed - relevance.n_gallery,
        protocol=protocol or (data.about if data else {}),
        metrics=metrics,
        ties=ties,
    )
    run = Run.from_embeddings(text, audio, relevance.query_ids, relevance.gallery_ids, name)
    return Evaluation(report, relevance, run, data)


def evaluate_run_file(
    run_file: Path | str,
    judged: Relevance,
    data: EvaluationData | None = None,
    *,
    direction: str = "t2a",
    metrics: Sequence[str] = DEFAULT_METRICS,
    ties: Ties = "pessimistic",
    name: str = "",
    progress: Progress = silent,
) -> Evaluation:
    """Score the run file of any system.

    Args:
        run_file: TREC run, ``.jsonl``, ``.csv`` or ``.parquet``.
        judged: Text-to-audio relevance, for either direction.
        data: The data set that ``judged`` was made from, for counts and the protocol line.
        direction: ``t2a``: the queries of the file are texts; ``a2t``: they are clips.
        metrics: Names for the report's table.
        ties: Tie rule.
        name: Name of the system; default what the file says.
        progress: Called with the queries done.

    Raises:
        DataError: The file cannot be read, or has ids that the data do not have.
    """
    run = read_run(run_file, judged if direction == "t2a" else judged.transposed(), name or None)
    report = evaluate(
        run,
        judged,
        directions=(direction,),
        n_missing_clips=len(data.clips.missing) if data else 0,
        protocol=data.about if data else None,
        metrics=metrics,
        ties=ties,
        progress=progress,
    )
    return Evaluation(report, judged, run, data)
