"""Writing an encoder folder: two graphs and a tokenizer, checked against the model that they were made of.

Whoever exports a model brings a draft; the order of the steps, the check, the stored precision and the way into place
are the same for all. The folder appears as a whole or not at all.
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
    """What was written and how far it is from the model it was made of.

    Attributes:
        folder: The encoder folder.
        audio_error: Largest difference of an audio vector's numbers.
        text_error: Largest difference of a text vector's numbers, at full precision.
        text_cosine: Smallest cosine between a probe text's vector at full and at the stored precision.
        megabytes: Size of the folder.
    """

    folder: str
    audio_error: float
    text_error: float
    text_cosine: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Draft:
    """What an encoder folder is made of.

    Attributes:
        settings: The settings file but for precision and checksums.
        audio: Makes the audio graph.
        text: Makes the text graph.
        tokenizer: The tokenizer's JSON.
        original: Name of what the graphs are checked against.
        audio_vectors: Its vectors (B, D) of waveforms.
        text_vectors: Its vectors (B, D) of texts.
    """

    settings: Json
    audio: Callable[[], bytes]
    text: Callable[[], bytes]
    tokenizer: str
    original: str
    audio_vectors: Callable[[Sequence[FloatArray]], FloatArray]
    text_vectors: Callable[[Sequence[str]], FloatArray]


def check_target(folder: Path) -> None:
    """See that a folder may be written.

    Raises:
        ModelError: It holds something that is no encoder.
    """
    if folder.exists() and not (folder / SETTINGS_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} exists and is no encoder folder; name a new or empty folder")


def write_encoder(
    draft: Draft, folder: Path, precision: Precision, audio_precision: Precision, progress: Progress
) -> ExportReport:
    """Write a draft to a folder that ``check_target`` let pass; ``progress`` is called after each of five steps.

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
    if not max(audio_error, text_error) <= TOLERANCE:
        raise ModelError(
            f"the exported model differs from {draft.original} by {audio_error:.1e} (audio) and {text_error:.1e} "
            f"(text), allowed is {TOLERANCE:.0e}; nothing was written"
        )
    return (audio_error, text_error), texts


def probe_sounds(front_end: FrontEnd) -> list[FloatArray]:
    """A full window of noise and tone, a short one, silence."""
    rate = front_end.sample_rate_hz
    rng = np.random.default_rng(0)
    time_s = np.arange(round(front_end.window_s * rate)) / rate
    loud = (0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.05 * rng.standard_normal(len(time_s))).astype(np.float32)
    return [loud, loud[: rate // 3], np.zeros(rate, dtype=np.float32)]


def _put_in_place(work: Path, folder: Path) -> None:
    """Move a finished folder to its place, in front of an older one."""
    work.chmod(0o755)
    if folder.exists():
        shutil.rmtree(folder)
    work.rename(folder)
