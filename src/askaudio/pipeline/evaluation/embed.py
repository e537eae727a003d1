"""Embeddings of the clips and texts of an evaluation, from an encoder or from files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askaudio.core.errors import DataError
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.data.manifest import Manifest
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.recording import READ_ERRORS, encode_recording, reason_of
from askaudio.encoders.workers import map_in_workers
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.run_files import read_embeddings
from askaudio.pipeline.evaluation.data import EvaluationData

TEXT_BATCH = 64
FEW_SOUNDS = 64  # below, starting worker processes costs more time than they save


@dataclass(frozen=True)
class _Outcome:
    """The pooled vector (D,) of one file, or the reason why there is none."""

    path: str
    vector: FloatArray | None = None
    reason: str = ""


def encode_clips(
    encoder: Encoder, clips: Manifest, spec: str = "", workers: int | None = None, progress: Progress = silent
) -> tuple[Manifest, FloatArray, Mapping[str, str]]:
    """Encode every clip as one vector, the mean over its windows; clips that cannot be read are left out.

    Args:
        encoder: Encodes in this process.
        clips: N clips.
        spec: Name or folder by which worker processes load the same encoder; empty for none.
        workers: Number of processes; None for one per core, or one in all for few sounds. Needs ``spec``.
        progress: Called with the sounds done.

    Returns:
        The clips that could be read; their vectors (N', D); and clip_id -> reason for each of the others.

    Raises:
        DataError: No clip could be read.
    """
    paths = list(dict.fromkeys(clip.path for clip in clips))
    workers = workers or (1 if len(paths) < FEW_SOUNDS else os.cpu_count() or 1)
    outcomes: Iterator[_Outcome]
    if spec and workers > 1:
        outcomes = map_in_workers(_encode_file, paths, spec, workers, _crashed)
    else:
        outcomes = (_encode_file(encoder, path) for path in paths)
    rows: dict[str, FloatArray] = {}
    reasons: dict[str, str] = {}
    for done, outcome in enumerate(outcomes, start=1):
        if outcome.vector is None:
            reasons[outcome.path] = outcome.reason
        else:
            rows[outcome.path] = outcome.vector
        progress(done, len(paths), f"sounds encoded, {len(reasons)} broken" if reasons else "sounds encoded")
    if not rows:
        path, reason = next(iter(reasons.items()))
        raise DataError(f"none of {len(paths)} sounds could be read; the first: {path}: {reason}")
    kept = clips.where(clip.path in rows for clip in clips)
    broken = {clip.clip_id: reasons[clip.path] for clip in clips if clip.path in reasons}
    return kept, np.stack([rows[clip.path] for clip in kept]), broken


def _encode_file(encoder: Encoder, path: str) -> _Outcome:
    try:
        return _Outcome(path, encode_recording(encoder, path).pooled)
    except READ_ERRORS as error:
        return _Outcome(path, reason=reason_of(error))


def _crashed(path: str) -> _Outcome:
    return _Outcome(path, reason="reading it crashed the decoder; convert or remove the file")


def encode_texts(encoder: Encoder, texts: Sequence[str], progress: Progress = silent) -> FloatArray:
    """Encode Q texts -> (Q, D); equal texts are encoded once.

    Args:
        encoder: Encodes the texts.
        texts: Q texts, at least one.
        progress: Called after each batch with the number of distinct texts encoded.
    """
    distinct = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(distinct)}
    rows = []
    for start in range(0, len(distinct), TEXT_BATCH):
        rows.append(encoder.encode_text(distinct[start : start + TEXT_BATCH]))
        progress(min(start + TEXT_BATCH, len(distinct)), len(distinct), "texts encoded")
    return np.concatenate(rows)[[place[text] for text in texts]]


def read_embedding_files(
    audio_file: Path | str, text_file: Path | str, judged: Relevance, data: EvaluationData | None
) -> tuple[FloatArray, FloatArray, Relevance]:
    """Read embeddings and put their rows into the order of the relevance.

    Args:
        audio_file: ``.npz`` with the ``ids`` and ``embeddings`` (N, D) of the clips.
        text_file: The same of the queries.
        judged: Relevance of all clips.
        data: The clips that it was made from; clips without an embedding then leave the pool. None: no clip may lack
            one.

    Returns:
        Audio (N, D), text (Q, D), and the relevance of the clips that have an embedding.

    Raises:
        DataError: An id that the data do not have, or a clip or query without embedding.
    """
    audio_ids, audio = read_embeddings(audio_file)
    text_ids, text = read_embeddings(text_file)
    relevance = judged
    if data is not None and audio_ids:
        known = set(audio_ids)
        relevance = Relevance.from_clips(data.clips.where(clip.clip_id in known for clip in data.clips), by=data.by)
    _check_ids(audio_file, audio_ids, judged.gallery_ids, relevance.gallery_ids)
    _check_ids(text_file, text_ids, judged.query_ids, relevance.query_ids)
    return _in_order(audio, audio_ids, relevance.gallery_ids), _in_order(text, text_ids, relevance.query_ids), relevance


def _check_ids(file: Path | str, ids: Sequence[str], known: Sequence[str], needed: Sequence[str]) -> None:
    unknown, absent = sorted(set(ids) - set(known)), sorted(set(needed) - set(ids))
    if unknown or absent:
        raise DataError(
            f"{file}: {len(unknown)} ids are not in the data (first: {unknown[:1]}), {len(absent)} ids of the "
            f"data are not in it (first: {absent[:1]}); is it another split? Clips are named by clip id, captions by "
            "caption id (clip_id#0), with --relevance text or label by the text or label itself"
        )


def _in_order(rows: FloatArray, ids: Sequence[str], order: Sequence[str]) -> FloatArray:
    place = {x: i for i, x in enumerate(ids)}
    return rows[[place[x] for x in order]]
