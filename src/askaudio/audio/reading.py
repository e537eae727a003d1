"""How a recording is read: choice of the reader, peak scaling, channel choice, and what was noticed on the way.

These choices depend on the whole recording, but most recordings need none of them. So a recording is read once with
the usual choices while its peak and its channels are measured. Where the measurement contradicts a choice, or a reader
fails in the middle, the recording is read again from the start with the corrected choice. The caller therefore passes
a function that takes the blocks, and that function may be called more than once.

The rules, in this order:

- Reader: the first of libsndfile, PyAV and ffmpeg that reads the file to the end. If none does, the one that decodes
  most (by more than 1 % and 0.25 s, else the earlier one), and the recording is marked as damaged.
- Channels: their mean. If they cancel (the mean is 20 dB below the channels, over the whole recording), the channel
  with most energy.
- Level: samples beyond full scale in formats that store floats scale the recording by its peak. Decoders of lossy
  formats overshoot a little; their samples are clipped at 1.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import soxr

from askaudio.audio.readers import chain
from askaudio.audio.readers.stream import AudioStream, mean_of_channels
from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import FloatArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Decoded sound: ``samples`` (S,) mono or (C, S), float in [-1, 1], at ``sample_rate_hz``."""

    samples: npt.NDArray[Any]
    sample_rate_hz: int


Source = Path | str | bytes | Waveform

LONGEST_S = 24 * 3600.0  # a longer recording is refused: a short text or a crafted file can stand for days of sound
LARGEST_PEAK = 2.0**33  # floats in the scale of 32-bit integers are sound; beyond that a sample is broken
CANCELS = 0.01  # energy of the mean against that of the channels: -20 dB
_SHORT_S, _SHORT_SHARE = 0.25, 0.01  # tolerance between promised and decoded lengths: codecs pad
_EMPTY = "holds no samples"
_RATES_HZ = range(1000, 1_000_001)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a recording was read.

    Attributes:
        reader: ``"libsndfile"``, ``"PyAV"``, ``"ffmpeg"`` or ``"waveform"``.
        decoded_s: Length of what was decoded, in seconds.
        notes: What a user should know, one sentence each; empty for an ordinary recording.
        damaged: No reader could read all of it; the first note says where and why it ends.
    """

    reader: str
    decoded_s: float
    notes: tuple[str, ...] = ()
    damaged: bool = False


class Tap(Protocol):
    """Takes the samples of a recording while it is read, for measurements that need no second decoding."""

    def start(self, sample_rate_hz: int, channels: int) -> None:
        """A reading begins. It may begin again: only what follows the last start counts."""

    def take(self, block: FloatArray, mono: FloatArray) -> None:
        """Consecutive samples at the file's rate: (S, C) as they are in the file, and (S,) of the channels taken."""


@dataclass(frozen=True, slots=True)
class _Request:
    source: Source
    sample_rate_hz: int
    longest_s: float | None = None
    most_s: float = LONGEST_S
    tap: Tap | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    reader: str
    channel: int | None = None  # None: the mean of all
    peak: float = 1.0  # samples are divided by it
    keep_part: bool = False  # end quietly where the reader fails
    promised_s: float = 0.0  # length by a header that an earlier reader knew


