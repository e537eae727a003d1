"""Altered copies of real sounds, and sounds that are nearly but not quite the same: the truth of the benchmark.

Samples are mono (S,) float32 at 48 kHz.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr

from askaudio.scenes.kinds.registry import KINDS
from askaudio.scenes.synthesised import SynthesisedSource

RATE_HZ = 48_000


def as_file(samples: np.ndarray, rate_hz: int = RATE_HZ, **settings: object) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1), rate_hz, **({"format": "WAV", "subtype": "PCM_16"} | settings))
    return buffer.getvalue()


def lossy(samples: np.ndarray, kind: str, level: float) -> bytes:
    """``level`` is the compression level of libsndfile: 0 the most bits, 1 the fewest."""
    settings = {"opus": ("OGG", "OPUS"), "vorbis": ("OGG", "VORBIS"), "mp3": ("MP3", "MPEG_LAYER_III")}[kind]
    return as_file(samples, format=settings[0], subtype=settings[1], compression_level=level)


def copies(samples: np.ndarray, rng: np.random.Generator) -> dict[str, bytes]:
    """Copies that must be found."""
    n = len(samples)
    head, tail = int(n * rng.uniform(0.1, 0.3)), int(n * rng.uniform(0.1, 0.3))
    fade = np.ones(n, np.float32)
    edge = max(1, min(n // 4, int(0.5 * RATE_HZ)))
    fade[:edge], fade[-edge:] = np.linspace(0, 1, edge), np.linspace(1, 0, edge)
    peak = max(float(np.abs(samples).max()), 1e-4)
    return {
        "same bytes": as_file(samples),
        "24 bit flac": as_file(samples, format="FLAC", subtype="PCM_24"),
        "opus low": lossy(samples, "opus", 0.95),
        "opus middle": lossy(samples, "opus", 0.8),
        "mp3 low": lossy(samples, "mp3", 0.9),
        "mp3 middle": lossy(samples, "mp3", 0.5),
        "vorbis low": lossy(samples, "vorbis", 1.0),
        "vorbis middle": lossy(samples, "vorbis", 0.6),
        "-12 dB": as_file(0.25 * samples),
        "normalised, opus": lossy(samples * (0.95 / peak), "opus", 0.8),
        "head cut": as_file(samples[head:]),
        "tail cut": as_file(samples[: n - tail]),
        "both cut, mp3": lossy(samples[head // 2 : n - tail // 2], "mp3", 0.6),
        "22 kHz": as_file(soxr.resample(samples, RATE_HZ, 22_050), 22_050),
        "44.1 kHz, vorbis": as_file(soxr.resample(samples, RATE_HZ, 44_100), 44_100, format="OGG", subtype="VORBIS"),
        "dual mono": as_file(np.stack([samples, samples], axis=1)),
        "fades": as_file(samples * fade),
    }


def near_takes(samples: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> dict[str, bytes]:
    """Sounds that share much with ``samples`` and must not be merged with it.

    Args:
        samples: The sound.
        other: Another sound, mixed into one of them.
        rng: Chooses the amounts.
    """
    n = len(samples)
    half = n // 2
    second = np.resize(other, n)
    level = np.sqrt(np.mean(samples**2) / max(np.mean(second**2), 1e-9))
    found = {
        "3 % faster": as_file(soxr.resample(samples, RATE_HZ * 1.03, RATE_HZ)),
        "3 % slower": as_file(soxr.resample(samples, RATE_HZ / 1.03, RATE_HZ)),
        "6 % faster": as_file(soxr.resample(samples, RATE_HZ * 1.06, RATE_HZ)),
        "with another sound": as_file(0.5 * (samples + level * second)),
        "halves exchanged": as_file(np.concatenate([samples[half:], samples[:half]])),
        "played three times": as_file(np.tile(samples, 3)),
        "backwards": as_file(samples[::-1]),
    }
    if n > 1.5 * RATE_HZ:  # the same beginning, another end, as announcements and loops have
        end = level * second[: n - int(0.6 * n)]
        found["another end"] = as_file(np.concatenate([samples[: int(0.6 * n)], end]))
    return found


def takes(rng: np.random.Generator, each: int) -> dict[str, list[np.ndarray]]:
    """Takes of synthesised events: every kind with fixed attributes, played again and again.

    Args:
        rng: Chooses attributes and performances.
        each: Takes of each kind.
    """
    found: dict[str, list[np.ndarray]] = {}
    for label in SynthesisedSource().labels:
        kind = KINDS[label]
        attributes = {name: str(rng.choice(values)) for name, values in kind.values.items()}
        made = [kind.make(rng, 3.0, RATE_HZ, attributes) for _ in range(each)]
        found[label] = [0.5 * one / max(float(np.abs(one).max()), 1e-4) for one in made]
    return found
