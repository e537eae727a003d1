"""Write an encoder folder: two graphs and a tokenizer, compared with the original model.

An exporter (``dual_encoder.py``, ``clap.py``) makes a ``Draft``. The order of the steps, the comparison, the storage
precision and the final move are the same for all and are here. The folder appears complete or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.files import sha256_file, write_json
from askaudio.core.types import FloatArray, Json, Progress
from askaudio.encoders.onnx import AUDIO_FILE, FILES, SETTINGS_FILE, TEXT_FILE, TOKENIZER_FILE, OnnxEncoder
from askaudio.export.precision import Precision, store_as

TOLERANCE = 1e-4
PROBE_TEXTS = ("a dog barks twice, then a door slams in a large hall", "rain", "")


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and its measured differences from the original model.

    Attributes:
        folder: The encoder folder.
        audio_error: Largest absolute difference between components of audio vectors, at full precision.
        text_error: The same for text vectors.
        text_cosine: Smallest cosine between the vectors of a probe text at full and at the stored precision.
        megabytes: Size of the folder in MB.
    """

    folder: str
    audio_error: float
    text_error: float
    text_cosine: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything that an encoder folder is made from.

    Attributes:
        settings: Content of the settings file, without precision and checksums.
        audio: Returns the audio graph as bytes.
        text: Returns the text graph as bytes.
        tokenizer: The tokenizer as JSON.
        original: Name of the library that runs the original model, for messages.
        audio_vectors: The original model: B waveforms -> (B, D).
        text_vectors: The original model: B texts -> (B, D).
    """

    settings: Json
    audio: Callable[[], bytes]
    text: Callable[[], bytes]
    tokenizer: str
    original: str
    audio_vectors: Callable[[Sequence[FloatArray]], FloatArray]
    text_vectors: Callable[[Sequence[str]], FloatArray]


def check_target(folder: Path) -> None:
    """Refuse a target that would be overwritten by mistake.

    Raises:
        ModelError: It exists and is neither empty nor an encoder folder.
    """
    if folder.exists() and not (folder / SETTINGS_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} exists and is not an encoder folder. Fix: name a new or empty folder")


def write_encoder(
    draft: Draft, folder: Path, precision: Precision, audio_precision: Precision, progress: Progress
) -> ExportReport:
    """Write an encoder folder from a draft.

    Args:
        draft: The parts.
        folder: Target, accepted by ``check_target``.
        precision: Storage of the text tower's weights.
        audio_precision: Storage of the audio tower's weights.
        progress: Called after each of the five steps.

    Raises:
        ModelError: The graphs differ from the original by more than 1e-4.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        progress(0, 5, "audio")
        (work / AUDIO_FILE).write_bytes(draft.audio())
        progress(1, 5, "text")
        (work / TEXT_FILE).write_bytes(draft.text())
        (work / TOKENIZER_FILE).write_text(draft.tokenizer, encoding="utf-8")
        _write_settings(work, draft, "fp32")
        progress(2, 5, f"check against {draft.original}")
        errors, texts = _check(draft, OnnxEncoder(work))
        progress(3, 5, f"store as {precision}")
        store_as(work / TEXT_FILE, precision)
        store_as(work / AUDIO_FILE, audio_precision)
        _write_settings(work, draft, precision)
        cosine = float((OnnxEncoder(work).encode_text(PROBE_TEXTS) * texts).sum(1).min())
        progress(4, 5, "put in place")
        size = sum((work / file).stat().st_size for file in FILES) / 1e6
        _put_in_place(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(5, 5)
    return ExportReport(str(folder), *errors, cosine, round(size, 1))


def _write_settings(folder: Path, draft: Draft, precision: Precision) -> None:
    checksums = {file: sha256_file(folder / file) for file in FILES}
    write_json(folder / SETTINGS_FILE, {**draft.settings, "text_precision": precision, "sha256": checksums})


def _check(draft: Draft, encoder: OnnxEncoder) -> tuple[tuple[float, float], FloatArray]:
    """Largest differences (audio, text) of the full-precision graphs, and the probe texts' vectors."""
    sounds, texts = probe_sounds(encoder.front_end), encoder.encode_text(PROBE_TEXTS)
    audio_error = float(np.abs(encoder.encode_audio(sounds) - draft.audio_vectors(sounds)).max())
    text_error = float(np.abs(texts - draft.text_vectors(PROBE_TEXTS)).max())
    if not max(audio_error, text_error) <= TOLERANCE:  # "not <=" instead of ">": NaN must fail too
        raise ModelError(
            f"the exported model differs from {draft.original} by {audio_error:.1e} (audio) and {text_error:.1e} "
            f"(text), expected at most {TOLERANCE:.0e}; nothing was written"
        )
    return (audio_error, text_error), texts


def probe_sounds(front_end: FrontEnd) -> list[FloatArray]:
    """A full window of tone and noise, a short sound, and silence."""
    rate = front_end.sample_rate_hz
    rng = np.random.default_rng(0)
    time_s = np.arange(round(front_end.window_s * rate)) / rate
    loud = (0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.05 * rng.standard_normal(len(time_s))).astype(np.float32)
    return [loud, loud[: rate // 3], np.zeros(rate, dtype=np.float32)]


def _put_in_place(work: Path, folder: Path) -> None:
    """Replace the target by the finished folder."""
    work.chmod(0o755)  # mkdtemp makes folders that only their owner may read
    if folder.exists():
        shutil.rmtree(folder)
    work.rename(folder)
