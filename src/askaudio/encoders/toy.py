"""A deterministic encoder without weights, for tests of everything that uses an encoder.

Sounds and texts share one axis, frequency. A sound's vector is its energy in D - 1 bands of equal width on a log scale
from 50 Hz to 8 kHz. A text's vector has a peak at the frequency that it names ("440 Hz tone") or that a known word
stands for ("low hum", "high whistle"); "noise" is flat, and "silence" has an axis of its own. A text without a known
word gets a pseudo-random vector that depends on its letters only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from askaudio.core.errors import ConfigError
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray
from askaudio.encoders.recording import FileEncoder

LOWEST_HZ, HIGHEST_HZ = 50.0, 8000.0
WORDS_HZ = {
    "rumble": 70.0, "thunder": 80.0, "hum": 100.0, "bass": 110.0, "low": 120.0, "engine": 150.0, "drum": 180.0,
    "horn": 400.0, "voice": 500.0, "middle": 700.0, "siren": 900.0, "bell": 1500.0, "alarm": 2000.0, "high": 3000.0,
    "beep": 3000.0, "whistle": 3200.0, "bird": 4000.0, "cricket": 5000.0, "hiss": 7000.0,
}  # fmt: skip
NOISE_WORDS = {"noise", "rain", "wind", "applause"}
SILENCE_WORDS = {"silence", "silent", "nothing", "quiet"}


class ToyEncoder(FileEncoder):
    """The toy encoder; see the head of this file.

    Args:
        dim: D, at least 3.
    """

    name = "toy"
    sample_rate_hz = 16000
    window_s = 10.0
    hop_s = 10.0

    def __init__(self, dim: int = 32) -> None:
        if dim < 3:
            raise ConfigError(f"the toy encoder needs dim of at least 3, got {dim}")
        self.embed_dim = dim
        self.fingerprint = f"toy-1-{dim}"
        self._edges_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, dim)  # D - 1 bands

    def encode_audio(self, waveforms: Sequence[FloatArray]) -> FloatArray:
        """Vectors (B, D) of B mono waveforms (S_i,) at 16 kHz."""
        return _rows([self._sound(np.asarray(w, dtype=np.float32)) for w in waveforms], self.embed_dim)

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Vectors (B, D) of B texts."""
        return _rows([self._text(text) for text in texts], self.embed_dim)

    def _sound(self, waveform: FloatArray) -> FloatArray:
        """Energies (D,): D - 1 bands, then the axis of silence."""
        size = max(len(waveform), 1024)
        power = np.abs(np.fft.rfft(waveform, n=size)) ** 2
        hz = np.fft.rfftfreq(size, 1 / self.sample_rate_hz)
        band = np.digitize(hz, self._edges_hz[1:-1])  # 0 .. D - 2
        energy = np.bincount(band, weights=power, minlength=self.embed_dim - 1)
        if energy.sum() < 1e-8 * size:
            return self._silence()
        return np.append(np.sqrt(energy), 0.0).astype(np.float32)

    def _text(self, text: str) -> FloatArray:
        words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", text.lower())
        if SILENCE_WORDS & set(words):
            return self._silence()
        found = [WORDS_HZ[w] for w in words if w in WORDS_HZ]
        found += [float(hz) for hz in re.findall(r"(\d+(?:\.\d+)?)\s*hz", text.lower())]
        vector = np.zeros(self.embed_dim, dtype=np.float32)
        for hz in found:
            vector[np.digitize(hz, self._edges_hz[1:-1])] += 1.0
        if NOISE_WORDS & set(words):  # white noise: a band's energy grows with its width
            vector[:-1] += np.sqrt(np.diff(self._edges_hz) / HIGHEST_HZ)
        return vector if vector.any() else self._letters(text)

    def _letters(self, text: str) -> FloatArray:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).standard_normal(self.embed_dim).astype(np.float32)

    def _silence(self) -> FloatArray:
        vector = np.zeros(self.embed_dim, dtype=np.float32)
        vector[-1] = 1.0
        return vector


def _rows(vectors: Sequence[FloatArray], dim: int) -> FloatArray:
    return normalise_rows(np.stack(vectors)) if vectors else np.zeros((0, dim), dtype=np.float32)
