"""Audio fingerprints that are robust to mp3, opus, gain, resampling and cutting.

A clip becomes one 32-bit word every 16 ms. Each bit says whether the energy difference of two neighbouring bands grew
or shrank over 64 ms. ``same_sound.py`` compares the words of clips.

Cost: about 400 times real time on one core, decoding of opus included, and 500 bytes a second of sound.

Source: J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002, sections 4 and 5.
Differs: bands up to 5.5 kHz instead of 2 kHz (sounds, not music), logarithmic energies with a floor (quiet noise is
not kept by codecs), differences over 64 ms, and a threshold that grows stricter for short overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from askaudio.audio.decode import decode
from askaudio.core.errors import AudioDecodeError
from askaudio.core.files import sha256_file
from askaudio.core.types import FloatArray, Progress, silent
from askaudio.data.cache import FeatureCache

Words = npt.NDArray[np.uint32]

RATE_HZ = 12_000
FRAME = 4096  # samples: 341 ms
HOP = 192  # samples: 16 ms
HOP_S = HOP / RATE_HZ
LAG = 4  # frames between which energies are compared
N_BANDS = 33
LOW_HZ, HIGH_HZ = 200.0, 5500.0
FLOOR = 1e-3  # share of the largest energy that is added to all, so that quiet noise has no bits
WEAK = 4  # least certain bits of a word, which the search also flips
NO_WORD = 0  # word of a frame without information (silence)
SETTINGS = {"fingerprint": 1, "rate": RATE_HZ, "frame": FRAME, "hop": HOP, "lag": LAG, "bands": N_BANDS, "weak": WEAK}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Words of one clip and the least certain bits of each.

    Args:
        words: (T,) uint32, one a hop; ``NO_WORD`` in silence.
        weak: (T, WEAK) uint8, positions of the least certain bits, the least certain first.
    """

    words: Words
    weak: npt.NDArray[np.uint8]


def _edges() -> npt.NDArray[np.int64]:
    """First spectrum bin of each band, and the end: (N_BANDS + 1,)."""
    bins = np.geomspace(LOW_HZ, HIGH_HZ, N_BANDS + 1) / (RATE_HZ / FRAME)
    return np.round(bins).astype(np.int64)


def log_energies(samples: FloatArray) -> FloatArray:
    """(S,) at RATE_HZ -> (T, N_BANDS) natural logarithm of band energies, floored."""
    padded = np.pad(samples, FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]  # (T, FRAME)
    window = np.hanning(FRAME).astype(np.float32)
    edges = _edges()
    energies = np.empty((len(frames), N_BANDS), dtype=np.float32)
    for start in range(0, len(frames), 256):
        spectrum = np.fft.rfft(frames[start : start + 256] * window)  # (<=256, FRAME // 2 + 1)
        power = spectrum.real**2 + spectrum.imag**2
        energies[start : start + 256] = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return np.log(energies + FLOOR * energies.max() + 1e-12)


def fingerprint_of(samples: FloatArray) -> Fingerprint:
    """Fingerprint of a waveform.

    Args:
        samples: (S,) float32 mono at ``RATE_HZ``.

    Returns:
        Its words: T = S / HOP + 1 - LAG, none for a clip under 64 ms.
    """
    return fingerprint_from(log_energies(samples))


def fingerprint_from(log_energy: FloatArray) -> Fingerprint:
    """Fingerprint of band energies.

    Args:
        log_energy: (T + LAG, N_BANDS), from ``log_energies``.
    """
    across = log_energy[:, :-1] - log_energy[:, 1:]  # (T + LAG, 32)
    change = across[LAG:] - across[:-LAG]  # (T, 32)
    bits = change > 0
    words = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    words[np.abs(change).max(axis=1, initial=0) < 1e-3] = NO_WORD
    return Fingerprint(words, np.argsort(np.abs(change), axis=1, kind="stable")[:, :WEAK].astype(np.uint8))


def make_fingerprints(
    paths: Sequence[Path | str], cache: Path | str | None = None, progress: Progress = silent
) -> list[Fingerprint | None]:
    """Fingerprints of audio files, cached on disk by the hash of their bytes.

    Args:
        paths: The files.
        cache: Folder of all feature caches; None to keep none.
        progress: Called after every file.

    Returns:
        One fingerprint a path; None for a file that cannot be decoded.
    """

    def compute(positions: list[int]) -> list[npt.NDArray[np.uint32]]:
        return list(pool.map(lambda k: _packed(paths[k]), positions))

    with ThreadPoolExecutor() as pool:  # decoding and FFT release the interpreter's lock
        if cache is None:
            packed = []
            for k, one in enumerate(pool.map(_packed, paths), start=1):
                packed.append(one)
                progress(k, len(paths), "fingerprinting")
        else:
            keys = list(pool.map(_content_key, paths))
            packed = FeatureCache(cache, SETTINGS).collect(keys, compute, progress=progress)
    return [_unpacked(one) for one in packed]


def _content_key(path: Path | str) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return f"unreadable {path}"


def _packed(path: Path | str) -> npt.NDArray[np.uint32]:
    """Row 0: the words; row 1: the weak bits, a byte each. Shape (1, 0) for a file that cannot be decoded."""
    try:
        fingerprint = fingerprint_of(decode(path, RATE_HZ))
    except AudioDecodeError:
        return np.zeros((1, 0), dtype=np.uint32)
    return np.stack([fingerprint.words, np.ascontiguousarray(fingerprint.weak).view(np.uint32)[:, 0]])


def _unpacked(packed: npt.NDArray[np.uint32]) -> Fingerprint | None:
    if len(packed) < 2:
        return None
    return Fingerprint(packed[0], np.ascontiguousarray(packed[1]).view(np.uint8).reshape(-1, WEAK))
