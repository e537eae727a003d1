"""Bring a collection up to date with folders: add what is new, replace what changed, follow renames and deletions.

The store is the only state: which files it holds, with which content, is read from it at the start, and the entries of
one file are always added in one atomic ``add``. A run that was killed at any moment is therefore continued by running
it again; nothing is encoded twice and nothing is missed. Vectors are committed every few seconds, so memory does not
grow with the length of a run.

A file that is missing is removed only if its folder shows that it was deleted (``missing.py``). Content that is known
under a path that does not exist any more has moved, within the folders or from elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from askaudio.audio.decode import probe
from askaudio.audio.readers import chain as readers
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
from askaudio.ingest.forget import remove_clips
from askaudio.ingest.known import Known, read_known
from askaudio.ingest.metadata import read_metadata
from askaudio.ingest.missing import sort_missing, too_many
from askaudio.ingest.moved import Vanished
from askaudio.ingest.report import Broken, Report
from askaudio.ingest.roots import record_roots
from askaudio.ingest.walk import (
    CODEC_SUFFIXES,
    Found,
    absolute_roots,
    clip_id_of,
    existing_roots,
    find_sounds,
    first_above,
    is_below,
    stamp_of,
)
from askaudio.measurements.meter import FACTS

_COMMIT_S = 2.0  # longest time between commits: the work that is lost when the process is killed
_COMMIT_ENTRIES = 2_000
_SAVE_S = 600.0  # longest time between updates of the search cache during long runs


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
    remove_missing: bool = False,
    wait_for_folders: bool = False,
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
        known_broken: Broken files of an earlier run. Those that have not changed are not read again, unless other
            readers are installed now.
        rehash: Compare the content of every file instead of its size and time.
        remove_missing: Remove all missing files below folders that can be listed, however many they are.
        wait_for_folders: Keep what is known of a folder that does not exist, instead of raising.
        progress: Called with files done and to do.

    Returns:
        What was done, broken files included.

    Raises:
        ConfigError: A folder does not exist.
        IndexStoreError: The store cannot be written; what was added so far is safe.
    """
    started = time.monotonic()
    roots = (absolute_roots if wait_for_folders else existing_roots)(folders)
    record_roots(store.url, roots)
    progress(0, None, "looking for sounds")
    run = _Run(store, roots, captions or {}, known_broken or {}, rehash, progress)
    run.plan(find_sounds(roots, parse_address(store.url).folder), remove_missing)
    run.commit()  # facts that are measured are added to entries as they are in the store
    with contextlib.closing(_encoded(run.tasks(), encoder, spec, workers, cluster)) as sounds:
        for sound in sounds:
            run.take(sound)
    run.commit()
    run.remove_gone(remove_missing)
    store.save()
    run.report.took_s = time.monotonic() - started
    return run.report


def _encoded(
    tasks: Iterator[Task], encoder: Encoder, spec: str, workers: int, cluster: str
) -> Generator[Sound, None, None]:
    if cluster and spec:
        yield from encode_on_cluster(spec, tasks, cluster)
    elif workers > 1 and spec:
        yield from map_in_workers(encode_task, tasks, spec, workers, crashed)
    else:
        yield from (encode_task(encoder, task) for task in tasks)


