"""An encoder folder: what search needs of a trained model, run by onnxruntime alone (no torch).

The folder holds ``encoder.json`` (format, name, front end, checksums), ``audio.onnx`` (log-mel (B, F, T) -> (B, D)),
``text.onnx`` (ids and mask (B, L) -> (B, D)) and ``tokenizer.json``. ``models/export`` writes it.

Inputs are run one at a time. In a batch, matrix kernels are chosen by batch size and quantised layers take their
range from all rows, so a vector would depend on its neighbours in the last bits; alone, the same sound gives the
same bits whatever it is encoded with. On a CPU this costs nothing: ``threads`` inputs run side by side.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tokenizers import Tokenizer

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import DataError, ModelError
from askaudio.core.files import fingerprint, read_json
from askaudio.core.types import FloatArray, Json
from askaudio.models.session import open_session

FORMAT = 1
SETTINGS_FILE = "encoder.json"
AUDIO_FILE, TEXT_FILE, TOKENIZER_FILE = "audio.onnx", "text.onnx", "tokenizer.json"
FILES = (AUDIO_FILE, TEXT_FILE, TOKENIZER_FILE)

_In = TypeVar("_In")


class OnnxEncoder:
    """The ``Encoder`` of a folder. Audio and text sides are opened when they are first used.

    Args:
        folder: The encoder folder.
        threads: Inputs run side by side; None for one per core. The vectors do not depend on it.

    Raises:
        ModelError: Files are missing or damaged, or the folder is from a newer version.
    """

    def __init__(self, folder: Path | str, threads: int | None = None) -> None:
        self.folder = Path(folder)
        self.threads = threads or os.cpu_count() or 1
        settings = _read_settings(self.folder)
        try:
            self.name = str(settings["name"])
            self.embed_dim = int(settings["embed_dim"])
            self.front_end = FrontEnd.from_json(settings["front_end"])
            self._sha256 = {file: str(settings["sha256"][file]) for file in FILES}
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.folder / SETTINGS_FILE} is damaged ({error!r}); export the model anew") from error
        self.sample_rate_hz = self.front_end.sample_rate_hz
        self.window_s, self.hop_s = self.front_end.window_s, self.front_end.hop_s
        self.fingerprint = fingerprint([FORMAT, self.front_end.to_json(), self._sha256])

    def encode_audio(self, waveforms: Sequence[FloatArray]) -> FloatArray:
        """Vectors (B, D) of B mono waveforms (S_i,) at ``sample_rate_hz``, each at most ``window_s`` long.

        Raises:
            ModelError: A waveform is empty, too long, or holds NaN or infinite samples.
        """
        return self._encode(self._one_sound, waveforms)

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Vectors (B, D) of B texts; an empty text has one too (that of the tokenizer's end marks)."""
        if isinstance(texts, str):
            raise ModelError("encode_text takes a list of texts, got one text; write [text]")
        return self._encode(self._one_text, texts)

    def _one_sound(self, waveform: FloatArray) -> FloatArray:
        log_mel = self.front_end(waveform)[None]  # (1, F, T)
        return self._audio.run(None, {"log_mel": log_mel})[0][0]

    def _one_text(self, text: str) -> FloatArray:
        ids = self._tokenizer.encode(text).ids or [0]
        row = np.asarray([ids], dtype=np.int64)  # (1, L)
        return self._text.run(None, {"ids": row, "mask": np.ones_like(row)})[0][0]

    def _encode(self, one: Callable[[_In], FloatArray], inputs: Sequence[_In]) -> FloatArray:
        if not len(inputs):
            return np.zeros((0, self.embed_dim), dtype=np.float32)
        workers = min(self.threads, len(inputs))
        if workers == 1:
            rows = [one(value) for value in inputs]
        else:
            with ThreadPoolExecutor(workers) as pool:
                rows = list(pool.map(one, inputs))
        return np.stack(rows)

    @functools.cached_property
    def _audio(self) -> Any:
        return open_session(self._checked(AUDIO_FILE), str(self.folder / AUDIO_FILE))

    @functools.cached_property
    def _text(self) -> Any:
        return open_session(self._checked(TEXT_FILE), str(self.folder / TEXT_FILE))

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_buffer(self._checked(TOKENIZER_FILE))

    def _checked(self, file: str) -> bytes:
        content = (self.folder / file).read_bytes()
        if hashlib.sha256(content).hexdigest() != self._sha256[file]:
            raise ModelError(f"{self.folder / file} is damaged (its checksum is another); copy or export it anew")
        return content


def _read_settings(folder: Path) -> Json:
    missing = [file for file in (SETTINGS_FILE, *FILES) if not (folder / file).is_file()]
    if missing:
        raise ModelError(
            f"{folder} is no complete encoder folder: {', '.join(missing)} missing; "
            "make one with: askaudio export RUN_FOLDER OUT"
        )
    try:
        settings = read_json(folder / SETTINGS_FILE)
    except DataError as error:
        raise ModelError(f"{error}; export the model anew") from error
    found = settings.get("format") if isinstance(settings, dict) else None
    if found != FORMAT:
        raise ModelError(
            f"{folder / SETTINGS_FILE} has format {found!r}, this version reads format {FORMAT}; "
            "update with: pip install -U askaudio"
        )
    return settings
