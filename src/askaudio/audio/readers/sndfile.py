"""wav, flac, ogg, opus, mp3, aiff and other formats through libsndfile (soundfile).

Quirks handled here: the frame count in a header may be wrong or "unknown" (2**63 - 1), so reading continues until
nothing comes; soundfile seeks after every read, which changes the samples of short opus files; a file named ``.raw``
makes soundfile require a sample rate; libsndfile believes headers of unfinished WAV, AU and CAF files, of MP3 without
or with a wrong frame count, and reads only the first link of a chained Ogg file. In the last cases the file is read
through a view with a right header (``Spliced``), part by part.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from askaudio.audio.readers import mp3_frames, ogg_pages, opus_positions, unfinished
from askaudio.audio.readers.spliced import Piece, Spliced
from askaudio.audio.readers.stream import AudioStream, Conform
from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import FloatArray

BLOCK_VALUES = 1 << 17  # values (frames x channels) read at once: 512 KiB
_SHORT_BLOCK = 256  # frames read at once when a fault is near
_RESYNC_BYTES = 1024  # libsndfile's MP3 decoder gives up behind more junk than this
_FEW_SKIPS = 2000
_MOSTLY = 0.9  # share of a file that must be MP3 frames before it is read as one against libsndfile


class _Forward(soundfile.SoundFile):
    """A sound file that is read once from start to end. soundfile seeks after each block of a seekable file."""

    def seekable(self) -> bool:
        """False, so that soundfile does not seek."""
        return False


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a file that libsndfile reads as one sound; ``pieces`` is None for the file as it is."""

    source: Path | str | bytes
    name: str
    file: BinaryIO
    pieces: Sequence[Piece] | None = None
    link: tuple[int, int] | None = None  # of an Ogg file as it is: first byte and end

    def corrected(self) -> _Part | None:
        """The link of an Ogg Opus file with page positions that agree with its packets; None for anything else."""
        view = opus_positions.pieces(self.file, *self.link) if self.link else None
        return replace(self, pieces=view, link=None) if view else None

    def open(self) -> soundfile.SoundFile:
        """Open it at its first sample."""
        target: object = str(self.source)
        if self.pieces is not None:
            target = Spliced(self.file, self.pieces)
        elif isinstance(self.source, bytes):
            target = io.BytesIO(self.source)
        try:
            return _Forward(target)
        except (soundfile.SoundFileError, TypeError, ValueError) as error:  # TypeError: a headerless .raw
            raise AudioDecodeError(self.name, _reason(error)) from error


@contextlib.contextmanager
def open_stream(source: Path | str | bytes, name: str) -> Iterator[AudioStream]:
    """Open a file, or the bytes of one, with libsndfile.

    Raises:
        AudioDecodeError: libsndfile does not know the format or finds its header broken (on entering the context).
    """
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        notes: list[str] = []
        parts, frames = _survey(_Part(source, name, file), notes)
        with parts[0].open() as first:
            blocks = _conformed(parts, first.samplerate, first.channels, notes)
            is_float = first.subtype in ("FLOAT", "DOUBLE")
            yield AudioStream(first.samplerate, first.channels, frames, first.format.lower(), blocks, is_float, notes)


def _survey(whole: _Part, notes: list[str]) -> tuple[Sequence[_Part], int | None]:
    """Parts to read one after the other, and the frames that the content promises (None: not known)."""
    file = whole.file
    if chunk := unfinished.data_chunk(file):
        if chunk.unread:
            notes.append(f"{chunk.unread} bytes behind its sound are not counted by its header and were left out")
        part = replace(whole, pieces=chunk.pieces()) if chunk.patches else whole
        if chunk.size is not None and chunk.bytes_per_frame:
            return [part], chunk.size // chunk.bytes_per_frame
        if chunk.patches:
            return [part], None
    if flac := unfinished.flac_without_length(file):
        return [replace(whole, pieces=flac[1])], flac[0]
    if links := ogg_pages.links(file):
        return _ogg(whole, links)
    try:
        with whole.open() as sound:
            known = sound.frames if 0 <= sound.frames < 1 << 62 else None
            return _mp3(whole, known) if sound.format == "MP3" else ([whole], known)
    except AudioDecodeError:
        found = mp3_frames.runs(file, most_skips=_FEW_SKIPS)  # an MP3 behind bytes that libsndfile does not expect
        if sum(end - start for run in found for start, end in run.ranges) < _MOSTLY * file.seek(0, io.SEEK_END):
            raise
        return _mp3_parts(whole, found)


