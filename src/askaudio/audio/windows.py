"""Fixed windows over long audio, always at the same positions for the same recording.

Windows of ``window_s`` start at 0, hop, 2 hop ... as long as they fit into the recording. If samples remain after the
last of them, one more full window is added that ends with the recording and overlaps the window before. A remainder
shorter than ``REST`` of the hop adds no window, because codecs pad files by some hundredths of a second. A recording
shorter than the window is one window, as long as the recording.
Memory: one window and one block, whatever the length of the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from askaudio.core.errors import ConfigError
from askaudio.core.types import FloatArray

REST = 0.025  # share of the hop: 0.25 s for a hop of 10 s


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of a recording: ``samples`` (S,) float32 from ``start_s`` to ``end_s``."""

    start_s: float
    end_s: float
    samples: FloatArray


def fixed_windows(samples: FloatArray, sample_rate_hz: float, window_s: float, hop_s: float) -> list[Window]:
    """Cut a recording that is in memory.

    Args:
        samples: Mono waveform (S,), or frames (S, F).
        sample_rate_hz: Its rate.
        window_s: Length of a window in seconds.
        hop_s: Step between window starts in seconds, at most ``window_s`` (so that every sample is in a window).

    Returns:
        At least one window for a waveform that has samples; none for an empty one.

    Raises:
        ConfigError: ``window_s`` or ``hop_s`` is out of range.
    """
    return list(cut([samples], sample_rate_hz, window_s, hop_s))


def cut(blocks: Iterable[FloatArray], sample_rate_hz: float, window_s: float, hop_s: float) -> Iterator[Window]:
    """Cut a recording that arrives in blocks of any size; the windows do not depend on the block sizes.

    Args:
        blocks: Consecutive pieces (S_i,) of one mono waveform.
        sample_rate_hz: Their rate.
        window_s: Length of a window in seconds.
        hop_s: Step between window starts in seconds, at most ``window_s``.

    Yields:
        Windows in order of time; each owns its samples.

    Raises:
        ConfigError: ``window_s`` or ``hop_s`` is out of range.
    """
    size, hop = round(window_s * sample_rate_hz), round(hop_s * sample_rate_hz)
    if not 0 < hop <= size:
        raise ConfigError(
            f"windows of {window_s} s with a hop of {hop_s} s: expected 0 < hop <= window, so that no sound is skipped"
        )
    kept: FloatArray = np.zeros(0, dtype=np.float32)  # the samples from ``origin`` on
    # sample numbers: the first sample in ``kept``, the start of the next window, the end of the last window so far
    origin = start = covered = 0

    def window(first: int, last: int) -> Window:
        return Window(first / sample_rate_hz, last / sample_rate_hz, kept[first - origin : last - origin].copy())

    for block in blocks:
        kept = np.concatenate([kept, block]) if len(kept) else block
        end = origin + len(kept)
        while start + size <= end:
            yield window(start, start + size)
            covered, start = start + size, start + hop
        drop = min(start, max(end - size, 0)) - origin  # the last window may reach back ``size`` samples from the end
        if drop > 0:
            kept, origin = kept[drop:], origin + drop
    end = origin + len(kept)
    if covered == 0 and end > 0:
        yield window(0, end)
    elif end - covered > REST * hop:
        yield window(end - size, end)
