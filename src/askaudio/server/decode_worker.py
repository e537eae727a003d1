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

from askaudio.audio import reading
from askaudio.audio.decode import decode, probe, read_windows
from askaudio.audio.readers.stream import AudioStream, mean_of_channels
from askaudio.audio.stretch import decode_stretch, read_stretch, write_stretch
from askaudio.audio.windows import Window
from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import FloatArray, Json


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


_MOST_CHANNELS = 8  # that browsers play


def to_pcm(source: str, target: str, max_s: float) -> Json:
    """Decode ``source`` with all its channels and write it as a 16-bit wav at its own sample rate.

    Of a damaged recording, the part that can be decoded is written.

    Args:
        source: Path of the recording.
        target: Path of the wav file.
        max_s: A longer recording, in seconds, is refused.

    Returns:
        ``duration_s``, the length in seconds.

    Raises:
        AudioDecodeError: The file cannot be decoded or is too long.
    """
    reasons: dict[str, str] = {}
    for reader in reading.readers_for(source):
        try:
            duration_s, peak = _write_pcm(reader, source, target, max_s, 1.0)
            if peak > 1:  # a file of floats beyond full scale
                duration_s, _ = _write_pcm(reader, source, target, max_s, 1.0 / peak)
            return {"duration_s": duration_s}
        except AudioDecodeError as error:
            reasons[reader] = error.reason
    raise AudioDecodeError(source, reading.joined(reasons))


def _write_pcm(reader: str, source: str, target: str, max_s: float, gain: float) -> tuple[float, float]:
    """Write what one reader decodes; (length in seconds, peak of a file of floats)."""
    with reading.open_with(reader, source) as stream:
        channels = stream.channels if stream.channels <= _MOST_CHANNELS else 1
        frames, peak = 0, 0.0
        with soundfile.SoundFile(target, "w", stream.sample_rate_hz, channels, "PCM_16", format="WAV") as wav:
            for block in _decodable(stream):
                frames += len(block)
                if frames > max_s * stream.sample_rate_hz:
                    raise AudioDecodeError(source, f"longer than {max_s / 60:.0f} min, too long to be converted")
                samples = np.nan_to_num(block if channels > 1 else mean_of_channels(block)) * np.float32(gain)
                peak = max(peak, float(np.abs(samples).max(initial=0.0))) if stream.is_float else 0.0
                wav.write(samples.clip(-1, 1))
        if not frames:
            raise AudioDecodeError(source, "holds no samples")
        return frames / stream.sample_rate_hz, peak


def _decodable(stream: AudioStream) -> Iterator[FloatArray]:
    """The blocks up to where the recording is damaged; a recording that is damaged from its start raises."""
    begun = False
    try:
        for block in stream.blocks:
            begun = True
            yield block
    except AudioDecodeError:
        if not begun:
            raise


def stretch_to_wav(source: str, target: str, sample_rate_hz: int, start_s: float, end_s: float) -> Json:
    """Write a stretch as a mono float wav.

    Args:
        source: Path of the recording.
        target: Path of the wav file.
        sample_rate_hz: Sample rate of the wav file.
        start_s: Start in seconds.
        end_s: End in seconds.

    Raises:
        AudioDecodeError: The file cannot be decoded or ends before ``start_s``.
    """
    samples = decode_stretch(source, sample_rate_hz, start_s, end_s)
    soundfile.write(target, samples, sample_rate_hz, format="WAV", subtype="FLOAT")
    return {"duration_s": len(samples) / sample_rate_hz}


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

    def gather(windows: Iterator[Window]) -> tuple[list[float], list[float], list[float], float]:
        low: list[float] = []
        high: list[float] = []
        power: list[float] = []  # mean square of each second
        total_s = 0.0
        for window in windows:
            total_s = window.end_s
            first = round(window.start_s * steps_per_s)
            del low[first:], high[first:]  # the last window reaches back over its neighbour
            n_steps = max(1, round((window.end_s - window.start_s) * steps_per_s))
            edges = np.linspace(0, len(window.samples), n_steps, endpoint=False).astype(int)
            low += np.minimum.reduceat(window.samples, edges).tolist()
            high += np.maximum.reduceat(window.samples, edges).tolist()
            power.append(float(np.dot(window.samples, window.samples)) / len(window.samples))
        return low, high, power, total_s

    # read to the end even if ``end_s`` is before it: the level depends on the whole recording
    (low, high, power, total_s), _ = read_windows(source, info.sample_rate_hz, 1.0, 1.0, gather)
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
        "level_db": level_db(power),
        "peak": round(max(0.0, -min(low), max(high)), 4),
    }


def level_db(power: list[float]) -> float | None:
    """Level of a recording in dB below full scale, without its pauses: gated as in ITU-R BS.1770, without its filter.

    Args:
        power: Mean square of each second.

    Returns:
        None for silence.

    Example:
        >>> level_db([0.01, 0.01, 0.0])
        -20.0
    """
    loud = [value for value in power if value > 1e-7]  # -70 dB
    if not loud:
        return None
    gate = sum(loud) / len(loud) / 10  # 10 dB below the mean
    kept = [value for value in loud if value > gate]
    return round(10 * float(np.log10(sum(kept) / len(kept))), 2)


def cut(source: str, target: str, start_s: float, end_s: float) -> Json:
    """Write a part of a recording as WAV, with its rate and depth.

    Args:
        source: Path of the recording.
        target: Path of the WAV file.
        start_s: Begin of the part, in seconds.
        end_s: Its end.

    Returns:
        ``start_s`` and ``end_s`` of what was written.

    Raises:
        AudioDecodeError: The recording cannot be decoded, or ends before the part begins.
    """
    stretch = read_stretch(source, start_s, end_s)
    write_stretch(stretch, target)
    return {"start_s": stretch.start_s, "end_s": stretch.end_s}


JOBS: dict[str, Callable[..., Json]] = {
    "ready": dict, "to_wav": to_wav, "to_pcm": to_pcm, "peaks": peaks, "cut": cut, "stretch_to_wav": stretch_to_wav,
}  # fmt: skip


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
