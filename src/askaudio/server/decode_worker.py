"""The worker process that decodes untrusted audio files: it may hang, crash or run out of memory without harm.

Started by ``server.decoder``. It reads one JSON job per line from standard input and writes one JSON answer per line to
standard output, until the input ends. Its memory is limited to the number of bytes in its first argument.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soundfile

from askaudio.audio.decode import decode, probe, read_windows
from askaudio.audio.windows import Window
from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import Json


def to_wav(source: str, target: str, sample_rate_hz: int, max_s: float) -> Json:
    """Decode ``source`` and write it as a mono float wav, so that the engine never reads an uploaded file itself.

    Args:
        source: Path of the uploaded file.
        target: Path of the wav file.
        sample_rate_hz: Sample rate of the wav file.
        max_s: A longer recording, in seconds, is refused.

    Returns:
        ``duration_s``, the length in seconds.

    Raises:
        AudioDecodeError: The file cannot be decoded or is too long.
    """
    announced = probe(source).duration_s
    if announced is not None and announced > max_s:
        raise AudioDecodeError(source, f"{announced:.0f} s long; at most {max_s:.0f} s can be searched by")
    samples = decode(source, sample_rate_hz)  # (S,)
    duration_s = len(samples) / sample_rate_hz
    if duration_s > max_s:
        raise AudioDecodeError(source, f"{duration_s:.0f} s long; at most {max_s:.0f} s can be searched by")
    soundfile.write(target, samples, sample_rate_hz, format="WAV", subtype="FLOAT")
    return {"duration_s": duration_s}


def peaks(source: str, n_points: int, start_s: float, end_s: float | None) -> Json:
    """Lowest and highest sample of ``n_points`` equal stretches between two times, as integers in [-127, 127].

    One pass in bounded memory: extremes of short steps are gathered first and joined to ``n_points`` at the end.

    Args:
        source: Path of the recording.
        n_points: Number of stretches.
        start_s: Start of the first stretch, in seconds.
        end_s: End of the last stretch, in seconds; None is the end of the recording.

    Raises:
        AudioDecodeError: The file cannot be decoded or ends before ``start_s``.
    """
    info = probe(source)
    steps_per_s = min(info.sample_rate_hz, max(200, round(4000 / max(info.duration_s or 60.0, 0.01))))

    def gather(windows: Iterator[Window]) -> tuple[list[float], list[float], float]:
        low: list[float] = []
        high: list[float] = []
        total_s = 0.0
        for window in windows:
            total_s = window.end_s
            first = round(window.start_s * steps_per_s)
            del low[first:], high[first:]  # the last window reaches back over its neighbour
            n_steps = max(1, round((window.end_s - window.start_s) * steps_per_s))
            edges = np.linspace(0, len(window.samples), n_steps, endpoint=False).astype(int)
            low += np.minimum.reduceat(window.samples, edges).tolist()
            high += np.maximum.reduceat(window.samples, edges).tolist()
        return low, high, total_s

    # read to the end even if ``end_s`` is before it: the level depends on the whole recording
    (low, high, total_s), _ = read_windows(source, info.sample_rate_hz, 1.0, 1.0, gather)
    begin, end = max(0.0, start_s), total_s if end_s is None else min(end_s, total_s)
    stretch = slice(int(begin * steps_per_s), max(int(begin * steps_per_s) + 1, int(end * steps_per_s)))
    lows, highs = np.array(low[stretch]), np.array(high[stretch])
    if not len(lows):
        raise AudioDecodeError(source, f"it ends at {total_s:.1f} s, before {begin:.1f} s")
    edges = np.linspace(0, len(lows), min(n_points, len(lows)), endpoint=False).astype(int)
    return {
        "duration_s": total_s,
        "start_s": begin,
        "end_s": end,
        "low": np.rint(np.minimum.reduceat(lows, edges) * 127).astype(int).tolist(),
        "high": np.rint(np.maximum.reduceat(highs, edges) * 127).astype(int).tolist(),
    }


JOBS: dict[str, Callable[..., Json]] = {"ready": dict, "to_wav": to_wav, "peaks": peaks}


def answer(job: Json) -> Json:
    """Do one job; errors are returned as ``{"error": reason}``, never raised."""
    try:
        return JOBS[job.pop("job")](**job)
    except AudioDecodeError as error:
        return {"error": error.reason}
    except MemoryError:
        return {"error": "it unpacks to more than the memory that one sound may take"}
    except Exception as error:  # the process serves many files, so it reports the error and continues
        return {"error": f"the decoder failed ({type(error).__name__})"}


def _limit_memory(n_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: the time limit and the size limits remain
        return
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def main(argv: list[str]) -> int:
    """Serve jobs until standard input ends."""
    _limit_memory(int(argv[1]))
    replies: Any = sys.stdout
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line))) + "\n")
        replies.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
