"""The search engine: one encoder and one store; text or audio in, hits out.

    with SearchEngine.open("~/.askaudio/collections/default") as engine:   # the encoder that made the collection
        engine.search("zombie growls", top_k=10, where="duration<3 and channels=2 and tag=rain")
        engine.search(audio="growl.wav", more=[Part("text", "human voice", -1.0)])

A query's positive parts become one vector. Found windows are grouped by recording; what the query should not sound
like pushes recordings down; names and tags that carry the query's words lift them; near-identical takes are folded.
Safe to call from several threads; a reader sees what a writer adds without being reopened (within a second or so).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from askaudio.core.errors import ConfigError, UnknownClipError
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray, Json
from askaudio.encoders.encoder import Encoder, pool_windows
from askaudio.encoders.load import load
from askaudio.encoders.recording import encode_recording
from askaudio.engines.open import check_identity, open_store
from askaudio.index.entries import Identity, Match
from askaudio.index.filters import All, Compare, Filter, Not, clips_are, parse_filter
from askaudio.index.ranking import exact_scores
from askaudio.index.store import VectorStore, first_of_each_clip
from askaudio.search.background import SAMPLE, Background, as_match, background_of, twin_cosine
from askaudio.search.hits import CaptionHit, ClipInfo, Hit, Twin
from askaudio.search.merge import LEAST_WORDS, Candidate, by_clip, fuse, segments
from askaudio.search.query import AudioSource, Part, make_parts

_TEXTS_KEPT = 1024
_WINDOWS = 16  # windows of a hit that may become its segments, the nearest ones
_NEIGHBOURS = 200  # recordings whose captions are tried for a sound


class SearchEngine:
    """Search one collection with one encoder.

    Args:
        store: Open for reading.
        encoder: The one whose vectors the store holds.

    Raises:
        IndexStoreError: The store holds another encoder's vectors.
    """

    def __init__(self, store: VectorStore, encoder: Encoder) -> None:
        check_identity(store.identity, Identity(encoder.fingerprint, encoder.embed_dim, encoder.name), store.url)
        self.store = store
        self.encoder = encoder
        self._sample: _Sampled | None = None
        self._clips: tuple[str, int] | None = None  # number of clips of a version
        # people go back to what they asked: the vectors of the last texts are kept (2 MB at D = 512)
        self._text = lru_cache(_TEXTS_KEPT)(lambda text: encoder.encode_text([text])[0])

    @classmethod
    def open(cls, collection: str | Path, encoder: Encoder | None = None) -> SearchEngine:
        """Open a collection for reading.

        Args:
            collection: Folder or address, see ``engines/open.py``.
            encoder: Without one, the model that made the collection is loaded.

        Raises:
            IndexStoreError: No such collection, or it holds another encoder's vectors.
            ModelError: Its model cannot be loaded.
        """
        store = open_store(collection)
        try:
            if encoder is None:
                if not store.identity.model:
                    raise ConfigError(f"{store.url} does not say which model made it; name it with --model")
                encoder = load(store.identity.model)
            return cls(store, encoder)
        except BaseException:
            store.close()
            raise

    # --- asking -----------------------------------------------------------------------------------------------
    def search(
        self,
        text: str | Sequence[str] | None = None,
        audio: AudioSource | Sequence[AudioSource] | None = None,
        top_k: int = 10,
        where: str | None = None,
        *,
        more: Sequence[Part] = (),
        words: bool = True,
        fold_twins: bool = True,
    ) -> list[Hit]:
        """Find the recordings that answer a query.

        Args:
            text: Words, or several texts of equal weight.
            audio: A sound file, its bytes, or several.
            top_k: How many recordings to return.
            where: A filter such as ``"duration<3 and tag=rain"``.
            more: Further parts with weights; below zero, what the hits should not sound like.
            words: Let names, tags and captions that carry the query's words count too.
            fold_twins: Fold near-identical takes into one hit.

        Returns:
            At most top_k hits, best first; the same query gives the same hits.

        Raises:
            ConfigError: Nothing is asked, or the filter cannot be read.
            AudioDecodeError: A query sound cannot be decoded.
            UnknownClipError: An unknown clip_id among the parts.
        """
        parts = make_parts(text, audio, more)
        return self._answer(parts, top_k, parse_filter(where), words, fold_twins)

    def search_many(
        self, queries: Sequence[Sequence[Part]], top_k: int = 10, where: str | None = None, *,
        words: bool = True, fold_twins: bool = True,
    ) -> Iterator[list[Hit]]:  # fmt: skip
        """Answer queries one after the other as the results are taken; the same as one ``search`` each."""
        tree = parse_filter(where)
        for parts in queries:
            yield self._answer(make_parts(more=parts), top_k, tree, words, fold_twins)

    def similar(self, clip_id: str, top_k: int = 10, where: str | None = None) -> list[Hit]:
        """Recordings that sound like a stored one, itself left out.

        Raises:
            UnknownClipError: No such clip.
        """
        parts = make_parts(more=[Part("clip", clip_id)])
        others: Filter = Not(clips_are([clip_id]))
        tree = parse_filter(where)
        return self._answer(parts, top_k, others if tree is None else All((tree, others)), False, True)

    def captions(self, audio: AudioSource, top_k: int = 10) -> list[CaptionHit]:
        """Stored captions that describe a sound: those of the nearest recordings, ranked by the text tower.

        Raises:
            AudioDecodeError: The sound cannot be decoded.
        """
        query = self._sound(audio)
        captioned = Compare("caption", "~", ("",))
        owner: dict[str, str] = {}
        for candidate in self._near(query, _NEIGHBOURS, captioned):
            value = candidate.metadata.get("caption")
            for caption in value if isinstance(value, list) else [value]:
                owner.setdefault(str(caption), candidate.clip_id)
        if not owner:
            return []
        texts = sorted(owner)
        scores = exact_scores(query, self.encoder.encode_text(texts))
        order = sorted(range(len(texts)), key=lambda i: (-scores[i], texts[i]))[:top_k]
        return [CaptionHit(n, texts[i], float(scores[i]), owner[texts[i]]) for n, i in enumerate(order, start=1)]

    # --- looking ----------------------------------------------------------------------------------------------
    def clip(self, clip_id: str) -> ClipInfo:
        """One stored recording.

        Raises:
            UnknownClipError: No such clip.
        """
        found = self.store.clips(clips_are([clip_id]))
        if not found:
            raise UnknownClipError(clip_id, self.store.url)
        return ClipInfo(clip_id, found[0].path, sum(c.windows for c in found), found[0].metadata)

    def clips(self, offset: int = 0, limit: int = 100, where: str | None = None) -> list[ClipInfo]:
        """Stored recordings in the order of their ids."""
        found = self.store.clips(where, offset, limit)
        return [ClipInfo(c.clip_id, c.path, c.windows, c.metadata) for c in found]

    def info(self) -> Json:
        """What this engine searches: url, clips, entries, model, fingerprint, embed_dim."""
        identity = self.store.identity
        return {
            "url": self.store.url,
            "clips": self._count_clips(),
            "entries": self.store.count(),
            "model": identity.model or self.encoder.name,
            "fingerprint": identity.fingerprint,
            "embed_dim": identity.embed_dim,
        }

    def close(self) -> None:
        """Let go of files and memory."""
        self.store.close()

    def __enter__(self) -> SearchEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------------------------
    def _answer(
        self, parts: Sequence[Part], top_k: int, where: Filter | None, words: bool, fold_twins: bool
    ) -> list[Hit]:
        if top_k < 1:
            raise ConfigError(f"top_k is {top_k}; expected 1 or more")
        wanted = [part for part in parts if part.weight > 0]
        avoided = [part for part in parts if part.weight < 0]
        vectors = self._embed(wanted)
        query = normalise_rows(np.sum([p.weight * v for p, v in zip(wanted, vectors, strict=True)], axis=0))
        pool = 10 * top_k + 50 if avoided else 2 * top_k + 20
        candidates = self._near(query, pool, where)
        text = " ".join(str(part.value) for part in wanted if part.kind == "text") if words else ""
        found = self.store.find_words(text, pool, where) if text else []
        named = [m for m in found if m.named or m.score >= LEAST_WORDS]
        candidates = self._with_named(candidates, query, [m.clip_id for m in named], where)
        sample = self._sampled()
        background = background_of(query, sample.vectors)
        z = {c.clip_id: background.z(c.best.score) for c in candidates}
        if avoided:
            self._push_down(z, candidates, avoided, sample.vectors)
            candidates.sort(key=lambda c: (-z[c.clip_id], c.clip_id))
        if named:
            carried = {m.clip_id: m.words for m in named}
            for candidate in candidates:
                candidate.words = carried.get(candidate.clip_id, ())
            candidates = fuse(candidates, named)
        twins = _fold(candidates, top_k, sample.twin) if fold_twins else [(c, []) for c in candidates[:top_k]]
        windows = self._windows(query, [c for c, _ in twins], where)
        return [
            _hit(
                rank,
                replace(c, windows=windows.get(c.clip_id, c.windows)),  # gone meanwhile: what was found of it
                also,
                background,
                as_match(z[c.clip_id]) if avoided else background.match(c.best.score),
            )
            for rank, (c, also) in enumerate(twins, start=1)
        ]

    def _embed(self, parts: Sequence[Part]) -> list[FloatArray]:
        """A vector (D,) for each part."""
        return [self._text(str(p.value)) if p.kind == "text" else self._stored_or_sound(p) for p in parts]

    def _stored_or_sound(self, part: Part) -> FloatArray:
        if part.kind == "audio":
            return self._sound(part.value)
        found = [entry.vector for entry in self.store.iterate(clips_are([str(part.value)]))]
        if not found:
            raise UnknownClipError(str(part.value), self.store.url)
        return pool_windows(np.stack(found))

    def _sound(self, audio: AudioSource) -> FloatArray:
        """Vector (D,) of a sound: the mean over its windows."""
        return encode_recording(self.encoder, audio).pooled

    def _near(self, query: FloatArray, clips: int, where: Filter | None) -> list[Candidate]:
        """``clips`` recordings if there are so many, best first: windows are fetched until they suffice."""
        fetch = 2 * clips
        while True:
            matches = self.store.search(query, fetch, where)[0]
            found = by_clip(matches)
            if len(found) >= clips or len(matches) < fetch:
                return found[:clips]
            fetch *= 4

    def _windows(self, query: FloatArray, hits: Sequence[Candidate], where: Filter | None) -> dict[str, list[Match]]:
        """All windows of the hits of which not all were found: some lie too far from the query."""
        partly = [c.clip_id for c in hits if c.metadata.get("windows") != len(c.windows)]
        return {c.clip_id: c.windows for c in self._again(query, partly, _WINDOWS, where)}

    def _with_named(
        self, found: list[Candidate], query: FloatArray, named: Sequence[str], where: Filter | None
    ) -> list[Candidate]:
        """Add recordings that are named as the query says but lie far from it; in the order of their scores."""
        missing = sorted(set(named) - {c.clip_id for c in found})
        if not missing:
            return found
        more = self._again(query, missing, 1, where)
        return sorted([*found, *more], key=lambda c: (-c.best.score, c.best.entry_id))

    def _again(self, query: FloatArray, clip_ids: Sequence[str], each: int, where: Filter | None) -> list[Candidate]:
        """Some recordings with the best windows of each that satisfy the filter."""
        if not clip_ids or where is None:
            return by_clip(self.store.best_windows(query, clip_ids, each))
        asked = All((clips_are(clip_ids), where))
        return by_clip(first_of_each_clip(self.store.search(query, _WINDOWS * len(clip_ids), asked)[0], each))

    def _push_down(
        self, z: dict[str, float], candidates: Sequence[Candidate], avoided: Sequence[Part], sample: FloatArray
    ) -> None:
        """Take from each recording's z as much as it stands out for what is to be avoided."""
        if not candidates:
            return
        vectors = np.stack([c.best.vector for c in candidates])
        for part, unwanted in zip(avoided, self._embed(avoided), strict=True):
            background = background_of(unwanted, sample)
            for candidate, score in zip(candidates, exact_scores(unwanted, vectors), strict=True):
                z[candidate.clip_id] += part.weight * max(0.0, background.z(float(score)))

    def _count_clips(self) -> int:
        version = self.store.version()
        if self._clips is None or self._clips[0] != version:
            self._clips = version, self.store.count_clips()
        return self._clips[1]

    def _sampled(self) -> _Sampled:
        version = self.store.version()
        if self._sample is None or self._sample.version != version:
            vectors = self.store.sample(SAMPLE)
            self._sample = _Sampled(version, vectors, twin_cosine(vectors))
        return self._sample