class _Replan(Exception):
    """No error: the recording is read again with this plan."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan


class _Failure(AudioDecodeError):
    """One reader could not read all of it.

    Args:
        one: The pass that failed.
        reason: Why.
        promised_s: Length that the header promises; 0 where it does not say.
        short: Nothing is broken, but less than ``promised_s`` was decoded.
    """

    def __init__(self, one: _Pass, reason: str, promised_s: float = 0.0, short: bool = False) -> None:
        super().__init__(name_of(one.request.source), reason)
        self.reader, self.decoded_s = one.plan.reader, one.decoded_s
        self.promised_s, self.short = promised_s, short


def read(
    source: Source,
    sample_rate_hz: int,
    use: Callable[[Iterator[FloatArray]], T],
    longest_s: float | None = None,
    most_s: float = LONGEST_S,
    partial: bool = False,
    tap: Tap | None = None,
) -> tuple[T, Reading]:
    """Read a recording as mono blocks at one sample rate.

    Args:
        source: Path of a file, the bytes of one, or a ``Waveform``.
        sample_rate_hz: Sample rate of the blocks.
        use: Called with the blocks (S_i,) float32 in [-1, 1]. It is called again, from the first sample, when the
            recording turns out to need another reader, channel or level; the result of the last call counts.
        longest_s: Number of seconds to read from the start; None reads the whole recording.
        most_s: A recording longer than this many seconds is refused.
        partial: For a damaged recording, use the part that can be decoded instead of raising.
        tap: Also takes the samples, before they are resampled.

    Returns:
        The result of ``use``, and how the recording was read.

    Raises:
        AudioDecodeError: Missing, empty, broken, not audio, no samples, NaN or infinite samples, or too long.
    """
    result, _, reading = _read(_Request(source, sample_rate_hz, longest_s, most_s, tap), use, partial)
    return result, reading


def settled(source: Source, sample_rate_hz: int, longest_s: float | None = None) -> Iterator[FloatArray]:
    """The blocks of ``read`` as an iterator, at the price of a second decoding.

    Args:
        source: Path of a file, the bytes of one, or a ``Waveform``.
        sample_rate_hz: Sample rate of the blocks.
        longest_s: Number of seconds to read from the start; None reads the whole recording.

    Raises:
        AudioDecodeError: As for ``read``.
    """

    def run_through(blocks: Iterator[FloatArray]) -> None:
        deque(blocks, maxlen=0)

    request = _Request(source, sample_rate_hz, longest_s)
    _, plan, _ = _read(request, run_through, partial=False)
    return _Pass(request, plan).blocks()


def _read(request: _Request, use: Callable[[Iterator[FloatArray]], T], partial: bool) -> tuple[T, _Plan, Reading]:
    name = name_of(request.source)
    check_source(request.source, name)
    failures: list[_Failure] = []
    for reader in readers_for(request.source):
        try:
            promised_s = max((one.promised_s for one in failures), default=0.0)
            plan = _Plan(reader, promised_s=promised_s)
            return _settle(request, use, plan)
        except _Failure as failure:
            failures.append(failure)
    best = failures[0]
    for other in failures[1:]:
        tolerance_s = best.decoded_s * _SHORT_SHARE + _SHORT_S if best.decoded_s else 0.0
        if other.decoded_s > best.decoded_s + tolerance_s:
            best = other
    if not best.decoded_s:
        raise AudioDecodeError(name, joined({one.reader: one.reason for one in failures}))
    where = f"after {best.decoded_s:.1f} s: {best.reason}"
    if not partial and not best.short:
        raise AudioDecodeError(name, f"damaged {where}")
    plan = _Plan(best.reader, keep_part=True)
    result, plan, reading = _settle(request, use, plan)
    note = f"ends {where}" if best.short else f"damaged {where}"
    return result, plan, replace(reading, notes=(note, *reading.notes), damaged=not best.short)


def readers_for(source: Source) -> list[str]:
    """Names of the readers to try for a source, in order."""
    return ["waveform"] if isinstance(source, Waveform) else list(chain.readers())


def joined(reasons: dict[str, str]) -> str:
    """One text from the reasons of all readers; where only libsndfile is installed, with what reads more formats."""
    different = set(reasons.values())
    if len(different) > 1:
        return "; ".join(f"{reader}: {reason}" for reader, reason in reasons.items())
    reason = different.pop()
    return reason if list(reasons) != ["libsndfile"] or reason == _EMPTY else f"{reason} ({chain.NEEDS_CODEC})"


def _settle(request: _Request, use: Callable[[Iterator[FloatArray]], T], plan: _Plan) -> tuple[T, _Plan, Reading]:
    """Read with one reader until its plan agrees with the measurement: at most three times."""
    while True:
        one = _Pass(request, plan)
        try:
            result = use(one.blocks())
        except _Replan as better:
            plan = better.plan
            continue
        return result, plan, Reading(plan.reader, one.decoded_s, tuple(one.notes))


@dataclass(slots=True)
class _Pass:
    """One reading of a recording from start to end, with its measurements."""

    request: _Request
    plan: _Plan
    notes: list[str] = field(default_factory=list)
    decoded_s: float = 0.0
    broken: bool = False
    _peak: float = 0.0
    _energies: npt.NDArray[np.float64] | None = None  # (C + 1,) float64: of each channel, and of their mean

    def blocks(self) -> Iterator[FloatArray]:
        """Blocks (S_i,) at the target rate; at least one sample in all."""
        left = None if self.request.longest_s is None else round(self.request.longest_s * self.request.sample_rate_hz)
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(open_with(self.plan.reader, self.request.source))
            except AudioDecodeError as error:
                raise _Failure(self, error.reason) from error
            if self.request.tap is not None:
                self.request.tap.start(stream.sample_rate_hz, stream.channels)
            for block in self._resampled(stream):
                yield block if left is None else block[:left]
                left = None if left is None else left - len(block)
                if left is not None and left <= 0:
                    break
            self._judge(stream)

    def _resampled(self, stream: AudioStream) -> Iterator[FloatArray]:
        """The rule for the last samples is soxr's; a recording too short for the resampler gives its first sample."""
        same = stream.sample_rate_hz == self.request.sample_rate_hz
        resampler = (
            None if same else soxr.ResampleStream(stream.sample_rate_hz, self.request.sample_rate_hz, 1, "float32")
        )
        produced, first = 0, np.zeros(0, dtype=np.float32)
        for mono in self._mono(stream):
            first = first if len(first) else mono[:1].copy()
            out = mono if resampler is None else resampler.resample_chunk(mono)
            if len(out):
                produced += len(out)
                yield np.clip(out, -1.0, 1.0)  # band-limiting overshoots at edges
        if resampler is not None and len(first):
            out = resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            if len(out) or not produced:
                yield np.clip(out, -1.0, 1.0) if len(out) else first

    def _mono(self, stream: AudioStream) -> Iterator[FloatArray]:
        """Mono blocks at the file's rate, until the peak turns out to exceed full scale."""
        for block in self._raw(stream):
            mono = mean_of_channels(block) if self.plan.channel is None else block[:, self.plan.channel].copy()
            if not np.isfinite(mono).all():
                raise AudioDecodeError(
                    name_of(self.request.source), "contains samples that are NaN or infinite; write the file again"
                )
            self._measure(block, mono)
            if self.request.tap is not None:
                self.request.tap.take(block, mono)
            if self.plan.peak > 1:
                mono /= np.float32(self.plan.peak)
            elif stream.is_float:
                self._peak = max(self._peak, float(np.abs(mono).max(initial=0.0)))
                if self._peak > 1:  # these samples are of no use: only the rest of the measurement is
                    continue
            yield np.clip(mono, -1.0, 1.0, out=mono)

    def _raw(self, stream: AudioStream) -> Iterator[FloatArray]:
        """Blocks of the reader with its failures made comparable; the decoded length is counted."""
        frames = 0
        while (block := self._next(stream)) is not None:
            frames += len(block)
            self.decoded_s = frames / stream.sample_rate_hz
            if self.decoded_s > self.request.most_s:
                reason = f"longer than {self.request.most_s / 3600:g} h, the limit for one file"
                raise AudioDecodeError(name_of(self.request.source), reason)
            yield block
        if not frames and stream.frames == 0:  # its header is right, and no other reader finds sound in it
            raise AudioDecodeError(name_of(self.request.source), _EMPTY)
        if not frames:
            raise _Failure(self, _EMPTY)
        promised_s = self._promised_s(stream)
        if not self.broken and promised_s > self.decoded_s * (1 + _SHORT_SHARE) + _SHORT_S:
            self._fail(stream, f"the header promises {promised_s:.1f} s", short=True)

    def _promised_s(self, stream: AudioStream) -> float:
        return max(self.plan.promised_s, (stream.frames or 0) / stream.sample_rate_hz)

    def _next(self, stream: AudioStream) -> FloatArray | None:
        try:
            return next(stream.blocks, None)
        except AudioDecodeError as error:
            self.broken = True
            self._fail(stream, error.reason)
            return None

    def _fail(self, stream: AudioStream, reason: str, short: bool = False) -> None:
        if not self.plan.keep_part:
            raise _Failure(self, reason, self._promised_s(stream), short)

    def _measure(self, block: FloatArray, mono: FloatArray) -> None:
        if block.shape[1] == 1 or self.plan.channel is not None:
            return
        energies = np.array([np.dot(column, column) for column in (*block.T, mono)], dtype=np.float64)
        self._energies = energies if self._energies is None else self._energies + energies

    def _judge(self, stream: AudioStream) -> None:
        """Compare the measurement with the plan; raise a better plan, or note what the plan does."""
        if self._energies is not None:
            channels, mean = self._energies[:-1], self._energies[-1]
            # the mean of C independent channels has 1/C of their mean energy; the limit for stereo is 20 dB
            if channels.sum() > 0 and mean < 2 * CANCELS * channels.sum() / len(channels) ** 2:
                raise _Replan(replace(self.plan, channel=int(channels.argmax()), peak=1.0))
        if self._peak > LARGEST_PEAK:
            raise AudioDecodeError(
                name_of(self.request.source), f"holds a sample of {self._peak:.3g}, which is not sound"
            )
        if self._peak > 1:
            raise _Replan(replace(self.plan, peak=self._peak))
        self.notes += stream.notes
        if self.plan.channel is not None:
            self.notes.append(f"its channels cancel each other; channel {self.plan.channel + 1} was taken")
        if self.plan.peak > 1:
            self.notes.append(f"its samples reach {self.plan.peak:.4g} of full scale; scaled by that peak")


