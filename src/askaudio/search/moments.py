"""Moments of stored recordings: the fine pass over the places where a search found them."""

from __future__ import annotations

import os
from collections.abc import Callable

from askaudio.audio.stretch import decode_stretch
from askaudio.core.types import FloatArray
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.recording import READ_ERRORS, reason_of
from askaudio.index.bookkeeping import Bookkeeping, public_metadata
from askaudio.moments.cache import PartsCache
from askaudio.moments.find import find_moments, parameters_of
from askaudio.moments.fine_pass import Span, examine, stretches
from askaudio.moments.moment import ClipMoments, Curve
from askaudio.search.hits import ClipInfo
from askaudio.search.ranking import Candidate

# (clip, sample rate in Hz, start and end in seconds) -> mono waveform (S,); the server decodes in another process
ClipReader = Callable[[ClipInfo, int, Span], FloatArray]


def read_clip(clip: ClipInfo, sample_rate_hz: int, span: Span) -> FloatArray:
    """A stretch of a stored recording, decoded in this process.

    Args:
        clip: The recording.
        sample_rate_hz: Sample rate of the result.
        span: Start and end in seconds.

    Raises:
        AudioDecodeError: The file cannot be decoded, or is shorter.
    """
    return decode_stretch(clip.path, sample_rate_hz, *span)


def moments_of(
    candidate: Candidate,
    query: FloatArray,
    encoder: Encoder,
    *,
    longest_s: float,
    read: ClipReader = read_clip,
    cache: PartsCache | None = None,
    usual: FloatArray | None = None,
) -> ClipMoments:
    """The moments of one recording.

    Args:
        candidate: The recording with its windows, best first.
        query: (D,), length 1.
        encoder: The encoder of the collection.
        longest_s: Seconds to examine in all.
        read: Decodes a stretch.
        cache: Where vectors are kept.
        usual: (M, D) some vectors of the collection.

    Returns:
        Moments, best first. A recording that cannot be read has none; ``reason`` says why.
    """
    book = Bookkeeping.of(candidate.metadata)
    clip = ClipInfo(candidate.clip_id, candidate.best.path, 0, public_metadata(candidate.metadata), book.stamp)
    windows = [(match.start_s, match.end_s) for match in candidate.windows]
    duration_s = float(clip.metadata.get("duration_s") or max(end for _, end in windows))
    spans = stretches(windows, duration_s, longest_s)
    key = book.content_hash if _is_unchanged(clip) else ""
    try:
        examined = examine(encoder, lambda span: read(clip, encoder.sample_rate_hz, span), spans, key, cache)
    except READ_ERRORS as error:
        return ClipMoments(clip.clip_id, clip.path, (), Curve.empty(), (), reason_of(error))
    moments, curve = find_moments(examined, query, parameters_of(encoder.name), usual)
    return ClipMoments(clip.clip_id, clip.path, moments, curve, spans)


def _is_unchanged(clip: ClipInfo) -> bool:
    """Whether the file is still the one that was indexed."""
    try:
        status = os.stat(clip.path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return False
    return clip.stamp is not None and (clip.stamp.size_bytes, clip.stamp.modified_ns) == (
        status.st_size,
        status.st_mtime_ns,
    )
