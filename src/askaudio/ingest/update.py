"""Bring a collection up to date with folders: add what is new, replace what changed, follow renames and deletions.

The store is the only state: which files it holds, with which content, is read from it at the start, and the entries of
one file are always added in one atomic ``add``. A run that was killed at any moment is therefore continued by running
it again; nothing is encoded twice and nothing is missed. Vectors are committed every few seconds, so memory does not
grow with the length of a run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from askaudio.audio.decode import probe
from askaudio.core.errors import AudioDecodeError
from askaudio.core.files import sha256_file
from askaudio.core.types import Json, Progress, silent
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.workers import map_in_workers
from askaudio.engines.address import parse_address
from askaudio.index.bookkeeping import Bookkeeping, Stamp
from askaudio.index.entries import Entry
from askaudio.index.filters import All, Compare, Not, clips_are
from askaudio.index.store import VectorStore
from askaudio.ingest.cluster import encode_on_cluster
from askaudio.ingest.encode_file import Sound, Task, crashed, encode_task
from askaudio.ingest.metadata import read_metadata
from askaudio.ingest.report import Broken, Report
from askaudio.ingest.roots import record_roots
from askaudio.ingest.walk import absolute_roots, clip_id_of, sound_files, stamp_of

_COMMIT_S = 2.0  # longest time between commits: the work that is lost when the process is killed
_COMMIT_ENTRIES = 2_000
_SAVE_S = 600.0  # longest time between updates of the search cache during long runs


@dataclass(slots=True)
class Known:
    """What the store holds of one clip."""

    path: str
    stamp: Stamp | None
    content_hash: str
    whole: bool  # all its windows are stored, and they come from one content


def ingest(
    folders: Sequence[str | Path],
    store: VectorStore,
    encoder: Encoder,
    *,
    spec: str = "",
    workers: int = 1,
    cluster: str = "",
    captions: Mapping[str, Sequence[str]] | None = None,
    known_broken: Mapping[str, Broken] | None = None,
    rehash: bool = False,
    progress: Progress = silent,
) -> Report:
    """Bring ``store`` up to date with folders.

    Args:
        folders: Folders (or files); what the store holds from elsewhere stays untouched.
        store: Open for writing.
        encoder: Whose vectors the store holds.
        spec: How worker processes load the same encoder; needed for more than one worker.
        workers: Processes that encode; 1 works in this process.
        cluster: Address of a Ray cluster that encodes instead, or ``local``; needs ``spec``.
        captions: Absolute path -> captions known from a manifest.
        known_broken: Broken files of an earlier run. Those that have not changed are not read again.
        rehash: Compare the content of every file instead of its size and time.
        progress: Called with files done and to do.

    Returns:
        What was done, broken files included.

    Raises:
        ConfigError: A folder does not exist.
        IndexStoreError: The store cannot be written; what was added so far is safe.
    """
    started = time.monotonic()
    roots = absolute_roots(folders)
    record_roots(store.url, roots)
    progress(0, None, "looking for sounds")
    run = _Run(store, captions or {}, known_broken or {}, rehash, progress)
    run.plan(list(sound_files(roots, parse_address(store.url).folder)), roots)
    tasks = run.tasks()
    for sound in _encoded(tasks, encoder, spec, workers, cluster):
        run.take(sound)
    run.commit()
    run.remove_gone()
    store.save()
    run.report.took_s = time.monotonic() - started
    return run.report


def _encoded(tasks: Iterator[Task], encoder: Encoder, spec: str, workers: int, cluster: str) -> Iterator[Sound]:
    if cluster and spec:
        return encode_on_cluster(spec, tasks, cluster)
    if workers > 1 and spec:
        return map_in_workers(encode_task, tasks, spec, workers, crashed)
    return (encode_task(encoder, task) for task in tasks)


class _Run:
    """The state of one run; each method is one step of ``ingest``."""

    def __init__(
        self, store: VectorStore, captions: Mapping[str, Sequence[str]], known_broken: Mapping[str, Broken],
        rehash: bool, progress: Progress,
    ) -> None:  # fmt: skip
        self.store = store
        self.captions = captions
        self.known_broken = known_broken
        self.rehash = rehash
        self.progress = progress
        self.report = Report()
        self.known = _read_known(store)
        self.todo: list[str] = []
        self.gone: dict[str, Known] = {}
        self._batch: list[Entry] = []
        self._moved: list[str] = []  # clip ids under their old paths
        self._replaced: dict[str, str] = {}  # clip_id -> content hash of its new entries
        self._done = 0
        self._started = self._committed_at = self._saved_at = time.monotonic()

    def plan(self, paths: list[str], roots: Sequence[Path]) -> None:
        """Sort files into unchanged, renamed, to encode and gone.

        Args:
            paths: All sound files under the roots.
            roots: Absolute folders or files.
        """
        present = {clip_id_of(path) for path in paths}
        for root in roots:
            inside = {c: k for c, k in self.known.items() if Path(k.path).is_relative_to(root) and c not in present}
            if root.is_dir() and len(inside) > 1 and not any(Path(path).is_relative_to(root) for path in paths):
                self.report.kept += len(inside)  # more likely an unmounted disk than a deleted library
            else:
                self.gone.update(inside)
        vanished = {known.content_hash: clip for clip, known in self.gone.items() if known.whole}
        sizes = {known.stamp.size_bytes for known in self.gone.values() if known.stamp is not None}
        for path in paths:
            old = self.known_broken.get(path)
            stamp = stamp_of(path, self.captions.get(path, ()))
            if old is not None and old.stamp == str(stamp or "") and clip_id_of(path) not in self.known:
                self.report.broken[path] = old
            elif stamp is not None and self._is_unchanged(path, stamp):
                self.report.unchanged += 1
            elif stamp is None or not self._rename(path, stamp, vanished, sizes):
                self.todo.append(path)

    def _is_unchanged(self, path: str, stamp: Stamp) -> bool:
        known = self.known.get(clip_id_of(path))
        if known is None or not known.whole or known.stamp is None:
            return False
        if known.stamp == stamp and not self.rehash:
            return True
        if known.stamp.texts != stamp.texts:
            return False
        if _content_hash(path) != known.content_hash:
            return False
        if known.stamp != stamp:
            entries = self.store.iterate(clips_are([clip_id_of(path)]))
            self._gather([replace(e, metadata={**e.metadata, "stamp": str(stamp)}) for e in entries])
        return True

    def _rename(self, path: str, stamp: Stamp, vanished: dict[str, str], sizes: set[int]) -> bool:
        """Move the entries of a vanished file with the same content to this path."""
        clip = clip_id_of(path)
        if not vanished or clip in self.known or stamp.size_bytes not in sizes:
            return False
        old = vanished.pop(_content_hash(path), None)
        if old is None:
            return False
        entries = list(self.store.iterate(clips_are([old])))
        facts = _renamed_facts(entries[0].metadata, path, stamp, self.captions.get(path, ()))
        moved = [
            replace(e, entry_id=clip + e.entry_id[len(old) :], clip_id=clip, path=path, metadata=facts) for e in entries
        ]
        self._gather(moved)
        self._moved.append(old)
        del self.gone[old]
        self.report.renamed += 1
        return True

    def tasks(self) -> Iterator[Task]:
        """The files to encode, with their captions."""
        return ((path, self.captions.get(path, ())) for path in self.todo)

    def take(self, sound: Sound) -> None:
        """Add a finished file to the batch; commit the batch when it is large or old enough."""
        self._done += 1
        clip = clip_id_of(sound.path)
        if sound.reason:
            self.report.broken[sound.path] = Broken(sound.reason, sound.stamp)
            if clip in self.known and sound.stamp:  # the stored vectors no longer describe the file
                self.gone[clip] = self.known[clip]
        else:
            self._gather(sound.entries())
            self.report.audio_s += sound.seconds
            if clip in self.known:
                self._replaced[clip] = sound.content_hash
                self.report.changed += 1
            else:
                self.report.added += 1
        now = time.monotonic()
        if now - self._committed_at >= _COMMIT_S:
            self.commit()
        if now - self._saved_at >= _SAVE_S:
            self.store.save()
            self._saved_at = time.monotonic()
        speed = self.report.audio_s / max(now - self._started, 1e-9)
        broken = f", {len(self.report.broken)} broken" if self.report.broken else ""
        self.progress(self._done, len(self.todo), f"{speed:.0f} x real time{broken}")

    def _gather(self, entries: list[Entry]) -> None:
        self._batch += entries
        if len(self._batch) >= _COMMIT_ENTRIES:
            self.commit()

    def commit(self) -> None:
        """Add the gathered entries in one piece, then remove those they replace.

        A process that is killed between the two leaves both; the next run sees such a clip as incomplete and encodes
        it again.
        """
        if self._batch:
            self.store.add(self._batch)
            self._batch = []
        if self._replaced:
            fresh = Compare("content_hash", "in", tuple(self._replaced.values()))
            self.store.delete(All((clips_are(list(self._replaced)), Not(fresh))))
            self._replaced = {}
        if self._moved:
            self.store.delete(clips_are(self._moved))
            self._moved = []
        self._committed_at = time.monotonic()

    def remove_gone(self) -> None:
        """Delete the entries of files that no longer exist."""
        clips = list(self.gone)
        for start in range(0, len(clips), 1000):
            self.store.delete(clips_are(clips[start : start + 1000]))
        self.report.removed = len([c for c, k in self.gone.items() if k.path not in self.report.broken])


def _read_known(store: VectorStore) -> dict[str, Known]:
    found: dict[str, Known] = {}
    for clip in store.clips():
        noted = Bookkeeping.of(clip.metadata)
        whole = clip.windows == noted.windows and clip.clip_id not in found
        found[clip.clip_id] = Known(clip.path, noted.stamp, noted.content_hash, whole)
    return found


def _content_hash(path: str) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return ""


def _renamed_facts(old: Mapping[str, Any], path: str, stamp: Stamp, captions: Sequence[str]) -> Json:
    """Facts of a moved file: its name and the text beside it may say something else, its content is the same."""
    noted = replace(Bookkeeping.of(old), stamp=stamp)
    try:
        fresh = read_metadata(Path(path), probe(path), captions)
    except (AudioDecodeError, OSError):
        fresh = dict(old)
    content = {key: old[key] for key in ("size_bytes", "modified_s", "duration_s") if key in old}
    return {**fresh, **content, **noted.to_metadata()}