@contextlib.contextmanager
def open_with(reader: str, source: Source) -> Iterator[AudioStream]:
    """Open a source with one reader, by name.

    Raises:
        AudioDecodeError: The reader refuses it, or its sample rate is out of range.
    """
    name = name_of(source)
    with contextlib.ExitStack() as stack:
        if isinstance(source, Waveform):
            stream = _waveform_stream(source, name)
        else:
            stream = stack.enter_context(chain.readers()[reader](source, name))
        if stream.sample_rate_hz not in _RATES_HZ:
            raise AudioDecodeError(
                name,
                f"a sample rate of {stream.sample_rate_hz} Hz is outside {_RATES_HZ.start}-{_RATES_HZ.stop - 1} Hz",
            )
        yield stream


def _waveform_stream(source: Waveform, name: str) -> AudioStream:
    samples = np.asarray(source.samples, dtype=np.float32)
    if samples.ndim not in (1, 2):
        raise AudioDecodeError(name, "expected samples of shape (S,) or (C, S)")
    frames = samples.reshape(1, -1).T if samples.ndim == 1 else samples.T  # (S, C)
    if frames.shape[1] == 0:
        raise AudioDecodeError(name, "holds no samples")
    blocks = iter([frames] if len(frames) else [])
    return AudioStream(int(source.sample_rate_hz), frames.shape[1], len(frames), "waveform", blocks, is_float=True)


def name_of(source: Source) -> str:
    """How errors call a source."""
    if isinstance(source, Waveform):
        return f"<waveform of shape {source.samples.shape}>"
    return f"<{len(source)} bytes>" if isinstance(source, bytes) else str(source)


def check_source(source: Source, name: str) -> None:
    """Refuse what no reader should be given: missing or empty files, folders, pipes.

    Raises:
        AudioDecodeError: With the reason.
    """
    if isinstance(source, Waveform):
        return
    if isinstance(source, bytes):
        if not source:
            raise AudioDecodeError(name, "no bytes")
        return
    path = Path(source)
    try:
        if not path.exists():
            raise AudioDecodeError(name, "no such file")
        if not path.is_file():  # a pipe would block
            raise AudioDecodeError(name, "not a regular file")
        if path.stat().st_size == 0:
            raise AudioDecodeError(name, "the file is empty (0 bytes)")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise AudioDecodeError(name, f"cannot be opened ({error})") from error
