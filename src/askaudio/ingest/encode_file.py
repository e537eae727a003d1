"""One file in, its windows' vectors and metadata out: the function that ingestion runs in worker processes.

Every fault of a file becomes a reason in its result, not an exception.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from askaudio.audio.decode import probe
from askaudio.core.files import sha256_file
from askaudio.core.types import FloatArray, Json
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.recording import READ_ERRORS, encode_recording, reason_of
from askaudio.index.bookkeeping import Bookkeeping, Stamp
from askaudio.index.entries import Entry
from askaudio.ingest.metadata import read_metadata
from askaudio.ingest.walk import clip_id_of, stamp_of

Task = tuple[str, Sequence[str]]  # path, captions


@dataclass(frozen=True, slots=True)
class Sound:
    """What became of one file; ``reason`` is empty when it could be read.

    Attributes:
        path: The file.
        stamp: Of the file when it was read.
        content_hash: Hex, of its bytes.
        metadata: Its facts.
        times: Start and end of each of W windows, in seconds.
        vectors: (W, D).
        reason: Why it could not be read.
    """

    path: str
    stamp: str = ""
    content_hash: str = ""
    metadata: Json = field(default_factory=dict)
    times: tuple[tuple[float, float], ...] = ()
    vectors: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    reason: str = ""

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.times[-1][1] if self.times else 0.0

    def entries(self) -> list[Entry]:
        """The entries to store."""
        clip = clip_id_of(self.path)
        return [
            Entry(f"{clip}#{n:05d}", clip, vector, start, end, self.path, self.metadata)
            for n, ((start, end), vector) in enumerate(zip(self.times, self.vectors, strict=True))
        ]


def encode_file(encoder: Encoder, path: str, captions: Sequence[str] = ()) -> Sound:
    """Read, cut and encode a file; a file that changes meanwhile is read once more."""
    for _ in range(2):
        stamp = stamp_of(path, captions)
        sound = _encode_once(encoder, path, captions, stamp)
        if stamp_of(path, captions) == stamp:
            return sound
    return Sound(path, reason="the file keeps changing while it is read; it is tried again the next time")


def _encode_once(encoder: Encoder, path: str, captions: Sequence[str], stamp: Stamp | None) -> Sound:
    try:
        content_hash = sha256_file(path)
        facts = read_metadata(Path(path), probe(path), captions)
        recording = encode_recording(encoder, path)
    except READ_ERRORS as error:  # one bad file must not stop a hundred thousand good ones
        return Sound(path, str(stamp or ""), reason=reason_of(error))
    times = [(round(float(start), 6), round(float(end), 6)) for start, end in recording.times]
    facts.setdefault("duration_s", round(times[-1][1], 3))
    stat = os.stat(path)
    facts |= {
        **Bookkeeping(len(times), stamp, content_hash).to_metadata(),
        "size_bytes": stat.st_size,
        "modified_s": round(stat.st_mtime, 3),
    }
    return Sound(path, str(stamp or ""), content_hash, facts, tuple(times), recording.vectors)


def encode_task(encoder: Encoder, task: Task) -> Sound:
    """``encode_file`` of one task."""
    return encode_file(encoder, *task)


def crashed(task: Task) -> Sound:
    """The result of a file that crashed its worker process twice."""
    return Sound(task[0], reason="reading it crashed the decoder; convert or remove the file")