def _ogg(whole: _Part, links: Sequence[tuple[int, int]]) -> tuple[Sequence[_Part], int | None]:
    """One part for each link, with corrected page positions where libsndfile refuses to open it as it is."""
    parts = [replace(whole, link=link, pieces=[link] if len(links) > 1 else None) for link in links]
    kept = []
    for part, link in zip(parts, links, strict=True):
        try:
            part.open().close()
            kept.append(part)
        except AudioDecodeError:
            counted = opus_positions.frames(part.file, *link)
            if counted is None or counted > 0 or len(parts) == 1:  # a link of headers alone is left out
                kept.append(part.corrected() or part)
    return kept, _frames_of(kept)


def _mp3(whole: _Part, known: int | None) -> tuple[Sequence[_Part], int | None]:
    """The file as it is where libsndfile will read all frames of it, else a view for each run of frames."""
    found = mp3_frames.runs(whole.file)
    if not found:
        return [whole], known
    run = found[0]
    if run.promised is not None:
        complete = run.frames <= run.promised + 1
    else:
        complete = known is None or known >= (run.frames - 1) * run.samples_per_frame
    if len(found) == 1 and complete and run.longest_gap <= _RESYNC_BYTES:
        # without a header libsndfile's length is an estimate; with one it is exact, as encoder padding is left out
        return [whole], known if run.promised is not None else run.frames * run.samples_per_frame
    return _mp3_parts(whole, found)


def _mp3_parts(whole: _Part, found: Sequence[mp3_frames.Run]) -> tuple[Sequence[_Part], int | None]:
    parts = [replace(whole, pieces=run.pieces()) for run in found if run.frames]
    return parts or [whole], _frames_of(parts)


def _frames_of(parts: Sequence[_Part]) -> int | None:
    """Length of all parts together at the rate of the first; None where one of them cannot be opened."""
    total, rate = 0.0, 0
    for part in parts:
        try:
            with part.open() as sound:
                rate = rate or sound.samplerate
                length_s = sound.frames / sound.samplerate
        except AudioDecodeError:
            return None
        if part.link and (counted := opus_positions.frames(part.file, *part.link)) is not None:
            length_s = min(length_s, counted / opus_positions.RATE_HZ)  # positions that jump promise too much
        total += length_s * rate
    return round(total)


def _conformed(parts: Sequence[_Part], sample_rate_hz: int, channels: int, notes: list[str]) -> Iterator[FloatArray]:
    conform = Conform(sample_rate_hz, channels, notes)
    for part in parts:
        for block, rate in _blocks(part):
            yield from conform(block, rate)
    yield from conform.finish()


def _blocks(part: _Part, done: int = 0) -> Iterator[tuple[FloatArray, int]]:
    """Blocks (n, C) of one part with its sample rate; all samples before a fault, then ``AudioDecodeError``.

    Args:
        part: What to read.
        done: Samples to leave out at its start.
    """
    with part.open() as sound:
        n_frames = max(1, BLOCK_VALUES // sound.channels)
        try:
            _pass_over(sound, done, n_frames)
            while len(block := _read(sound, n_frames)):
                done += len(block)
                yield block, sound.samplerate
            return
        except (soundfile.SoundFileError, RuntimeError) as error:
            reason = f"broken in the middle ({_reason(error)})"
    if better := part.corrected():  # its samples up to the fault are the same
        yield from _blocks(better, done)
        return
    # soundfile drops a block that is readable in part: read up to the same place again, then in short blocks
    with part.open() as sound:
        try:
            _pass_over(sound, done, n_frames)
            while len(block := _read(sound, _SHORT_BLOCK)):
                yield block, sound.samplerate
        except (soundfile.SoundFileError, RuntimeError):
            pass
    raise AudioDecodeError(part.name, reason)


def _pass_over(sound: soundfile.SoundFile, n: int, n_frames: int) -> None:
    for start in range(0, n, n_frames):
        _read(sound, min(n_frames, n - start))


def _read(sound: soundfile.SoundFile, n_frames: int) -> FloatArray:
    block: FloatArray = sound.read(out=np.empty((n_frames, sound.channels), dtype=np.float32))
    return block


def _reason(error: Exception) -> str:
    text = str(error).split(": ", 1)[-1].strip().rstrip(".")
    return text[:1].lower() + text[1:] if text else type(error).__name__
