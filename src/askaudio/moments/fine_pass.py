"""The fine pass: which stretches of a recording are examined for a query, and what is computed of them.

A hit of a search is a window of some 10 s, or several. The pass examines a short recording whole, and of a long one the
best windows with some seconds around them, up to ``longest_s`` in all. Of each stretch it computes vectors of short
parts, by the encoder, and the levels of 32 frequency bands every 50 ms, in which the exact start and end can be seen.
Neither depends on the query, so both are kept for the next one (``cache.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from askaudio.audio.logmel import LogMel
from askaudio.core.types import FloatArray
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.parts import encode_parts
from askaudio.moments.cache import PartsCache

LONGEST_S = 14.0  # of a hit in a list: what ten hits may take within half a second
MARGIN_S = 2.0  # before and after a window: a moment may begin outside of it
N_BANDS, BAND_STEP_S = 32, 0.05
Span = tuple[float, float]  # start and end in seconds


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """What is known of one stretch.

    Attributes:
        start_s: Start in seconds.
        end_s: End in seconds.
        times: (P, 2) start and end of each part in seconds, in order of their middles.
        vectors: (P, D) their vectors, rows of length 1.
        bands: (T, 32) natural logarithm of the power in each band, every ``BAND_STEP_S`` from ``start_s`` on.
    """

    start_s: float
    end_s: float
    times: FloatArray
    vectors: FloatArray
    bands: FloatArray


def stretches(windows: Sequence[Span], duration_s: float, longest_s: float = LONGEST_S) -> tuple[Span, ...]:
    """The stretches to examine.

    Args:
        windows: Start and end of the windows that answer the query, best first; at least one.
        duration_s: Length of the recording, in seconds.
        longest_s: Seconds to examine in all. The best window is examined whole, whatever its length.

    Returns:
        Disjoint stretches in order of time; at least one.
    """
    if duration_s <= longest_s:
        return ((0.0, duration_s),)
    chosen: list[Span] = []
    for start_s, end_s in windows:
        wider = _wider(start_s, end_s, duration_s)
        more = _joined([*chosen, wider])
        if chosen and sum(end - start for start, end in more) > longest_s:
            break
        chosen = more
    return tuple(chosen)


def _wider(start_s: float, end_s: float, duration_s: float) -> Span:
    """A window with its margins; what one end of the recording cuts off is added at the other side."""
    before, after = MARGIN_S - start_s, end_s + MARGIN_S - duration_s  # above 0: cut off
    first, last = start_s - MARGIN_S - max(0.0, after), end_s + MARGIN_S + max(0.0, before)
    return max(0.0, first), min(duration_s, last)


def examine(
    encoder: Encoder,
    decode: Callable[[Span], FloatArray],
    spans: Sequence[Span],
    content_hash: str = "",
    cache: PartsCache | None = None,
) -> list[Stretch]:
    """Decode and encode some stretches of a recording.

    Args:
        encoder: The encoder.
        decode: Start and end in seconds -> mono waveform (S,) at the encoder's rate.
        spans: Disjoint stretches, in order of time.
        content_hash: Hash of the bytes of the file; empty when unknown, then nothing is cached.
        cache: Where results are kept.

    Raises:
        AudioDecodeError: The recording cannot be decoded or is shorter than a stretch.
        ModelError: The encoder fails.
    """
    return [_examine_one(encoder, decode, span, content_hash, cache) for span in spans]


def _examine_one(
    encoder: Encoder, decode: Callable[[Span], FloatArray], span: Span, content_hash: str, cache: PartsCache | None
) -> Stretch:
    key = cache.key(content_hash, encoder.fingerprint, span) if cache and content_hash else ""
    shapes = {"times": (None, 2), "vectors": (None, encoder.embed_dim), "bands": (None, N_BANDS)}
    if cache and key and (kept := cache.get(key, shapes)) and len(kept["times"]) == len(kept["vectors"]):
        return Stretch(*span, kept["times"], kept["vectors"], kept["bands"])
    samples = decode(span)
    parts = encode_parts(encoder, samples, span[0])
    found = Stretch(*span, parts.times, parts.vectors, band_levels(samples, encoder.sample_rate_hz))
    if cache and key:
        cache.put(key, {"times": found.times, "vectors": found.vectors, "bands": found.bands})
    return found


def band_levels(samples: FloatArray, sample_rate_hz: int) -> FloatArray:
    """Levels of 32 mel bands every 50 ms.

    Args:
        samples: (S,) mono waveform.
        sample_rate_hz: Its rate.

    Returns:
        (T, 32) float32, T = S / rate / 0.05 rounded up.
    """
    hop = max(1, round(sample_rate_hz * BAND_STEP_S / 5))
    n_fft = 1 << (3 * hop - 1).bit_length()
    log_mel = LogMel(
        sample_rate_hz=sample_rate_hz, n_mels=N_BANDS, n_fft=n_fft, window=min(n_fft, 5 * hop // 2), hop=hop,
        f_max_hz=min(15_000.0, sample_rate_hz / 2), shift=0.0, scale=1.0,
    )  # fmt: skip
    frames = log_mel(samples).T  # (5 T, 32)
    padded = np.pad(frames, ((0, -len(frames) % 5), (0, 0)), mode="edge")
    return padded.reshape(-1, 5, N_BANDS).mean(axis=1).astype(np.float32)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order of time, those that touch as one."""
    joined: list[Span] = []
    for start_s, end_s in sorted(spans):
        if joined and start_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined
