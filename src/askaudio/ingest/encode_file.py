"""One file in, its windows' vectors and metadata out: the function that ingestion runs in worker processes.

Every fault of a file becomes a reason in its result, not an exception.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from askaudio.audio.decode import probe, read_through
from askaudio.core.files import sha256_file
from askaudio.core.types import FloatArray, Json
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.recording import READ_ERRORS, encode_recording, reason_of
from askaudio.index.bookkeeping import Bookkeeping, Stamp
from askaudio.index.entries import Entry
from askaudio.ingest.metadata import read_metadata
from askaudio.ingest.walk import clip_id_of, stamp_of
from askaudio.measurements.meter import RULES, Meter


@dataclass(frozen=True, slots=True)
class Task:
    """A file to encode.

    Attributes:
        path: The file.
        captions: Captions that a manifest has for it.
        roots: Indexed folders, in which a sidecar that is a link must end.
        measure: Its vectors are known: only measure its samples.
    """

    path: str
    captions: Sequence[str] = ()
    roots: tuple[str, ...] = ()
    measure: bool = False


@dataclass(frozen=True, slots=True)
class Sound:
    """What became of one file; ``reason`` is empty when it could be read.

    Attributes:
        path: The file.
        stamp: Of the file when it was read; empty when it could not be opened, and is to be tried again.
        content_hash: Hex, of its bytes.
        metadata: Its facts.
        times: Start and end of each of W windows, in seconds.
        vectors: (W, D).
        reason: Why it could not be read.
        notes: What was noticed when it was read.
        damaged: Only the part before the fault that the first note names is encoded.
        measured: Only ``metadata`` is new: the measured facts, for the vectors that are stored.
    """

    path: str
    stamp: str = ""
    content_hash: str = ""
    metadata: Json = field(default_factory=dict)
    times: tuple[tuple[float, float], ...] = ()
    vectors: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    reason: str = ""
    notes: tuple[str, ...] = ()
    damaged: bool = False
    measured: bool = False

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


def encode_file(encoder: Encoder, path: str, captions: Sequence[str] = (), roots: Sequence[str] = ()) -> Sound:
    """Read, cut and encode a file; a file that changes meanwhile is read once more.

    Args:
        encoder: Makes the vectors.
        path: The file.
        captions: Captions that a manifest has for it.
        roots: Indexed folders, in which a sidecar that is a link must end.
    """
    task = Task(path, captions, tuple(roots))
    for _ in range(2):
        stamp = stamp_of(path, captions, roots)
        sound = _encode_once(encoder, task, stamp)
        if stamp_of(path, captions, roots) == stamp:
            return sound
    return Sound(path, reason="the file keeps changing while it is read; it is tried again the next time")


def _encode_once(encoder: Encoder, task: Task, stamp: Stamp | None) -> Sound:
    if stamp is None:
        return Sound(task.path, reason="it disappeared, or is not a regular file")
    try:
        content_hash = sha256_file(task.path)
    except OSError as error:  # rights or the disk: says nothing about the content
        return Sound(task.path, reason=f"cannot be opened ({error.strerror})")
    meter = Meter()
    try:
        info = probe(task.path)
        recording = encode_recording(encoder, task.path, partial=True, tap=meter)
        facts = read_metadata(Path(task.path), info, task.captions, task.roots)
        stat = os.stat(task.path)
    except READ_ERRORS as error:  # one bad file must not stop a hundred thousand good ones
        return Sound(task.path, str(stamp), reason=reason_of(error))
    times = [(round(float(start), 6), round(float(end), 6)) for start, end in recording.times]
    facts |= {
        "duration_s": round(times[-1][1], 3),  # decoded; what headers say may be wrong
        **meter.facts(),
        **Bookkeeping(len(times), stamp, content_hash, RULES).to_metadata(),
        "size_bytes": stat.st_size,
        "modified_s": round(stat.st_mtime, 3),
    }
    if recording.damaged:
        facts["damaged"] = recording.notes[0]
    return Sound(
        task.path, str(stamp), content_hash, facts, tuple(times), recording.vectors,
        notes=recording.notes, damaged=recording.damaged,
    )  # fmt: skip


def measure_file(path: str) -> Sound:
    """Measure the samples of a file whose vectors are stored; a file that cannot be read has no measured facts."""
    meter = Meter()
    with contextlib.suppress(*READ_ERRORS):
        read_through(path, meter)
    return Sound(path, metadata={**meter.facts(), "measured": RULES}, measured=True)


def encode_task(encoder: Encoder, task: Task) -> Sound:
    """``encode_file`` or ``measure_file`` of one task."""
    if task.measure:
        return measure_file(task.path)
    return encode_file(encoder, task.path, task.captions, task.roots)


def crashed(task: Task) -> Sound:
    """The result of a file that crashed its worker process twice."""
    if task.measure:
        return Sound(task.path, metadata={"measured": RULES}, measured=True)
    return Sound(task.path, reason="reading it crashed the decoder; convert or remove the file")