class _Sampled(NamedTuple):
    """A background of a version of the store, and the cosine from which two takes count as the same in it."""

    version: str
    vectors: FloatArray
    twin: float


def _fold(candidates: Sequence[Candidate], top_k: int, least: float) -> list[tuple[Candidate, list[Twin]]]:
    """The first top_k recordings that differ, each with the takes of at least this cosine that were folded into it."""
    candidates = candidates[: 3 * top_k + 20]
    if not candidates:
        return []
    vectors = np.stack([c.best.vector for c in candidates])  # (M, D)
    alike = vectors @ vectors.T  # (M, M)
    like_one_before: list[bool] = np.any(np.tril(alike >= least, -1), axis=1).tolist()
    kept: list[int] = []
    twins: dict[int, list[Twin]] = {}
    for row, candidate in enumerate(candidates):
        nearest = kept[int(alike[row, kept].argmax())] if like_one_before[row] else row
        if nearest != row and alike[row, nearest] >= least:
            twin = Twin(candidate.clip_id, candidate.best.path, round(float(alike[row, nearest]), 4))
            twins[nearest].append(twin)
        elif len(kept) < top_k:
            kept.append(row)
            twins[row] = []
    return [(candidates[row], twins[row]) for row in kept]


def _hit(rank: int, candidate: Candidate, twins: Sequence[Twin], background: Background, match: float) -> Hit:
    found = segments(candidate.windows, background.median)
    best = candidate.best
    return Hit(
        rank=rank,
        clip_id=candidate.clip_id,
        path=best.path,
        score=best.score,
        match=match,
        start_s=found[0].start_s,
        end_s=found[0].end_s,
        segments=found,
        words=candidate.words,
        twins=tuple(twins),
        metadata=best.metadata,
    )
