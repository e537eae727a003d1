"""Relevance: which gallery items answer which query, binary or graded, as a sparse table.

Text-to-audio has captions as queries and clips as gallery; audio-to-text is the transposed table. It is stored as
compressed rows, so a million clips with five captions each take 60 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import DataError
from askaudio.core.files import fingerprint
from askaudio.core.types import FloatArray, IntArray

By = Literal["caption", "text", "label"]
MAX_GRADE = 100.0


class _Caption(Protocol):
    @property
    def caption_id(self) -> str: ...
    @property
    def text(self) -> str: ...


class CaptionedClip(Protocol):
    """Attributes of a clip that evaluation needs; ``data.manifest.Clip`` has them."""

    @property
    def clip_id(self) -> str:
        """Unique id."""
        ...

    @property
    def captions(self) -> Sequence[Any]:
        """Captions, each with ``caption_id`` and ``text``."""
        ...

    @property
    def group(self) -> str:
        """Recording that the clip was cut from; "" for a recording of its own."""
        ...

    @property
    def label(self) -> str:
        """Class label, or ""."""
        ...


@dataclass(frozen=True)
class Relevance:
    """Relevant gallery items of every query.

    Attributes:
        query_ids: Q unique ids.
        gallery_ids: N unique ids of the items that are ranked.
        indptr: (Q + 1,) start of each query's items in ``items``.
        items: (R,) gallery rows, ascending within a query.
        grades: (R,) grades in (0, 100]; binary relevance is grade 1 everywhere.
        query_units: Q names of the units that the bootstrap resamples: the clip of a caption, or the recording that
            the clip was cut from.
        gallery_units: N names, used by the transposed table.
        texts: Text of each caption or text query, by id.
        kind: ``caption``, ``text``, ``label``, ``given`` or ``graded``; printed in the protocol line.

    Example:
        >>> from askaudio.evaluation.relevance import Relevance
        >>> relevance = Relevance.from_dict({"a dog barks": ["dog.wav"], "an animal": ["dog.wav", "cat.wav"]})
        >>> relevance.gallery_ids
        ('cat.wav', 'dog.wav')
        >>> relevance.transposed().relevant("dog.wav")
        {'a dog barks': 1.0, 'an animal': 1.0}
    """

    query_ids: tuple[str, ...]
    gallery_ids: tuple[str, ...]
    indptr: IntArray
    items: IntArray
    grades: FloatArray
    _: KW_ONLY
    query_units: tuple[str, ...] = ()
    gallery_units: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    kind: str = "given"

    def __post_init__(self) -> None:
        _refuse_repeated(self.query_ids, "query id")
        _refuse_repeated(self.gallery_ids, "gallery id")
        counts = np.diff(self.indptr)
        if not len(counts):
            raise DataError("no query to score; is the split empty, or has it no captions?")
        if counts.min() == 0:
            empty = [self.query_ids[i] for i in np.flatnonzero(counts == 0)[:3]]
            raise DataError(
                f"{int((counts == 0).sum())} queries have no relevant item in the gallery (first: {', '.join(empty)}); "
                "leave these queries out, or add their clips to the gallery"
            )
        if not (np.isfinite(self.grades).all() and self.grades.min() > 0 and self.grades.max() <= MAX_GRADE):
            raise DataError("grades must be above 0 and at most 100; leave pairs of grade 0 out")
        object.__setattr__(self, "query_units", self.query_units or self.query_ids)
        object.__setattr__(self, "gallery_units", self.gallery_units or self.gallery_ids)

    @property
    def n_queries(self) -> int:
        """Q."""
        return len(self.query_ids)

    @property
    def n_gallery(self) -> int:
        """N."""
        return len(self.gallery_ids)

    @property
    def counts(self) -> IntArray:
        """(Q,) number of relevant items of each query."""
        return np.diff(self.indptr)

    @property
    def fingerprint(self) -> str:
        """16 hex digits: equal for the same queries, gallery and judgements in any order."""
        owner = np.repeat(np.arange(self.n_queries), self.counts).tolist()
        rows = zip(owner, self.items.tolist(), self.grades.tolist(), strict=True)
        pairs = [f"{self.query_ids[q]}\t{self.gallery_ids[i]}\t{grade:g}" for q, i, grade in rows]
        return fingerprint([sorted(pairs), sorted(self.gallery_ids)])

    def relevant(self, query_id: str) -> dict[str, float]:
        """Grades of one query's relevant items by gallery id."""
        q = self.query_ids.index(query_id)
        span = slice(self.indptr[q], self.indptr[q + 1])
        return {self.gallery_ids[i]: float(g) for i, g in zip(self.items[span], self.grades[span], strict=True)}

    def transposed(self) -> Relevance:
        """The other direction: gallery items become queries. Items that answer no query are left out."""
        rows = np.repeat(np.arange(self.n_queries), self.counts)
        order = np.lexsort((rows, self.items))
        counts = np.bincount(self.items, minlength=self.n_gallery)
        keep = np.flatnonzero(counts)
        return Relevance(
            query_ids=tuple(self.gallery_ids[i] for i in keep),
            gallery_ids=self.query_ids,
            indptr=np.concatenate([[0], np.cumsum(counts[keep])]).astype(np.int64),
            items=rows[order].astype(np.int64),
            grades=self.grades[order],
            query_units=tuple(self.gallery_units[i] for i in keep),
            gallery_units=self.query_units,
            texts=self.texts,
            kind=self.kind,
        )

    def at_least(self, grade: float) -> Relevance:
        """Binary relevance of the items of at least this grade; queries without such an item are left out."""
        keep = self.grades >= grade
        counts = np.bincount(np.repeat(np.arange(self.n_queries), self.counts)[keep], minlength=self.n_queries)
        rows = np.flatnonzero(counts)
        return Relevance(
            query_ids=tuple(self.query_ids[q] for q in rows),
            gallery_ids=self.gallery_ids,
            indptr=np.concatenate([[0], np.cumsum(counts[rows])]).astype(np.int64),
            items=self.items[keep],
            grades=np.ones(int(keep.sum()), dtype=np.float32),
            query_units=tuple(self.query_units[q] for q in rows),
            gallery_units=self.gallery_units,
            texts=self.texts,
            kind=f"grade {grade:g} or more",
        )

    @classmethod
    def from_clips(cls, clips: Iterable[CaptionedClip], by: By = "caption") -> Relevance:
        """Text-to-audio relevance of captioned clips.

        Args:
            clips: The gallery, in order; clips without a caption (or label) remain in it as distractors.
            by: ``caption``: every caption is a query and its own clip the only answer (the usual protocol);
                ``text``: every distinct text is a query, answered by all clips that have it;
                ``label``: every distinct label is a query (underscores read as spaces), answered by its clips.
        """
        clips = list(clips)
        judged: dict[str, dict[int, float]] = {}
        texts: dict[str, str] = {}
        units: list[str] = []
        for row, clip in enumerate(clips):
            for query_id, text in _queries_of(clip, by):
                if query_id not in judged:
                    judged[query_id], texts[query_id] = {}, text
                    units.append((clip.group or clip.clip_id) if by == "caption" else query_id)
                judged[query_id][row] = 1.0
        indptr, items, grades = _rows(judged.values())
        return cls(
            query_ids=tuple(judged),
            gallery_ids=tuple(c.clip_id for c in clips),
            indptr=indptr,
            items=items,
            grades=grades,
            query_units=tuple(units),
            gallery_units=tuple(c.group or c.clip_id for c in clips),
            texts=texts,
            kind=by,
        )

    @classmethod
    def from_owner(
        cls,
        caption_clip: npt.ArrayLike,
        n_clips: int | None = None,
        *,
        caption_ids: Sequence[str] | None = None,
        clip_ids: Sequence[str] | None = None,
        texts: Sequence[str] | None = None,
    ) -> Relevance:
        """Text-to-audio relevance from the clip row of each caption.

        Args:
            caption_clip: (Q,) row of the clip that owns each caption.
            n_clips: N; default the largest row plus one.
            caption_ids: Q ids; default ``q0``, ``q1`` ...
            clip_ids: N ids; default ``c0``, ``c1`` ...
            texts: Q caption texts.

        Raises:
            DataError: A row outside the gallery, or a number of ids that does not fit.
        """
        owner = np.asarray(caption_clip, dtype=np.int64)
        size = n_clips if n_clips is not None else (len(clip_ids) if clip_ids is not None else int(owner.max()) + 1)
        if owner.ndim != 1 or (len(owner) and (owner.min() < 0 or owner.max() >= size)):
            raise DataError(f"caption_clip must be (Q,) rows in 0..{size - 1}, got shape {owner.shape}")
        queries = tuple(caption_ids) if caption_ids is not None else tuple(f"q{i}" for i in range(len(owner)))
        gallery = tuple(clip_ids) if clip_ids is not None else tuple(f"c{i}" for i in range(size))
        if len(queries) != len(owner) or len(gallery) != size:
            raise DataError(f"{len(queries)} caption ids for {len(owner)} captions, {len(gallery)} clip ids for {size}")
        return cls(
            query_ids=queries,
            gallery_ids=gallery,
            indptr=np.arange(len(owner) + 1),
            items=owner,
            grades=np.ones(len(owner), dtype=np.float32),
            query_units=tuple(gallery[i] for i in owner),
            texts=dict(zip(queries, texts, strict=True)) if texts is not None else {},
            kind="caption",
        )

    @classmethod
    def from_dict(
        cls,
        judged: Mapping[str, Mapping[str, float] | Iterable[str]],
        gallery_ids: Iterable[str] | None = None,
        kind: str = "given",
    ) -> Relevance:
        """Relevance from ``{query_id: {gallery_id: grade}}`` or ``{query_id: [gallery_id, ...]}``.

        Args:
            judged: Judgements; a grade of 0 is the same as no entry.
            gallery_ids: The gallery; default every judged id, sorted. Pass it whenever the gallery has other items too.
            kind: Word in the protocol line.

        Raises:
            DataError: An id that is not in the gallery, a grade outside 0..100, a query without an answer.
        """
        graded = {q: dict(v) if isinstance(v, Mapping) else dict.fromkeys(v, 1.0) for q, v in judged.items()}
        gallery = sorted({g for row in graded.values() for g in row}) if gallery_ids is None else list(gallery_ids)
        place = {g: i for i, g in enumerate(gallery)}
        rows = []
        for query, row in graded.items():
            unknown = [g for g in row if g not in place]
            if unknown:
                raise DataError(f"query {query!r}: {unknown[0]!r} is not in the gallery of {len(gallery)} items")
            rows.append({place[g]: float(grade) for g, grade in row.items() if grade != 0})
        indptr, items, grades = _rows(rows)
        return cls(tuple(graded), tuple(gallery), indptr, items, grades, kind=kind)


def _queries_of(clip: CaptionedClip, by: By) -> list[tuple[str, str]]:
    if by == "label":
        return [(clip.label, clip.label.replace("_", " "))] if clip.label else []
    if by == "text":
        return [(c.text, c.text) for c in clip.captions]
    if by != "caption":
        raise DataError(f"relevance is by caption, text or label, got {by!r}")
    return [(c.caption_id, c.text) for c in clip.captions]


def _rows(rows: Iterable[Mapping[int, float]]) -> tuple[IntArray, IntArray, FloatArray]:
    counts, items, grades = [0], [], []
    for row in rows:
        ordered = sorted(row)
        counts.append(len(ordered))
        items += ordered
        grades += [row[i] for i in ordered]
    return np.cumsum(counts), np.array(items, dtype=np.int64), np.array(grades, dtype=np.float32)


def _refuse_repeated(ids: Sequence[str], what: str) -> None:
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
    raise DataError(f"{what} {twice!r} occurs twice; ids must be unique")
