"""An encoder folder: a trained model as ONNX graphs, run by onnxruntime without torch.

The folder holds ``encoder.json`` (format, name, front end, checksums), ``audio.onnx`` (log-mel (B, F, T) -> (B, D)),
``text.onnx`` (ids and mask (B, L) -> (B, D)) and ``tokenizer.json``. ``export/dual_encoder.py`` writes it. Graphs that
come from the transformers library have its names and shapes instead (``layout``), and their vectors are scaled to
length 1 here.

Inputs run one at a time. In a batch, matrix kernels depend on the batch size and quantised layers take their range
from all rows, so the last bits of a vector would depend on the other inputs. Run alone, the same sound gives the same
bits in every batch. On a CPU this costs nothing, because ``threads`` inputs run in parallel.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from tokenizers import Tokenizer

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import DataError, ModelError
from askaudio.core.files import fingerprint, read_json
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray, Json
from askaudio.encoders.graph_cut import cut_at_mean
from askaudio.encoders.languages import MAP_FILE, LanguageMap
from askaudio.encoders.part_graphs import PartGraphs
from askaudio.encoders.parts import short_windows
from askaudio.encoders.recording import FileEncoder
from askaudio.encoders.session import open_session, run_one
from askaudio.encoders.tuning import Tuning, read_tuning

FORMAT = 1
SETTINGS_FILE = "encoder.json"
AUDIO_FILE, TEXT_FILE, TOKENIZER_FILE = "audio.onnx", "text.onnx", "tokenizer.json"
FILES = (AUDIO_FILE, TEXT_FILE, TOKENIZER_FILE)
LAYOUTS = ("askaudio", "transformers")

_In = TypeVar("_In")


class OnnxEncoder(FileEncoder):
    """The encoder in a folder. Its audio and text graphs are opened when they are first used.

    Args:
        folder: The encoder folder.
        threads: Inputs that run in parallel; None for one per core. The vectors do not depend on it.
        settings: The content of ``encoder.json``, for a pulled model whose folder has none (``encoders/registry``).

    Raises:
        ModelError: Files are missing or damaged, or the folder is from a newer version.
    """

    files: ClassVar[tuple[str, ...]] = FILES

    def __init__(self, folder: Path | str, threads: int | None = None, settings: Json | None = None) -> None:
        self.folder = Path(folder)
        self.threads = threads or os.cpu_count() or 1
        settings = self._read_settings() if settings is None else settings
        try:
            self.name = str(settings["name"])
            self.embed_dim = int(settings["embed_dim"])
            self.front_end = FrontEnd.from_json(settings["front_end"])
            self.layout = str(settings.get("layout", LAYOUTS[0]))
            self._sha256 = {file: str(settings["sha256"][file]) for file in self.files}
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.folder / SETTINGS_FILE} is damaged ({error!r}); export the model again") from error
        if self.layout not in LAYOUTS:
            raise ModelError(f"{self.folder} has the layout {self.layout!r}; update with: pip install -U askaudio")
        self.sample_rate_hz = self.front_end.sample_rate_hz
        self.window_s, self.hop_s = self.front_end.window_s, self.front_end.hop_s
        self.fingerprint = fingerprint([FORMAT, self.front_end.to_json(), self._sha256])

    def encode_audio(self, waveforms: Sequence[FloatArray]) -> FloatArray:
        """Vectors (B, D) of B mono waveforms (S_i,) at ``sample_rate_hz``, each at most ``window_s`` long.

        Raises:
            ModelError: A waveform is empty, too long, or holds NaN or infinite samples.
        """
        return self._encode(self._one_sound, waveforms)

    def encode_parts(self, samples: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Times (P, 2) and vectors (P, D) of parts of about 1 s of a waveform (S,) of at most ``window_s``.

        The tower runs once, without padding, and its head for each part. Where the graph cannot be divided, short
        windows are encoded instead.
        """
        graphs = self._part_graphs if self.layout == LAYOUTS[0] else None
        if graphs is None:
            return short_windows(self, samples)
        log_mel = replace(self.front_end, short="keep")(samples)  # (F, T)
        shares, vectors = self._parts(graphs, log_mel)
        return shares * (len(samples) / self.sample_rate_hz), normalise_rows(vectors)

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Vectors (B, D) of B texts; an empty text has the vector of the tokenizer's special tokens."""
        if isinstance(texts, str):
            raise ModelError("encode_text takes a list of texts, got one text; write [text]")
        return self._encode(self._one_text, texts)

    def _one_sound(self, waveform: FloatArray) -> FloatArray:
        log_mel = self.front_end(waveform)  # (F, T)
        if self.layout == "askaudio":
            return self._run(self._audio, {"log_mel": log_mel[None]}, AUDIO_FILE)
        features = np.ascontiguousarray(log_mel.T)[None, None]  # (1, 1, T, F)
        return normalise_rows(self._run(self._audio, {"input_features": features}, AUDIO_FILE)[None])[0]

    def _parts(self, graphs: PartGraphs, log_mel: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Parts of a log-mel as shares (P, 2) of its length, and their vectors (P, D)."""
        shares, _, (vectors,) = graphs.outputs({"log_mel": log_mel[None]})
        return shares, vectors

    def _one_text(self, text: str) -> FloatArray:
        try:
            ids = self._tokenizer.encode(text).ids or [0]
        except Exception as error:  # the tokenizers package raises Exception itself
            raise ModelError(f"{self.path(TOKENIZER_FILE)} cannot split {text[:50]!r}: {error}") from error
        row = np.asarray([ids], dtype=np.int64)  # (1, L)
        if self.layout == "askaudio":
            return self._run(self._text, {"ids": row, "mask": np.ones_like(row)}, TEXT_FILE)
        feeds = {"input_ids": row, "attention_mask": np.ones_like(row)}
        taken = {end.name: feeds[end.name] for end in self._text.get_inputs()}  # alone, a text needs no mask
        return normalise_rows(self._run(self._text, taken, TEXT_FILE)[None])[0]

    def _run(self, session: Any, feeds: Json, file: str) -> FloatArray:
        return run_one(session, feeds, self.embed_dim, str(self.path(file)))

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

    def unknown_words(self, text: str) -> tuple[list[str], int]:
        """Words of a text that the vocabulary has only as many small pieces or not at all, and the number of words.

        Encoders whose tokenizer is no WordPiece report none.
        """
        if type(self._tokenizer.model).__name__ != "WordPiece":
            return [], 0
        encoding: Any = self._tokenizer.encode(text)
        pieces: dict[int, list[int]] = {}
        for place, word in enumerate(encoding.word_ids):
            if word is not None:
                pieces.setdefault(word, []).append(place)
        unknown, count = [], 0
        for places in pieces.values():
            word = text[encoding.offsets[places[0]][0] : encoding.offsets[places[-1]][1]]
            tokens = [encoding.tokens[place] for place in places]
            is_word = any(c.isalnum() for c in word)
            lost = tokens == ["[UNK]"] or (is_word and (len(tokens) > 2 or len(tokens[0]) < 3 <= len(word)))
            count += is_word or lost
            unknown += [word] * lost
        return unknown, count

    @functools.cached_property
    def language_map(self) -> LanguageMap | None:
        """Encodes texts that are not English; None for a model that has no such map."""
        path = self.path(MAP_FILE)
        return LanguageMap(path, self.text_tower) if path.is_file() else None

    @property
    def text_tower(self) -> str:
        """Checksum of the text tower, to which a language map belongs."""
        return self._sha256[TEXT_FILE]

    @functools.cached_property
    def tuning(self) -> Tuning | None:
        """How search ranks and judges hits of this model; None for a model that was not measured."""
        return read_tuning(self.folder, self.fingerprint, self.embed_dim)

    @functools.cached_property
    def _audio(self) -> Any:
        return open_session(self.content(AUDIO_FILE), str(self.path(AUDIO_FILE)))

    @functools.cached_property
    def _part_graphs(self) -> PartGraphs | None:
        cut = cut_at_mean(self.content(AUDIO_FILE))
        return PartGraphs(cut, str(self.path(AUDIO_FILE))) if cut else None

    @functools.cached_property
    def _text(self) -> Any:
        return open_session(self.content(TEXT_FILE), str(self.path(TEXT_FILE)))

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        content = self.content(TOKENIZER_FILE)
        try:
            tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the tokenizers package raises Exception itself
            raise ModelError(f"{self.path(TOKENIZER_FILE)} is not a tokenizer: {error}; export again") from error
        tokenizer.no_padding()  # some published tokenizers pad to a fixed length
        return tokenizer

    def path(self, file: str) -> Path:
        """Path of one of ``files``."""
        return self.folder / file

    def content(self, file: str) -> bytes:
        """Bytes of one of ``files``.

        Raises:
            ModelError: It cannot be read, or its checksum differs from the one that was stored at export.
        """
        try:
            content = self.path(file).read_bytes()
        except OSError as error:
            raise ModelError(f"{self.path(file)} cannot be read: {error.strerror}; pull or export it again") from error
        if hashlib.sha256(content).hexdigest() != self._sha256[file]:
            raise ModelError(f"{self.path(file)} is damaged (its checksum is another); copy, pull or export it again")
        return content

    def _read_settings(self) -> Json:
        settings_file = self.folder / SETTINGS_FILE
        missing = [path.name for path in (settings_file, *map(self.path, self.files)) if not path.is_file()]
        if missing:
            raise ModelError(
                f"{self.folder} is not a complete encoder folder: {', '.join(missing)} missing; "
                "make one with: askaudio export RUN_FOLDER OUT"
            )
        try:
            settings = read_json(settings_file)
        except DataError as error:
            raise ModelError(f"{error}; export the model again") from error
        found = settings.get("format") if isinstance(settings, dict) else None
        if found != FORMAT:
            raise ModelError(
                f"{settings_file} has format {found!r}, this version reads format {FORMAT}; "
                "update with: pip install -U askaudio"
            )
        return settings
