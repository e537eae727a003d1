"""Random mixtures for the distillation, computed on mel energies instead of waveforms.

Energies of overlapping sounds add up, apart from interference, which no label depends on. A mixture therefore costs as
much as a crop. Teacher and student are given the same mixture, so it needs no label.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from askaudio.encoders.efficientat import FRONT_END

from .corpus import N_MELS, Corpus

MEL = FRONT_END.log_mel
# Shares of mixtures with 1, 2, 3 and 4 sounds; most sounds are used unchanged. The student is too small to overfit (its
# loss on new sounds equals that on training sounds), so realistic examples help more than varied ones.
SOURCES = (0.6, 0.22, 0.12, 0.06)

FRAMES = (320, 512, 512, 704, 992)  # lengths of a batch's mixtures, multiples of 32
FRAMES_A_BATCH = 10 * 512  # small: many steps matter more here than smooth ones


def energy(log_mel: np.ndarray) -> np.ndarray:
    """Mel energies of a normalised log-mel."""
    return np.maximum(np.exp(MEL.scale * log_mel.astype(np.float32) - MEL.shift) - MEL.floor, 0.0)


def to_log_mel(power: np.ndarray) -> np.ndarray:
    """Normalised log-mel of mel energies."""
    return (np.log(power + np.float32(MEL.floor)) + np.float32(MEL.shift)) / np.float32(MEL.scale)


def decibel(value: float | np.ndarray) -> np.ndarray:
    """Factor of an energy."""
    return np.float32(10.0) ** (np.asarray(value, np.float32) / 10)


def mixture(corpus: Corpus, weights: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """One mixture (frames, 128) float32, normalised log-mel.

    Args:
        corpus: The recordings.
        weights: Cumulative weights of its clips (n,), the last is 1.
        frames: Length.
        rng: Decides everything.
    """
    canvas = np.zeros((frames, N_MELS), np.float32)
    for number in range(1 + int(np.searchsorted(np.cumsum(SOURCES), rng.random()))):
        clip = corpus.clip(int(np.searchsorted(weights, rng.random())))
        source = changed(clip, frames, rng)
        loud = decibel(rng.uniform(-18, 6)) if number else np.float32(1)
        start = int(rng.integers(0, max(1, frames - len(source) // 2))) if rng.random() < 0.7 else 0
        part = source[: frames - start]
        canvas[start : start + len(part)] += loud * part
    if rng.random() < 0.2:
        canvas = canvas + hiss(canvas, rng)
    if rng.random() < 0.1:
        canvas = canvas * band(rng)
    return to_log_mel(canvas * decibel(rng.uniform(-18, 8)))


def random_batch(corpus: Corpus, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mixtures of one random length as a tower takes them (B, 128, T)."""
    frames = FRAMES[int(rng.integers(len(FRAMES)))]
    return np.stack([mixture(corpus, weights, frames, rng).T for _ in range(FRAMES_A_BATCH // frames)])


def changed(clip: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Energies (t <= frames, 128) of a part of one clip (T, 128) with random speed, pitch, equalisation and echo."""
    speed = np.exp(rng.uniform(-0.25, 0.25)) if rng.random() < 0.3 else 1.0
    length = min(len(clip), int(frames * speed) + 1)
    start = int(rng.integers(0, len(clip) - length + 1))
    part = clip[start : start + length].astype(np.float32)
    if speed != 1.0:
        part = part[np.minimum((np.arange(max(1, int(length / speed))) * speed).astype(int), length - 1)]
    if rng.random() < 0.3:
        part = shifted(part, rng.normal(0, 5))
    power = energy(part)
    if len(power) < frames // 3 and rng.random() < 0.4:  # repeat a short sound
        rest = np.zeros((int(rng.integers(0, 60)), N_MELS), np.float32)
        power = np.concatenate([power, rest] * int(rng.integers(2, 6)))
    if rng.random() < 0.3:
        knots = rng.normal(0, 5, 6)
        power = power * decibel(np.interp(np.arange(N_MELS), np.linspace(0, N_MELS, 6), knots))
    if rng.random() < 0.2:
        power = in_a_room(power, rng)
    return power[:frames]


def shifted(log_mel: np.ndarray, bins: float) -> np.ndarray:
    """Shift a log-mel up by ``bins`` mel bins, with linear interpolation."""
    at = np.arange(N_MELS) - bins
    low = np.clip(np.floor(at).astype(int), 0, N_MELS - 2)
    share = np.clip(at - low, 0, 1).astype(np.float32)
    out = log_mel[:, low] * (1 - share) + log_mel[:, low + 1] * share
    silence = to_log_mel(np.zeros(1, np.float32))[0]
    out[:, (at < 0) | (at > N_MELS - 1)] = silence
    return out


def in_a_room(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Energy that decays by 60 dB in 0.2 to 3 s is added to every band."""
    seconds = np.exp(rng.uniform(np.log(0.2), np.log(3)))
    decay = 10 ** (-6 / (seconds * MEL.sample_rate_hz / MEL.hop))
    tail = np.concatenate([power, np.zeros((min(150, int(seconds * 60)), N_MELS), np.float32)])
    wet = lfilter([np.float32(1 - decay)], [np.float32(1), np.float32(-decay)], tail, axis=0).astype(np.float32)
    return tail + decibel(rng.uniform(-6, 10)) * wet


def hiss(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of a random colour, 5 to 45 dB below the mixture."""
    level = canvas.mean() * decibel(-rng.uniform(5, 45))
    colour = decibel(np.interp(np.arange(N_MELS), np.linspace(0, N_MELS, 4), rng.normal(0, 6, 4)))
    return (level * colour * rng.exponential(1, canvas.shape)).astype(np.float32)


def band(rng: np.random.Generator) -> np.ndarray:
    """A band-pass like that of a codec, a telephone or a wall: (128,) factors."""
    low, high = rng.integers(0, 25), rng.integers(50, N_MELS + 1)
    keep = np.full(N_MELS, decibel(-45.0), np.float32)
    keep[low:high] = 1
    return keep
