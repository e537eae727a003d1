"""Mel spectrograms in numpy with the settings of published front ends: Whisper, AST, CED, Dasheng.

``LogMel`` is the front end of EfficientAT, ``SlaneyMel`` that of CLAP and PANNs. Their numbers are fixed, so they stay
separate classes. This class covers what else the published front ends differ in. Arithmetic is in float64 up to the
last step. Cost: 15 ms of one core for 10 s at 16 kHz.
"""

from __future__ import annotations

import functools
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from askaudio.audio.slaney_mel import to_hz as slaney_to_hz
from askaudio.audio.slaney_mel import to_mel as slaney_to_mel
from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray, Json

_FRAMES_AT_ONCE = 64
Log = Literal["ln", "log10", "db"]
_FACTOR = {"ln": 1.0, "log10": 1.0 / np.log(10.0), "db": 10.0 / np.log(10.0)}


@dataclass(frozen=True, slots=True)
class MelSpectrogram:
    """Mel spectrogram settings; called with samples (S,) it returns (F, T) float32.

    The result is ``(log(max(mel, floor)) + shift) / scale``.

    Attributes:
        sample_rate_hz: Rate of the samples.
        n_mels: F.
        n_fft: Length of the Fourier transform.
        window: Samples in a frame's Hann window.
        hop: Samples between frames.
        f_min_hz: Lower edge of the first triangle.
        f_max_hz: Upper edge of the last triangle.
        periodic: The Hann window is periodic, else symmetric.
        centred: Frames are centred with reflected edges, else the first frame begins with the sound.
        mel: Mel scale: ``"htk"`` (2595 log10(1 + f / 700), which Kaldi uses too) or ``"slaney"``.
        straight_in: Axis on which the sides of the triangles are straight: ``"hz"``, or ``"mel"`` as in Kaldi.
        unit_area: Triangles have area 1 in Hz, else height 1.
        remove_mean: Subtract the mean of each frame.
        preemphasis: Factor a of y[n] = x[n] - a x[n - 1] within a frame; 0 for none.
        log: Natural logarithm, decimal logarithm, or decibels (10 log10).
        floor: Smallest mel energy; lower ones are raised to it.
        depth: Values further than this below the largest one are raised; 0 for none.
        drop_last: Leave the last frame out.
        frames: Fixed number of frames: longer sounds are cut, shorter ones get rows of 0 before shift and scale; 0: as
            many as the sound has.
        shift: Added after the log.
        scale: Divided by at the end.
    """

    sample_rate_hz: int = 16000
    n_mels: int = 64
    _: KW_ONLY
    n_fft: int = 512
    window: int = 512
    hop: int = 160
    f_min_hz: float = 0.0
    f_max_hz: float = 8000.0
    periodic: bool = True
    centred: bool = True
    mel: Literal["htk", "slaney"] = "htk"
    straight_in: Literal["hz", "mel"] = "hz"
    unit_area: bool = False
    remove_mean: bool = False
    preemphasis: float = 0.0
    log: Log = "db"
    floor: float = 1e-10
    depth: float = 0.0
    drop_last: bool = False
    frames: int = 0
    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Spectrogram (F, T) of a mono waveform (S,); one too short for a frame gets zeros appended."""
        x = np.asarray(samples, dtype=np.float64)
        least = self.n_fft // 2 + 1 if self.centred else self.window
        if len(x) < least:
            x = np.pad(x, (0, least - len(x)))
        if self.centred:
            x = np.pad(x, self.n_fft // 2, mode="reflect")
        values = _FACTOR[self.log] * np.log(np.maximum(self._energies(x), self.floor))  # (T, F)
        if self.drop_last:
            values = values[:-1]
        if self.depth:
            values = np.maximum(values, values.max() - self.depth)
        if self.frames:
            values = np.pad(values[: self.frames], ((0, max(0, self.frames - len(values))), (0, 0)))
        return np.ascontiguousarray(((values + self.shift) / self.scale).T, dtype=np.float32)

    def _energies(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Mel energies (T, F) of padded samples."""
        lead = (self.n_fft - self.window) // 2 if self.centred else 0  # the window is in the middle of the transform
        frames = np.lib.stride_tricks.sliding_window_view(x[lead : len(x) - lead], self.window)[:: self.hop]
        hann = np.hanning(self.window + 1)[:-1] if self.periodic else np.hanning(self.window)
        triangles = _triangles(self)
        out = np.empty((len(frames), self.n_mels))
        for first in range(0, len(frames), _FRAMES_AT_ONCE):
            some = frames[first : first + _FRAMES_AT_ONCE]
            if self.remove_mean:
                some = some - some.mean(1, keepdims=True)
            if self.preemphasis:
                some = some - self.preemphasis * np.concatenate([some[:, :1], some[:, :-1]], axis=1)
            spectrum = np.fft.rfft(some * hann, n=self.n_fft, axis=1)  # a shorter frame is padded at its end
            out[first : first + _FRAMES_AT_ONCE] = (spectrum.real**2 + spectrum.imag**2) @ triangles
        return out

    def to_json(self) -> Json:
        """Settings as a JSON object; ``kind`` distinguishes them from those of other front ends."""
        return {"kind": "mel", **asdict(self)}

    @classmethod
    def from_json(cls, value: Json) -> MelSpectrogram:
        """Settings from ``to_json``'s object.

        Raises:
            ModelError: A field that this version does not know.
        """
        try:
            return cls(**{key: item for key, item in value.items() if key != "kind"})
        except TypeError as error:
            raise ModelError(f"unknown mel settings {value!r} ({error}); update askaudio") from error


@functools.lru_cache(maxsize=8)
def _triangles(settings: MelSpectrogram) -> npt.NDArray[np.float64]:
    """Filters (n_fft // 2 + 1, F)."""
    to_mel, to_hz = (_htk_mel, _htk_hz) if settings.mel == "htk" else (slaney_to_mel, slaney_to_hz)
    edges = np.linspace(to_mel(settings.f_min_hz), to_mel(settings.f_max_hz), settings.n_mels + 2)
    edges_hz = to_hz(edges)
    bins: npt.NDArray[np.float64] = np.linspace(0, settings.sample_rate_hz / 2, settings.n_fft // 2 + 1)
    if settings.straight_in == "mel":
        bins = np.array([to_mel(float(hz)) for hz in bins])
    else:
        edges = edges_hz
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    sides = np.minimum((bins[:, None] - left) / (centre - left), (right - bins[:, None]) / (right - centre))
    filters = np.maximum(0.0, sides)
    return filters * (2.0 / (edges_hz[2:] - edges_hz[:-2])) if settings.unit_area else filters


def _htk_mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _htk_hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
