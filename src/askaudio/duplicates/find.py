"""Find the copies in a collection: groups of files, why each is a copy, and which one to keep.

1. Files with the same bytes are one sound (the hashes are in the collection).
2. Fingerprints of the sounds are computed, or read from the cache beside the collection.
3. Equal words, and near vectors for short sounds, propose pairs (``candidates.py``).
4. Each pair is decided by bits and waveforms (``pairs.py``).
5. Every group consists of the best file and of those that are copies of exactly that file. Copies of a copy are not
   merged, so two takes that both occur in a longer recording stay apart.

Nothing is deleted or changed. Memory: about 1.5 kB a sound and the table of words.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from askaudio.checks.fingerprints import HOP_S
from askaudio.core.files import write_json
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray, Json, Progress, silent
from askaudio.duplicates.candidates import FEW_WORDS, candidates
from askaudio.duplicates.pairs import LEAST_SHARE, Waveforms, judge
from askaudio.duplicates.prints import PrintCache, read_start
from askaudio.duplicates.sound import Sound, bits_of, is_dual_mono, sound_of
from askaudio.duplicates.waveforms import WaveMatch
from askaudio.engines.address import parse_address
from askaudio.index.store import VectorStore

VERSION = 1
Pairs = dict[tuple[int, int], tuple[float, WaveMatch]]  # positions (first < second) -> agreement, match
_LEVEL_DB = 1.0  # gain from which a copy counts as changed in level
_FADE_DB = 6.0
_CUT_S = 0.05


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that is a copy of the one to keep.

    Attributes:
        sound: The file.
        reasons: How it differs from the kept file: ``same bytes``, ``other format``, ``level -6.0 dB``, ...
        agreement: 1 for equal samples; about 0.7 is the least that counts as a copy.
    """

    sound: Sound
    reasons: tuple[str, ...]
    agreement: float

    def to_json(self) -> Json:
        """JSON-able."""
        return {**self.sound.to_json(), "reasons": list(self.reasons), "agreement": round(self.agreement, 3)}


@dataclass(frozen=True, slots=True)
class Group:
    """The file to keep and its copies, the most certain first."""

    keep: Sound
    copies: tuple[Copy, ...]

    def to_json(self) -> Json:
        """JSON-able."""
        return {"keep": self.keep.to_json(), "copies": [copy.to_json() for copy in self.copies]}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All copies in a collection.

    Attributes:
        groups: Those with most bytes in copies first.
        files: Number of files that were compared.
        unread: Files that could not be decoded; only their bytes were compared.
    """

    groups: tuple[Group, ...]
    files: int
    unread: tuple[str, ...] = ()
    version: int = field(default=VERSION)

    @property
    def n_copies(self) -> int:
        """Files that are copies of another."""
        return sum(len(group.copies) for group in self.groups)

    def to_json(self) -> Json:
        """JSON-able."""
        size = sum(copy.sound.size_bytes for group in self.groups for copy in group.copies)
        return {
            "format": "askaudio-duplicates", "version": self.version, "files": self.files, "copies": self.n_copies,
            "copies_bytes": size, "groups": [group.to_json() for group in self.groups], "unread": list(self.unread),
        }  # fmt: skip


def cache_of(store: VectorStore) -> Path | None:
    """Where the fingerprints of a collection are cached: beside it, or for remote ones in the user's cache folder."""
    address = parse_address(store.url)
    if address.kind == "memory":
        return None
    folder = address.folder or Path.home() / ".cache" / "askaudio" / "fingerprints"
    return folder / "fingerprints.sqlite"


def find_duplicates(
    store: VectorStore, where: str | None = None, share: float = LEAST_SHARE, progress: Progress = silent
) -> Duplicates:
    """Find the copies in a collection.

    Args:
        store: Open collection.
        where: A filter; only recordings that match it are compared with each other.
        share: Least share of the longer file that both must have; with a smaller one, excerpts count as copies.
        progress: Called with what is done and to do, in several stages.
    """
    clips = store.clips(store.check_filter(where))
    sounds = sorted({s.path: s for s in (sound_of(c.clip_id, c.path, c.metadata) for c in clips)}.values(),
                    key=lambda sound: sound.path)  # fmt: skip
    same: dict[str, list[Sound]] = defaultdict(list)
    for sound in sounds:
        same[sound.content_hash or sound.path].append(sound)
    keys = list(same)
    files = [same[key][0].path for key in keys]
    vectors = _short_vectors(store, [same[key][0] for key in keys])
    with PrintCache(cache_of(store)) as cache:
        cache.add_missing(list(zip(keys, files, strict=True)), progress)
        unread = [path for key, path in zip(keys, files, strict=True) if not cache.has(key)]
        search = _Search(cache, keys, [same[key] for key in keys], share)
        groups = search.groups(search.pairs(vectors, progress))
    size = {id(group): sum(copy.sound.size_bytes for copy in group.copies) for group in groups}
    ordered = sorted(groups, key=lambda group: (-size[id(group)], group.keep.path))
    return Duplicates(tuple(ordered), len(sounds), tuple(unread))


def _short_vectors(store: VectorStore, sounds: Sequence[Sound]) -> FloatArray:
    """(N, D) rows of length 1 for sounds that have too few words to be found by them, zeros for the others."""
    vectors = np.zeros((len(sounds), store.identity.embed_dim), np.float32)
    row = {sound.clip_id: k for k, sound in enumerate(sounds) if sound.duration_s < (FEW_WORDS + 4) * HOP_S}
    if row:
        for entry in store.iterate(f"duration<{(FEW_WORDS + 4) * HOP_S}"):
            if entry.clip_id in row:
                vectors[row[entry.clip_id]] += entry.vector
    return normalise_rows(vectors)


class _Search:
    """The sounds of one search; ``same[k]`` are the files with the content ``keys[k]``."""

    def __init__(self, cache: PrintCache, keys: list[str], same: list[list[Sound]], share: float) -> None:
        self.cache, self.keys, self.same, self.share = cache, keys, same, share
        self.waveforms = Waveforms(read_start)

    def judge(self, first: int, second: int, vote: int | None) -> tuple[float, WaveMatch] | None:
        """Whether two sounds are copies; see ``pairs.judge``."""
        a, b = self.cache.get(self.keys[first]), self.cache.get(self.keys[second])
        if a is None or b is None:
            return None
        return judge((a, b), (self.same[first][0].path, self.same[second][0].path), vote, self.waveforms, self.share)

    def pairs(self, vectors: FloatArray, progress: Progress) -> Pairs:
        """All pairs that are copies."""
        found: Pairs = {}
        for first, second, vote in candidates(self.cache, self.keys, vectors, progress):
            if (first, second) not in found and (match := self.judge(first, second, vote)) is not None:
                found[first, second] = match
        return found

    def groups(self, pairs: Pairs) -> list[Group]:
        """Divide the sounds among the best of them."""
        near: dict[int, set[int]] = defaultdict(set)
        for first, second in pairs:
            near[first].add(second)
            near[second].add(first)
        several = {k for k, files in enumerate(self.same) if len(files) > 1}
        best = {k: sorted(map(_inspected, self.same[k]), key=lambda s: s.quality) for k in several | set(near)}
        groups, left = [], set(best)
        for k in sorted(best, key=lambda k: best[k][0].quality):
            if k not in left:
                continue
            left.discard(k)
            copies = [Copy(sound, ("same bytes",), 1.0) for sound in best[k][1:]]
            self._add_indirect(k, near, left, pairs)
            for other in sorted(near[k] & left):
                left.discard(other)
                copies += self._copies(best[k][0], best[other], pairs, k, other)
            if copies:
                groups.append(Group(best[k][0], tuple(sorted(copies, key=lambda c: (-c.agreement, c.sound.path)))))
        return groups

    def _add_indirect(self, k: int, near: dict[int, set[int]], left: set[int], pairs: Pairs) -> None:
        """Compare a sound with the copies of its copies, which words may not have proposed."""
        for middle in sorted(near[k]):
            for other in sorted((near[middle] - near[k]) & left):
                if other == k:
                    continue
                place_s = _offset_s(pairs, k, middle) + _offset_s(pairs, middle, other)
                vote = round(place_s / HOP_S) if k < other else -round(place_s / HOP_S)
                if (match := self.judge(min(k, other), max(k, other), vote)) is not None:
                    pairs[min(k, other), max(k, other)] = match
                    near[k].add(other)

    def _copies(self, keep: Sound, sounds: list[Sound], pairs: Pairs, k: int, other: int) -> list[Copy]:
        sure, match = pairs[min(k, other), max(k, other)]
        if other < k:  # the match tells of the first sound; the kept one is the second
            match = replace(
                match, offset_s=-match.offset_s, gain_db=-match.gain_db, fade_in_db=-match.fade_in_db,
                fade_out_db=-match.fade_out_db,
            )  # fmt: skip
        return [Copy(sound, tuple(_reasons(keep, sound, sure, match)), sure) for sound in sounds]


def _offset_s(pairs: Pairs, a: int, b: int) -> float:
    """Where sound ``b`` begins in sound ``a``, which are a pair."""
    return pairs[a, b][1].offset_s if a < b else -pairs[b, a][1].offset_s


def _inspected(sound: Sound) -> Sound:
    """With what only the file itself tells."""
    dual = sound.channels > 1 and is_dual_mono(sound.path)
    return replace(sound, bits=bits_of(sound.path), dual_mono=dual)


def _reasons(keep: Sound, sound: Sound, sure: float, match: WaveMatch) -> list[str]:
    """How a copy differs from the kept file, in words."""
    found = []
    if sound.format != keep.format or bool(sound.bits) != bool(keep.bits):
        found.append(f"other format ({sound.format} for {keep.format})")
    elif not sound.bits:
        found.append("encoded again")
    elif sound.bits != keep.bits:
        found.append(f"{sound.bits} bits for {keep.bits}")
    if sound.sample_rate_hz != keep.sample_rate_hz:
        found.append(f"resampled ({sound.sample_rate_hz} Hz for {keep.sample_rate_hz})")
    if sound.channels != keep.channels:
        found.append(
            "dual mono" if sound.dual_mono or keep.dual_mono else f"{sound.channels} channels for {keep.channels}"
        )
    if abs(match.gain_db) >= _LEVEL_DB:
        found.append(f"level {match.gain_db:+.1f} dB")
    if match.inverted:
        found.append("polarity inverted")
    if match.offset_s > _CUT_S:
        found.append(f"{match.offset_s:.2f} s cut from the start")
    if (missing := keep.duration_s - match.offset_s - sound.duration_s) > _CUT_S:
        found.append(f"{missing:.2f} s cut from the end")
    if match.offset_s < -_CUT_S or missing < -_CUT_S:
        found.append(f"{max(0.0, -match.offset_s) + max(0.0, -missing):.2f} s longer")
    if match.fade_in_db < -_FADE_DB:
        found.append("faded in")
    if match.fade_out_db < -_FADE_DB:
        found.append("faded out")
    return found or ["same sound, other tags" if sure > 0.999 else "same sound"]


def result_file(store: VectorStore) -> Path | None:
    """Where the last result of a collection is kept; None for collections that are not a folder."""
    folder = parse_address(store.url).folder
    return None if folder is None else folder / "duplicates.json"


def save_duplicates(found: Duplicates, store: VectorStore) -> None:
    """Keep a result beside the collection, for the page; does nothing where the folder cannot be written."""
    if (place := result_file(store)) is not None:
        with contextlib.suppress(OSError):
            write_json(place, {**found.to_json(), "found_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
