"""A response that sends an open sound file: whole, or one byte range of it.

The response classes of the framework open a path again; this one sends the handle that was checked.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from email.utils import formatdate
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from askaudio.core.names import readable
from askaudio.server.clip_files import ClipFile
from askaudio.server.problems import Problem

_PIECE_BYTES = 64 * 1024
_RANGE = re.compile(r"\s*bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*", re.ASCII | re.IGNORECASE)


class SoundResponse(StreamingResponse):
    """Sends a file and closes it.

    Args:
        file: The open file; closed at the end, whatever happens.
        request: Headers of the request: ``Range`` and ``If-Range`` count.
        download: Ask the browser to save the file instead of playing it.
        pitch: Semitones by which a wav of ``PlayableCache`` is raised, by the sample rate in its header. A player that
            keeps the pitch while it changes the speed can undo the change of speed.

    Raises:
        Problem: 416 when the range begins after the end of the file.
    """

    def __init__(self, file: ClipFile, request: Headers, download: bool, pitch: float = 0.0) -> None:
        self._file = file
        self._head = _retuned(file, pitch) if pitch else b""
        size = file.status.st_size
        headers = {
            "accept-ranges": "bytes",
            "cache-control": "private, no-cache",
            "content-disposition": content_disposition("attachment" if download else "inline", file.name),
            "etag": f'"{file.version}{f"-{pitch:g}" if pitch else ""}"',
            "last-modified": formatdate(file.status.st_mtime, usegmt=True),
        }
        fresh = request.get("if-range") in (None, headers["etag"], headers["last-modified"])
        part = parse_range(request.get("range"), size) if fresh else None
        if part is not None:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        sent = part or range(size)
        headers["content-length"] = str(len(sent))
        super().__init__(self._pieces(sent), 200 if part is None else 206, headers, file.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            if scope["method"] == "HEAD":
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._file.handle.close()

    def _pieces(self, part: range) -> Iterator[bytes]:
        if head := self._head[part.start : part.stop]:
            yield head
        part = part[len(head) :]
        self._file.handle.seek(part.start)
        left = len(part)
        while left and (piece := self._file.handle.read(min(_PIECE_BYTES, left))):
            left -= len(piece)
            yield piece


_RATE_AT = slice(24, 32)  # of a canonical wav file: samples and bytes a second
_LOWEST_HZ = 3000  # that browsers play


def _retuned(file: ClipFile, pitch: float) -> bytes:
    """The first bytes of a wav file with another sample rate."""
    head = bytearray(file.handle.read(_RATE_AT.stop))
    rate_hz, bytes_per_s = struct.unpack("<II", head[_RATE_AT])
    tuned_hz = max(_LOWEST_HZ, round(rate_hz * 2 ** (pitch / 12)))
    head[_RATE_AT] = struct.pack("<II", tuned_hz, bytes_per_s // rate_hz * tuned_hz)
    return bytes(head)


def parse_range(header: str | None, size: int) -> range | None:
    """The bytes that a ``Range`` header asks for; None for the whole file.

    Several ranges at once and what is no range of bytes are ignored, as RFC 9110, section 14.2, allows.

    Args:
        header: Value of the header; None without one.
        size: Size of the file in bytes.

    Raises:
        Problem: 416 when the range begins after the end of the file.

    Example:
        >>> parse_range("bytes=10-", 50), parse_range("bytes=-10", 50), parse_range("bytes=0-1,5-6", 50)
        (range(10, 50), range(40, 50), None)
    """
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return None
    first, last, tail = found.groups()
    if tail is not None:
        part = range(max(0, size - int(tail)), size)
    else:
        part = range(int(first), min(size, int(last) + 1) if last else size)
        if last and int(last) < int(first):
            return None
    if not part:
        raise Problem(416, f"The range begins after the end of the file ({size:,} bytes).",
                      {"Content-Range": f"bytes */{size}"})  # fmt: skip
    return part


def content_disposition(kind: str, name: str) -> str:
    """The header that names a file (RFC 6266, RFC 8187), for any name that a file system can hold.

    Example:
        >>> content_disposition("inline", "rain.wav")
        'inline; filename="rain.wav"'
        >>> content_disposition("inline", "caf\udce9.wav")
        "inline; filename*=utf-8''caf%C3%A9.wav"
    """
    text = "".join(c if c.isprintable() else "_" for c in readable(name))
    quoted = quote(text)
    return f'{kind}; filename="{text}"' if quoted == text else f"{kind}; filename*=utf-8''{quoted}"
