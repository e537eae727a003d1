"""The search engine: one encoder and one store; text or audio in, hits out.

    with SearchEngine.build("~/sounds") as engine:                          # index a folder, then search it
        engine.search("rain on a roof", avoid="thunder", where="duration<30 and channels=2")
    with SearchEngine.open("~/.askaudio/collections/default") as engine:    # an existing collection
        engine.search(audio="growl.wav", more=[Part("text", "human voice", -0.3)])

This file embeds the query and asks the store; ``ranking.py`` decides the order of what is found. An engine may be used
by several threads. It sees what another process adds to the collection within about a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from askaudio.audio.reading import Waveform
from askaudio.audio.stretch import LONGEST_S as LONGEST_STRETCH_S
from askaudio.audio.stretch import decode_stretch
from askaudio.core.errors import ConfigError, UnknownClipError
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray, Json, Progress, silent
from askaudio.encoders.encoder import Encoder, pool_windows
from askaudio.encoders.load import load_encoder
from askaudio.encoders.recording import encode_recording
from askaudio.encoders.tuning import MatchCurve, QueryKind, Tuning
from askaudio.engines.address import default_collection, parse_address
from askaudio.engines.open import check_identity, open_store
from askaudio.index.bookkeeping import Bookkeeping, public_metadata
from askaudio.index.entries import Identity, Match, StoredClip
from askaudio.index.filters import All, Compare, Filter, Not, clips_are
from askaudio.index.ranking import exact_scores, first_of_each_clip
from askaudio.index.store import VectorStore
from askaudio.index.words import WordMatch, split_words
from askaudio.ingest.indexer import Captions, Indexer
from askaudio.ingest.report import Report
from askaudio.moments.cache import PartsCache
from askaudio.moments.fine_pass import LONGEST_S as HIT_S
from askaudio.moments.moment import ClipMoments
from askaudio.search.catalogue import Catalogue, Sort
from askaudio.search.hits import CaptionHit, ClipInfo, Hit, Hits
from askaudio.search.moments import ClipReader, moments_of, read_clip
from askaudio.search.query import AudioSource, Part, make_parts
from askaudio.search.ranking import (
    BY_Z,
    LEAST_WORDS,
    NOTHING_KNOWN,
    SAMPLE,
    Avoided,
    Candidate,
    Lead,
    Ranked,
    Sample,
    background_of,
    by_clip,
    candidates_needed,
    rank_candidates,
    segments,
)
from askaudio.search.reading import TextReader

SILENT = "the sound of the query is silent, so nothing matches it"
_SILENT = 0.9999  # cosine with the vector of silence
_WINDOWS = 16  # windows of a hit that may become its segments, the nearest ones
_MOMENT_WINDOWS = 360  # windows of a recording around which moments are searched: an hour of windows of 10 s
_NEIGHBOURS = 200  # recordings whose captions are compared with a sound


class SearchEngine:
    """Search one collection with one encoder.

    Args:
        store: Open for reading or writing.
        encoder: The encoder that made the vectors of the store.

    Attributes:
        store: The open store.
        encoder: The encoder.
        catalogue: Sorted lists of the recordings, and counts of their formats, folders, ....
        report: What ``build`` did, with the files that could not be read; None for an engine of ``open``.

    Raises:
        IndexStoreError: The store holds another encoder's vectors.
    """

    def __init__(self, store: VectorStore, encoder: Encoder) -> None:
        check_identity(store.identity, Identity.of(encoder, encoder.name), store.url)
        self.store = store
        self.encoder = encoder
        self.catalogue = Catalogue(store)
        self.report: Report | None = None
        self._sample: tuple[str, Sample] | None = None  # of a version of the store
        self._clips: tuple[str, int] | None = None  # number of clips of a version
        self._reader = TextReader(encoder)
        self._silence: FloatArray | None = None  # vector (D,) of silence
        self._tuning: Tuning = getattr(encoder, "tuning", None) or Tuning()
        self._parts = PartsCache()

    @classmethod
    def build(
        cls,
        folders: str | Path | Sequence[str | Path],
        collection: str | Path | None = None,
        model: str | Path | Encoder | None = None,
        *,
        workers: int = 1,
        captions: Captions | None = None,
        progress: Progress = silent,
    ) -> SearchEngine:
        """Make or update a collection from folders of sounds, and open it for search.

        Unchanged files are skipped, so a second call is quick. Files that cannot be read are listed in
        ``engine.report.broken`` with the reason; they are no error. ``askaudio index`` does the same.

        Args:
            folders: One or several folders or files.
            collection: Folder or address, see ``engines/address.py``; "memory:" stores nothing on disk. Default:
                ``$ASKAUDIO_COLLECTION`` or ``~/.askaudio/collections/default``, as on the command line.
            model: Name, folder or encoder. Default: the model that made the collection, for a new one "small".
            workers: Processes that encode. More than 1 need a script that is guarded by
                ``if __name__ == "__main__"``, and a model given by name or folder.
            captions: Path -> one or several captions, to be matched with the words of queries. A ``manifest.jsonl`` in
                one of the folders is read without this.
            progress: Called with files done and to do.

        Returns:
            An open engine; close it, or use it in a ``with`` statement.

        Raises:
            ConfigError: A folder does not exist.
            ModelError: The model cannot be loaded.
            IndexStoreError: The collection holds another encoder's vectors, or another process writes to it.

        Example:
            >>> engine = SearchEngine.build("~/sounds")  # doctest: +SKIP
            >>> engine.report.added, list(engine.report.broken)  # doctest: +SKIP
            (1204, ['/home/me/sounds/empty.wav'])
        """
        folders = [folders] if isinstance(folders, str | Path) else folders
        place = collection or default_collection()
        indexer = Indexer(folders, place, model)
        try:
            report = indexer.update(workers=workers, captions=captions, progress=progress)
            if parse_address(place).kind == "memory":
                engine = cls(indexer.store, indexer.encoder)
            else:
                indexer.close()  # others may write from here on
                engine = cls.open(place, indexer.encoder)
        except BaseException:
            indexer.close()
            raise
        engine.report = report
        return engine

    @classmethod
    def open(cls, collection: str | Path | None = None, encoder: Encoder | None = None) -> SearchEngine:
        """Open a collection for reading.

        Args:
            collection: Folder or address, see ``engines/address.py``. Default: as for ``build``.
            encoder: Default: the model that made the collection is loaded.

        Returns:
            An open engine; close it, or use it in a ``with`` statement.

        Raises:
            CollectionNotFoundError: There is no collection at this address.
            IndexStoreError: It holds another encoder's vectors.
            ModelError: Its model cannot be loaded.

        Example:
            >>> with SearchEngine.open("~/.askaudio/collections/default") as engine:  # doctest: +SKIP
            ...     print(engine.info()["clips"])
            1204
        """
        store = open_store(collection or default_collection())
        try:
            if encoder is None:
                if not store.identity.model:
                    raise ConfigError(f"{store.url} does not say which model made it; name it with --model")
                encoder = load_encoder(store.identity.model)
            return cls(store, encoder)
        except BaseException:
            store.close()
            raise

    # --- search -----------------------------------------------------------------------------------------------
    def search(
        self,
        text: str | Sequence[str] | None = None,
        audio: AudioSource | Sequence[AudioSource] | None = None,
        top_k: int = 10,
        where: str | None = None,
        *,
        like: str | Sequence[str] | None = None,
        avoid: AudioSource | Sequence[AudioSource] | None = None,
        unlike: str | Sequence[str] | None = None,
        more: Sequence[Part] = (),
        words: bool = True,
        fold_twins: bool = True,
        lead: Lead = "match",
        correct_hubs: bool | None = None,
        moments: bool = False,
    ) -> Hits:
        """Find the recordings that answer a query.

        The query is the sum of what is looked for: words, sounds and stored clips, with equal weights unless ``more``
        says otherwise.

        Args:
            text: One or several texts.
            audio: One or several sounds: paths of files, or the bytes of files.
            top_k: Number of recordings to return.
            where: A filter such as ``"duration<3 and tag=rain"``.
            like: Ids of stored clips to look for.
            avoid: What hits should not be like. A string is words; a ``Path`` or bytes is a sound.
            unlike: Ids of stored clips that hits should not be like.
            more: Parts with weights of their own; below zero, clips that are like the part move down.
            words: Also match the query's words with names, tags and captions.
            fold_twins: Fold near-identical takes into one hit.
            lead: Which of these takes is the hit: the best "match", the one with the best "name", or that of the best
                "quality" (lossless, sample rate, bits, channels).
            correct_hubs: Lower sounds that are near to every query (``encoders/tuning.py``); None does it for
                descriptions, where it was measured to help.
            moments: Also fill ``Hit.moments``; ``moments()`` gives the curves too.

        Returns:
            At most top_k hits, best first. The same query gives the same hits.

        Raises:
            ConfigError: The query is empty, or the filter cannot be read or names an unknown field.
            AudioDecodeError: A query sound cannot be decoded.
            UnknownClipError: No clip has this id.
            MissingExtraError: A part has another language than English, and the extra ``languages`` is not installed.

        Example:
            >>> engine.search("rain", avoid="thunder", where="duration<30")  # doctest: +SKIP
            [Hit(rank=1, clip_id='f3a0c1', path='/home/me/sounds/drizzle.wav', score=0.43, match=96.2, ...), ...]
            >>> engine.search("softer", like="f3a0c1")  # doctest: +SKIP
            >>> engine.search(audio="door.wav", avoid=Path("slam.wav"))  # doctest: +SKIP
        """
        parts = make_parts(text, audio, like=like, avoid=avoid, unlike=unlike, more=more)
        hits = self._answer(parts, top_k, self.store.check_filter(where), words, fold_twins, lead, correct_hubs)
        if not moments:
            return hits
        found = self._moments(hits, [part for part in parts if part.weight > 0], HIT_S, read_clip)
        return Hits((replace(hit, moments=own.moments) for hit, own in zip(hits, found, strict=True)), hits.notes)

    def search_many(
        self, queries: Sequence[Sequence[Part]], top_k: int = 10, where: str | None = None, *,
        words: bool = True, fold_twins: bool = True, correct_hubs: bool | None = None,
    ) -> Iterator[Hits]:  # fmt: skip
        """Answer many queries, lazily and in order; each result is what ``search(more=query)`` returns.

        Args:
            queries: The parts of each query.
            top_k: Number of recordings to return for each.
            where: A filter for all of them.
            words: Also match the words of names, tags and captions.
            fold_twins: Fold near-identical takes into one hit.
            correct_hubs: As for ``search``.
        """
        tree = self.store.check_filter(where)
        for parts in queries:
            yield self._answer(make_parts(more=parts), top_k, tree, words, fold_twins, correct_hubs=correct_hubs)

    def similar(self, clip_id: str, top_k: int = 10, where: str | None = None) -> Hits:
        """Recordings that sound like a stored one, without that one.

        Args:
            clip_id: Id of the stored clip.
            top_k: Number of recordings to return.
            where: A filter.

        Raises:
            UnknownClipError: No clip has this id.
        """
        parts = make_parts(more=[Part("clip", clip_id)])
        others: Filter = Not(clips_are([clip_id]))
        tree = self.store.check_filter(where)
        return self._answer(parts, top_k, others if tree is None else All((tree, others)), False, True)

    def captions(self, audio: AudioSource, top_k: int = 10) -> list[CaptionHit]:
        """Stored captions that describe a sound: those of the nearest recordings, ranked by the text tower.

        Args:
            audio: Path of a file, or the bytes of a file.
            top_k: Number of captions to return.

        Raises:
            AudioDecodeError: The sound cannot be decoded.
        """
        query = encode_recording(self.encoder, audio).pooled
        captioned = Compare("caption", "~", ("",))
        owner: dict[str, str] = {}
        for candidate in self._candidates(query, _NEIGHBOURS, captioned):
            value = candidate.metadata.get("caption")
            for caption in value if isinstance(value, list) else [value]:
                owner.setdefault(str(caption), candidate.clip_id)
        if not owner:
            return []
        texts = sorted(owner)
        scores = exact_scores(query, self.encoder.encode_text(texts))
        order = sorted(range(len(texts)), key=lambda i: (-scores[i], texts[i]))[:top_k]
        return [CaptionHit(n, texts[i], float(scores[i]), owner[texts[i]]) for n, i in enumerate(order, start=1)]

    # --- moments ----------------------------------------------------------------------------------------------
    def moments(
        self,
        clips: Sequence[Hit | str],
        text: str | Sequence[str] | None = None,
        audio: AudioSource | Sequence[AudioSource] | None = None,
        *,
        like: str | Sequence[str] | None = None,
        more: Sequence[Part] = (),
        longest_s: float = HIT_S,
        read: ClipReader = read_clip,
    ) -> list[ClipMoments]:
        """Find the stretches inside of recordings that answer a query, to about 0.3 s.

        Of each recording the best windows and some seconds around them are examined, up to ``longest_s`` in all. What
        is computed of a sound is kept on disk, so the next query about it is quick (``moments/cache.py``).

        Args:
            clips: Hits of a search, or ids of stored clips.
            text: As for ``search``.
            audio: As for ``search``.
            like: As for ``search``.
            more: As for ``search``; parts with a negative weight are ignored.
            longest_s: Seconds to examine in each recording; a large number finds all moments of a long one.
            read: Decodes a stretch of a stored recording.

        Returns:
            For each clip, in the given order: moments, best first, and the curve of the match. A recording that cannot
            be read has no moments; ``reason`` says why.

        Raises:
            ConfigError: The query is empty.
            AudioDecodeError: A query sound cannot be decoded.
            UnknownClipError: No clip has this id.

        Example:
            >>> hits = engine.search("dog barks")  # doctest: +SKIP
            >>> engine.moments(hits, "dog barks")[0].moments  # doctest: +SKIP
            (Moment(start_s=12.3, end_s=12.9, score=0.41), Moment(start_s=31.0, end_s=31.8, score=0.38))
        """
        parts = make_parts(text, audio, like=like, more=more)
        return self._moments(clips, [part for part in parts if part.weight > 0], longest_s, read)

    # --- stored clips -----------------------------------------------------------------------------------------
    def clip(self, clip_id: str) -> ClipInfo:
        """One stored recording.

        Raises:
            UnknownClipError: No clip has this id.
        """
        found = self.store.clips(clips_are([clip_id]))
        if not found:
            raise UnknownClipError(clip_id, self.store.url)
        return _clip_info(found[0], sum(c.windows for c in found))

    def clips(self, offset: int = 0, limit: int = 100, where: str | None = None) -> list[ClipInfo]:
        """Stored recordings in the order of their ids.

        Args:
            offset: Recordings to skip.
            limit: Most recordings to return.
            where: A filter.
        """
        return [_clip_info(c, c.windows) for c in self.store.clips(self.store.check_filter(where), offset, limit)]

    def clips_sorted(
        self, sort: Sort, descending: bool = False, offset: int = 0, limit: int = 100, where: str | None = None
    ) -> list[ClipInfo]:
        """Stored recordings by name, duration, date, loudness or brightness; those without this fact come last.

        Args:
            sort: What to sort by.
            descending: Largest first.
            offset: Recordings to skip.
            limit: Most recordings to return.
            where: A filter.
        """
        ids = self.catalogue.sorted_ids(sort, descending, self.store.check_filter(where))[offset:][:limit]
        found = {c.clip_id: _clip_info(c, c.windows) for c in self.store.clips(clips_are(ids))} if ids else {}
        return [found[key] for key in ids if key in found]

    def count(self, where: str | None = None) -> int:
        """Number of stored recordings, or of those that pass a filter."""
        return self.catalogue.count(self.store.check_filter(where))

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
        """Close the store: release files and memory."""
        self.store.close()

    def __enter__(self) -> SearchEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------------------------
    def _answer(
        self,
        parts: Sequence[Part],
        top_k: int,
        where: Filter | None,
        words: bool,
        fold_twins: bool,
        lead: Lead = "match",
        correct_hubs: bool | None = None,
    ) -> Hits:
        if top_k < 1:
            raise ConfigError(f"top_k is {top_k}; expected 1 or more")
        sought = [part for part in parts if part.weight > 0]
        avoided = [part for part in parts if part.weight < 0]
        vectors = [self._embed(part) for part in sought]
        plain = normalise_rows(np.sum([p.weight * row for p, row in zip(sought, vectors, strict=True)], axis=0))
        query = self._corrected(sought, vectors, plain, correct_hubs)
        notes, curve = self._judged(sought, vectors)
        count = candidates_needed(top_k, bool(avoided))
        candidates = self._candidates(query, count, where)
        named = self._named(sought, count, where) if words else []
        ranked = rank_candidates(
            self._add_named(candidates, query, [m.clip_id for m in named], where),
            query,
            self._sampled(),
            top_k,
            avoided=self._avoided(sought, avoided),
            named=named,
            fold_twins=fold_twins,
            lead=lead,
            curve=curve,
            uncorrected=None if query is plain else plain,
        )
        windows = self._all_windows(query, [r.candidate for r in ranked], where)
        if query is not plain:
            ranked = self._with_cosines(ranked, windows, plain)
        return Hits((_hit(rank, r, windows.get(r.candidate.clip_id)) for rank, r in enumerate(ranked, start=1)), notes)

    def _corrected(
        self, sought: Sequence[Part], vectors: Sequence[FloatArray], plain: FloatArray, correct_hubs: bool | None
    ) -> FloatArray:
        """The query (D,) with the correction of hubs, or ``plain`` itself where there is none."""
        taken = []
        for part in sought if correct_hubs is not False else ():
            hub = self._tuning.hubs.get(_kind(part))
            short = part.kind == "text" and hub is not None and len(str(part.value).split()) < hub.least_words
            if hub is not None and (correct_hubs or not short):
                taken.append(part.weight * hub.taken)
        if not taken:
            return plain
        whole = np.sum([part.weight * row for part, row in zip(sought, vectors, strict=True)], axis=0)
        return normalise_rows(whole - np.sum(taken, axis=0))

    def _judged(self, sought: Sequence[Part], vectors: Sequence[FloatArray]) -> tuple[tuple[str, ...], MatchCurve]:
        """What the user should know about a query, and the curve that gives ``match``."""
        readings = [self._reader.read(str(p.value), p.language) for p in sought if p.kind == "text"]
        notes = tuple(reading.note for reading in readings if reading.note)
        if any(p.kind == "audio" and self._is_silent(row) for p, row in zip(sought, vectors, strict=True)):
            return (*notes, SILENT), NOTHING_KNOWN
        kinds = {_kind(part) for part in sought}
        if kinds == {"text"} and not any(reading.known for reading in readings):
            return notes, NOTHING_KNOWN
        return notes, self._tuning.match.get(kinds.pop(), BY_Z) if len(kinds) == 1 else BY_Z

    def _is_silent(self, vector: FloatArray) -> bool:
        """Whether a sound (D,) is encoded like silence; only asked of models that were measured."""
        if not self._tuning.match:
            return False
        if self._silence is None:
            samples = round(self.encoder.window_s * self.encoder.sample_rate_hz)
            self._silence = self.encoder.encode_audio([np.zeros(samples, np.float32)])[0]
        return float(self._silence @ vector) > _SILENT

    def _with_cosines(
        self, ranked: Sequence[Ranked], windows: dict[str, list[Match]], query: FloatArray
    ) -> list[Ranked]:
        """Give all windows of hits their cosine with the query (D,) in place of the corrected score."""
        found = [windows.get(r.candidate.clip_id, r.candidate.windows) for r in ranked]
        for match in {id(match): match for matches in found for match in matches}.values():
            match.score = float(exact_scores(query, match.vector[None])[0])
        for r in ranked:
            r.candidate.best.score = float(exact_scores(query, r.candidate.best.vector[None])[0])
        median = background_of(query, self._sampled().vectors).median
        return [replace(r, median=median) for r in ranked]

    def _query(self, sought: Sequence[Part]) -> FloatArray:
        """Vector (D,) of length 1 of all that is looked for."""
        return normalise_rows(np.sum([part.weight * self._embed(part) for part in sought], axis=0))

    def _moments(
        self, clips: Sequence[Hit | str], sought: Sequence[Part], longest_s: float, read: ClipReader
    ) -> list[ClipMoments]:
        query = self._query(sought)
        ids = [clip if isinstance(clip, str) else clip.clip_id for clip in clips]
        found = {c.clip_id: c for c in self._rescore(query, sorted(set(ids)), _MOMENT_WINDOWS, None)}
        if unknown := next((clip_id for clip_id in ids if clip_id not in found), None):
            raise UnknownClipError(unknown, self.store.url)
        usual = self._sampled().vectors
        return [
            moments_of(found[i], query, self.encoder, longest_s=longest_s, read=read, cache=self._parts, usual=usual)
            for i in ids
        ]

    def _avoided(self, sought: Sequence[Part], parts: Sequence[Part]) -> list[Avoided]:
        """Parts to avoid; a word that the query also looks for contradicts nothing."""
        wanted = {word for part in sought if part.kind == "text" for word in split_words(str(part.value))}
        words = [split_words(str(part.value)) if part.kind == "text" else [] for part in parts]
        return [
            Avoided(part.weight, self._embed(part), frozenset(own) - wanted)
            for part, own in zip(parts, words, strict=True)
        ]

    def _embed(self, part: Part) -> FloatArray:
        """Vector (D,) of a part."""
        if part.kind == "text":
            return self._reader.read(str(part.value), part.language).vector
        if part.kind == "audio":
            return encode_recording(self.encoder, self._sound(part, part.value)).pooled
        if part.is_stretch:
            return encode_recording(self.encoder, self._sound(part, self.clip(str(part.value)).path)).pooled
        found = [entry.vector for entry in self.store.iterate(clips_are([str(part.value)]))]
        if not found:
            raise UnknownClipError(str(part.value), self.store.url)
        return pool_windows(np.stack(found))

    def _sound(self, part: Part, source: AudioSource) -> AudioSource | Waveform:
        """A source, or the stretch of it that a part names."""
        if not part.is_stretch:
            return source
        start_s = part.start_s or 0.0
        end_s = start_s + LONGEST_STRETCH_S if part.end_s is None else part.end_s
        rate = self.encoder.sample_rate_hz
        return Waveform(decode_stretch(source, rate, start_s, end_s), rate)

    def _candidates(self, query: FloatArray, clips: int, where: Filter | None) -> list[Candidate]:
        """The nearest recordings, ``clips`` of them if there are that many, best first.

        The store ranks windows and one recording may have many, so more windows are fetched until they suffice.
        """
        fetch = 2 * clips
        while True:
            matches = self.store.search(query, fetch, where)[0]
            found = by_clip(matches)
            if len(found) >= clips or len(matches) < fetch:
                return found[:clips]
            fetch *= 4

    def _named(self, sought: Sequence[Part], count: int, where: Filter | None) -> list[WordMatch]:
        """Recordings whose name, tags or caption carry enough of the query's words."""
        text = " ".join(str(part.value) for part in sought if part.kind == "text")
        found = self.store.find_words(text, count, where) if text else []
        return [match for match in found if match.named or match.score >= LEAST_WORDS]

    def _add_named(
        self, found: list[Candidate], query: FloatArray, named: Sequence[str], where: Filter | None
    ) -> list[Candidate]:
        """Add named recordings whose vectors are too far from the query to be found; in the order of their scores."""
        missing = sorted(set(named) - {c.clip_id for c in found})
        if not missing:
            return found
        more = self._rescore(query, missing, 1, where)
        return sorted([*found, *more], key=lambda c: (-c.best.score, c.best.entry_id))

    def _all_windows(
        self, query: FloatArray, hits: Sequence[Candidate], where: Filter | None
    ) -> dict[str, list[Match]]:
        """Windows of the hits that the search found only in part: the others are too far from the query."""
        partly = [c.clip_id for c in hits if Bookkeeping.of(c.metadata).windows != len(c.windows)]
        return {c.clip_id: c.windows for c in self._rescore(query, partly, _WINDOWS, where)}

    def _rescore(self, query: FloatArray, clip_ids: Sequence[str], each: int, where: Filter | None) -> list[Candidate]:
        """Given recordings with their best windows, at most ``each``, among those that satisfy the filter."""
        if not clip_ids or where is None:
            return by_clip(self.store.best_windows(query, clip_ids, each))
        both = All((clips_are(clip_ids), where))
        return by_clip(first_of_each_clip(self.store.search(query, _WINDOWS * len(clip_ids), both)[0], each))

    def _count_clips(self) -> int:
        version = self.store.version()
        if self._clips is None or self._clips[0] != version:
            self._clips = version, self.store.count_clips()
        return self._clips[1]

    def _sampled(self) -> Sample:
        version = self.store.version()
        if self._sample is None or self._sample[0] != version:
            self._sample = version, Sample(self.store.sample(SAMPLE))
        return self._sample[1]


def _kind(part: Part) -> QueryKind:
    return "text" if part.kind == "text" else "sound"


def _hit(rank: int, ranked: Ranked, windows: Sequence[Match] | None) -> Hit:
    """A hit; ``windows`` are all of its windows where the search found only some and the clip still exists."""
    found = segments(windows or ranked.candidate.windows, ranked.median)
    best = ranked.candidate.best
    return Hit(
        rank=rank,
        clip_id=best.clip_id,
        path=best.path,
        score=best.score,
        match=ranked.match,
        start_s=found[0].start_s,
        end_s=found[0].end_s,
        segments=found,
        words=ranked.candidate.words,
        twins=ranked.twins,
        metadata=public_metadata(best.metadata),
    )


def _clip_info(clip: StoredClip, windows: int) -> ClipInfo:
    stamp = Bookkeeping.of(clip.metadata).stamp
    return ClipInfo(clip.clip_id, clip.path, windows, public_metadata(clip.metadata), stamp)