class _Run:
    """The state of one run; each method is one step of ``ingest``."""

    def __init__(
        self, store: VectorStore, roots: Sequence[Path], captions: Mapping[str, Sequence[str]],
        known_broken: Mapping[str, Broken], rehash: bool, progress: Progress,
    ) -> None:  # fmt: skip
        self.store = store
        self.roots = roots
        self.captions = captions
        self.known_broken = known_broken
        self.rehash = rehash
        self.progress = progress
        self.report = Report()
        self.readers = "+".join(readers.readers())
        self.known = read_known(store)
        self.todo: list[str] = []
        self.to_measure: list[str] = []  # unchanged, but without the facts that are measured now
        self.gone: dict[str, Known] = {}  # clips whose files were deleted
        self._spoiled: dict[str, Known] = {}  # clips whose files cannot be read any more
        self._vanished = Vanished()
        self._batch: list[Entry] = []
        self._moved: list[str] = []  # clip ids under their old paths, to delete after the new entries are added
        self._moved_here: list[str] = []  # the same from outside of the roots, to delete before
        self._replaced: dict[str, str] = {}  # clip_id -> content hash of its new entries
        self._done = 0
        self._started = self._committed_at = self._saved_at = time.monotonic()

    def plan(self, found: Found, remove_missing: bool) -> None:
        """Sort files into unchanged, renamed, to encode and gone.

        Args:
            found: What is in the roots.
            remove_missing: Agree to remove any number of missing files.
        """
        self.report.unseen = dict(found.unseen)
        self.report.irregular = found.irregular
        missing = self._missing(found)
        self._vanished.may_have_moved(missing, [known for known in self.known.values() if not self._inside(known.path)])
        for path in found.sounds:
            stamp = stamp_of(path, self.captions.get(path, ()), self.roots)
            if not self._is_settled(path, stamp):
                self._add_todo(path)
        still = [known.path for known in self._vanished.left(missing)]
        present = [path for path in found.sounds if clip_id_of(path) in self.known]
        self._judge(still, present, remove_missing)
        unseen = self.report.unseen
        self.report.silent = [root for root in found.silent if not any(is_below(path, root) for path in unseen)]

    def _inside(self, path: str) -> bool:
        return any(is_below(path, str(root)) for root in self.roots)

    def _missing(self, found: Found) -> list[Known]:
        """Known files below the roots that were not found; those that could not be looked at are counted as kept."""
        present = {clip_id_of(path) for path in found.sounds}
        hidden = {**found.irregular, **found.unseen}
        missing = []
        for clip, known in self.known.items():
            if clip in present or not self._inside(known.path):
                continue
            where = first_above(known.path, hidden)
            if where:
                self.report.kept += 1
                self.report.unseen[where] = hidden[where]
            else:
                missing.append(known)
        return missing

    def _judge(self, missing: list[str], present: list[str], remove_missing: bool) -> None:
        """Decide which of the missing files are removed."""
        deleted, lost = (missing, {}) if remove_missing else sort_missing(missing, present, self.roots)
        if not remove_missing and too_many(len(deleted), len(deleted) + len(present)):
            for path in deleted:
                lost.setdefault(next(str(root) for root in self.roots if is_below(path, str(root))), []).append(path)
            deleted = []
        for folder, paths in lost.items():
            self.report.kept += len(paths)
            self.report.unseen[folder] = f"{len(paths)} of its known files are missing"
        self.gone = {clip_id_of(path): self.known[clip_id_of(path)] for path in deleted}

    def _is_settled(self, path: str, stamp: Stamp | None) -> bool:
        """Whether a file needs no encoding: it is unchanged, renamed, or known to be broken."""
        old = self.known_broken.get(path)
        if old is not None and (old.stamp != str(stamp or "") or old.readers != self.readers):
            old = None
        if old is not None and not old.damaged and clip_id_of(path) not in self.known:
            self.report.broken[path] = old
            return True
        if stamp is None:
            return False
        if self._is_unchanged(path, stamp):
            was = self.known_broken.get(path)
            if was is not None and was.damaged and old is None:
                return False  # other readers are installed now
            self.report.unchanged += 1
            if not self.known[clip_id_of(path)].measured:
                self.to_measure.append(path)
            if old is not None:
                self.report.damaged[path] = old
            return True
        return self._rename(path, stamp)

    def _add_todo(self, path: str) -> None:
        if os.path.splitext(path)[1].lower() in CODEC_SUFFIXES and self.readers == "libsndfile":
            self.report.needs_codec.append(path)
        else:
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

    def _rename(self, path: str, stamp: Stamp) -> bool:
        """Move the entries of a vanished file with the same content to this path."""
        clip = clip_id_of(path)
        if clip in self.known or not self._vanished.may_be(stamp.size_bytes):
            return False
        was = self._vanished.take(_content_hash(path), path)
        if was is None:
            return False
        old = clip_id_of(was.path)
        entries = list(self.store.iterate(clips_are([old])))
        task = self._task(path)
        facts = _renamed_facts(entries[0].metadata, task, stamp)
        moved = [
            replace(e, entry_id=clip + e.entry_id[len(old) :], clip_id=clip, path=path, metadata=facts) for e in entries
        ]
        (self._moved if self._inside(was.path) else self._moved_here).append(old)
        self._gather(moved)
        if (fault := self.known_broken.get(was.path)) is not None and fault.damaged:
            self.report.damaged[path] = replace(fault, stamp=str(stamp))
        self.report.renamed += 1
        return True

    def _task(self, path: str) -> Task:
        return Task(path, self.captions.get(path, ()), tuple(map(str, self.roots)))

    def tasks(self) -> Iterator[Task]:
        """The files to encode, with their captions, and those to measure only."""
        return chain(map(self._task, self.todo), (Task(path, measure=True) for path in self.to_measure))

    def take(self, sound: Sound) -> None:
        """Add a finished file to the batch; commit the batch when it is large or old enough."""
        self._done += 1
        clip = clip_id_of(sound.path)
        if sound.measured:
            self._add_measured(clip, sound.metadata)
        elif sound.reason:
            self.report.broken[sound.path] = Broken(sound.reason, sound.stamp, self.readers)
            if clip in self.known and sound.stamp:  # the stored vectors no longer describe the file
                self._spoiled[clip] = self.known[clip]
        else:
            self._gather(sound.entries())
            self.report.audio_s += sound.seconds
            self._note(sound)
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
        self.progress(self._done, len(self.todo) + len(self.to_measure), f"{speed:.0f} x real time{broken}")

    def _add_measured(self, clip: str, facts: Json) -> None:
        entries = list(self.store.iterate(clips_are([clip])))
        kept = [{key: value for key, value in e.metadata.items() if key not in FACTS} for e in entries]
        self._gather([replace(e, metadata={**old, **facts}) for e, old in zip(entries, kept, strict=True)])
        self.report.measured += 1

    def _note(self, sound: Sound) -> None:
        notes = list(sound.notes)
        if sound.damaged:
            self.report.damaged[sound.path] = Broken(notes.pop(0), sound.stamp, self.readers, damaged=True)
        if notes:
            self.report.noted[sound.path] = notes

    def _gather(self, entries: list[Entry]) -> None:
        self._batch += entries
        if len(self._batch) >= _COMMIT_ENTRIES:
            self.commit()

    def commit(self) -> None:
        """Add the gathered entries in one piece, then remove those they replace.

        A process that is killed between the two leaves both; the next run sees such a clip as incomplete and encodes
        it again, or sees that the old file is gone. Entries of a file that moved here from outside of the roots are
        removed first, because the next run would not look for that file; it is encoded again in that case.
        """
        if self._moved_here:
            remove_clips(self.store, self._moved_here)
            self._moved_here = []
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

    def remove_gone(self, remove_missing: bool) -> None:
        """Delete the entries of files that no longer exist, and of those that cannot be read any more.

        Args:
            remove_missing: Agree to any number.
        """
        remove_clips(self.store, list(self.gone))
        self.report.removed = len(self.gone)
        below = sum(self._inside(known.path) for known in self.known.values())
        if remove_missing or not too_many(len(self._spoiled), below):
            remove_clips(self.store, list(self._spoiled))
        else:
            self.report.kept += len(self._spoiled)


def _content_hash(path: str) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return ""


def _renamed_facts(old: Mapping[str, Any], task: Task, stamp: Stamp) -> Json:
    """Facts of a moved file: its name and the text beside it may say something else, its content is the same."""
    noted = replace(Bookkeeping.of(old), stamp=stamp)
    try:
        fresh = read_metadata(Path(task.path), probe(task.path), task.captions, task.roots)
    except (AudioDecodeError, OSError):
        fresh = dict(old)
    kept = ("size_bytes", "modified_s", "duration_s", "damaged", *FACTS)
    return {**fresh, **{key: old[key] for key in kept if key in old}, **noted.to_metadata()}
