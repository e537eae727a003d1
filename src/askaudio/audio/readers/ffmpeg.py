"""The formats of FFmpeg through an ``ffmpeg`` program on the PATH, for installs without PyAV.

The program runs without a shell, reads one file with the same demuxers as PyAV, and writes 32-bit floats to a pipe. The
AU header before them tells sample rate and channel count. Its messages tell sample format, length and packets that it
left out. A program that writes nothing for ``STALL_S`` is killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from askaudio.audio.readers.codec import DEMUXERS
from askaudio.audio.readers.stream import AudioStream
from askaudio.core.errors import AudioDecodeError
from askaudio.core.types import FloatArray

STALL_S = 60.0
_BLOCK_VALUES = 1 << 17
_FLOAT32 = 6  # code of the sample format in an AU header
_MESSAGE_BYTES = 1 << 16  # of the messages at the start, which describe the file
_TRACK = re.compile(rb"^ +Stream #0:\d.*?: Audio: (\w+).*", re.MULTILINE)
_LENGTH = re.compile(rb"^  Duration: (\d+):(\d+):([\d.]+),", re.MULTILINE)
_ESTIMATED = re.compile(rb"^Input #0, (aac|mp3)\b|Estimating duration from bitrate", re.MULTILINE)
# lines of metadata begin with a blank, so a title cannot look like one of these
_FAULT = re.compile(rb"^\S.*(corrupt input packet|ended prematurely|Error while decoding|Error submitting packet)")


def program() -> str | None:
    """Path of the ffmpeg program, or None."""
    return shutil.which("ffmpeg")


@contextlib.contextmanager
def open_stream(source: Path | str | bytes, name: str) -> Iterator[AudioStream]:
    """Open the first audio track of a file.

    Args:
        source: Path of a file, or the bytes of one (written to a temporary file, because ffmpeg needs to seek).
        name: Name of the source in error messages.

    Raises:
        AudioDecodeError: There is no ffmpeg program, or it cannot read the file (on entering the context).
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="askaudio-")))
        messages = folder / "messages"
        if isinstance(source, bytes):
            path = folder / "sound"
            path.write_bytes(source)
        else:
            path = Path(source)
        process = stack.enter_context(_started(path, name, messages))
        head = _exactly(process, 24)
        if len(head) < 24 or head[:4] != b".snd":
            raise AudioDecodeError(name, f"ffmpeg does not read it (exit code {process.wait()})")
        offset, _, coding, rate, channels = struct.unpack(">IIIII", head[4:])
        _exactly(process, offset - 24)
        if coding != _FLOAT32 or not channels:
            raise AudioDecodeError(name, "ffmpeg wrote another format than it was called for")
        length_s, is_float = _described(messages)
        frames = None if length_s is None else round(length_s * rate)
        yield AudioStream(rate, channels, frames, "ffmpeg", _blocks(process, channels, name, messages), is_float)


def _described(messages: Path) -> tuple[float | None, bool]:
    """Length in seconds that the file promises, and whether it stores floats without loss."""
    with messages.open("rb") as file:
        text = file.read(_MESSAGE_BYTES)
    text = text.partition(b"Stream mapping:")[0]
    track, length = _TRACK.search(text), _LENGTH.search(text)
    is_float = bool(
        track and track[1].startswith((b"pcm_f32", b"pcm_f64", b"wavpack")) and re.search(rb", (flt|dbl)p?\b", track[0])
    )
    if length is None or _ESTIMATED.search(text):
        return None, is_float
    return int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]), is_float


@contextlib.contextmanager
def _started(path: Path, name: str, messages: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        program() or "ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "info",
        "-protocol_whitelist", "file,pipe", "-format_whitelist", DEMUXERS, "-i", f"file:{os.path.abspath(path)}",
        "-map", "0:a:0", "-vn", "-sn", "-dn", "-f", "au", "-c:a", "pcm_f32be", "pipe:1",
    ]  # fmt: skip
    try:
        with messages.open("wb") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
    except OSError as error:
        raise AudioDecodeError(name, f"the ffmpeg program cannot be started ({error})") from error
    with process:
        try:
            yield process
        finally:
            process.kill()  # a reader that stops early leaves it blocked on the pipe


def _exactly(process: subprocess.Popen[bytes], n_bytes: int) -> bytes:
    """The next bytes of the output; fewer at its end."""
    pipe: IO[bytes] = process.stdout  # type: ignore[assignment]
    watch = threading.Timer(STALL_S, process.kill)
    watch.start()
    try:
        return pipe.read(n_bytes)
    finally:
        watch.cancel()


def _blocks(process: subprocess.Popen[bytes], channels: int, name: str, messages: Path) -> Iterator[FloatArray]:
    frame = 4 * channels
    n_bytes = max(1, _BLOCK_VALUES // channels) * frame
    while data := _exactly(process, n_bytes):
        whole = len(data) // frame * frame
        if whole:
            yield np.frombuffer(data[:whole], dtype=">f4").astype(np.float32).reshape(-1, channels)
    code = process.wait()
    if code:
        reason = f"it wrote nothing for {STALL_S:.0f} s" if code < 0 else f"exit code {code}"
        raise AudioDecodeError(name, f"ffmpeg stopped ({reason})")
    with messages.open("rb") as file:
        faults = sum(bool(_FAULT.match(line)) for line in file)
    if faults:
        raise AudioDecodeError(name, f"ffmpeg reports {faults} faults in its packets")
