"""Vectors of short parts of a waveform: an encoder's own (``encode_parts``), or those of short windows.

Encoders with ``encode_parts`` compute the parts of a window together. Others encode windows of 2 s every 0.5 s, each in
a pass of its own: where the encoder pads short sounds to 10 s, that costs about 20 times as much as the recording's
usual windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from askaudio.audio.windows import fixed_windows
from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray
from askaudio.encoders.encoder import Encoder, PartEncoder

PART_S, PART_HOP_S = 2.0, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Parts of a waveform.

    Attributes:
        times: (P, 2) start and end of each part in seconds, in order of their middles.
        vectors: (P, D) float32, rows of length 1.
    """

    times: FloatArray
    vectors: FloatArray


def encode_parts(encoder: Encoder, samples: FloatArray, start_s: float = 0.0) -> Parts:
    """Encode the parts of a waveform of any length.

    Args:
        encoder: With or without ``encode_parts``.
        samples: (S,) mono waveform at the encoder's rate, S >= 1.
        start_s: Time of the first sample, in seconds.

    Raises:
        ModelError: The waveform is empty, or the encoder returned NaN or infinity.
    """
    if not len(samples):
        raise ModelError("a waveform is empty; expected at least one sample")
    if isinstance(encoder, PartEncoder):
        # equal pieces without overlap: 16 s are two pieces of 8 s
        longest = round(encoder.window_s * encoder.sample_rate_hz)
        edges = np.linspace(0, len(samples), -(-len(samples) // longest) + 1).astype(int)
        found = [encoder.encode_parts(samples[a:b]) for a, b in pairwise(edges)]
        offsets = edges[:-1] / encoder.sample_rate_hz
        times = np.concatenate([own + offset for (own, _), offset in zip(found, offsets, strict=True)])
        vectors = np.concatenate([own for _, own in found])
    else:
        times, vectors = short_windows(encoder, samples)
    if not np.isfinite(vectors).all():
        raise ModelError(f"the encoder {encoder.name} returned NaN or infinity for a part of a recording")
    order = np.argsort(times.sum(axis=1), kind="stable")
    return Parts((times[order] + start_s).astype(np.float32), vectors[order].astype(np.float32, copy=False))


def short_windows(encoder: Encoder, samples: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Times (P, 2) and vectors (P, D) of short windows of a waveform (S,), each encoded by itself."""
    part_s = min(PART_S, encoder.window_s)
    windows = fixed_windows(samples, encoder.sample_rate_hz, part_s, min(PART_HOP_S, part_s))
    vectors = encoder.encode_audio([window.samples for window in windows])
    return np.array([(window.start_s, window.end_s) for window in windows]), vectors
