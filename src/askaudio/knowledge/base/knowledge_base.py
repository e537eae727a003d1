"""The knowledge base: an immutable, versioned snapshot of audio and text embeddings from outside the batch.

An entry is a pair (clip, caption); a clip may have several. Entries without audio (captions alone, or the classes of an
ontology) hold zeros there and are masked out wherever audio is needed. Cost: 2 N D numbers, 2 bytes each in the
default bfloat16 (N = 50,000, D = 512: 102 MB); with several processes each may hold its part (``sharded``).

Knowledge is training data: give a ``LeakFilter`` with the evaluation splits when a base is made from outside sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from askaudio.core.errors import DataError
from askaudio.core.processes import world_size
from askaudio.knowledge.base.entries import EntryIndex
from askaudio.knowledge.base.leaks import LeakFilter
from askaudio.knowledge.base.shards import Shard

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Rows of the base (n,) int64 -> fresh (audio (n, D), text (n, D)); called without gradient, in pieces."""


@dataclass(frozen=True)
class KnowledgeBase:
    """A snapshot of N entries; make one with ``from_pairs`` or ``encoded``, join several with ``combine``.

    Attributes:
        index: Ids, sources and audio mask of the rows.
        audio: (N, D) rows of length 1, zeros where an entry has no audio.
        text: (N, D) rows of length 1.
        encoder: Fingerprint of the encoders that made the rows.
        version: Grows by 1 at each refresh.
        shard: Which rows ``audio`` and ``text`` hold, where the base is divided among processes; None for all.
        mapped: The rows are those of files (``mapped.py``), which are the state of the base.

    Example:
        >>> import torch
        >>> base = KnowledgeBase.from_pairs(["a", "b", "b"], torch.randn(3, 8), torch.randn(3, 8))
        >>> len(base), base.dim, base.index.n_clips
        (3, 8, 2)
    """

    index: EntryIndex
    audio: Tensor
    text: Tensor
    encoder: str = ""
    version: int = 0
    shard: Shard | None = None
    mapped: bool = False

    @classmethod
    def from_pairs(
        cls,
        ids: Sequence[Hashable] | Tensor,
        audio: Tensor | None,
        text: Tensor,
        *,
        source: str = "training",
        texts: Sequence[str] | None = None,
        leaks: LeakFilter | None = None,
        encoder: str = "",
        dtype: torch.dtype = torch.bfloat16,
    ) -> KnowledgeBase:
        """Make a base from embeddings of pairs.

        Args:
            ids: N clip ids, or a tensor (N,) of whole numbers; several entries of one clip share its id.
            audio: (N, D), scaled to length 1 here; None for text-only or class-level entries.
            text: (N, D), scaled to length 1 here.
            source: Name of the source, for example "training", "external", "text" or "classes".
            texts: N captions; needed where ``leaks`` looks at texts, and not kept.
            leaks: Refuses or skips entries of the evaluation splits.
            encoder: Fingerprint of the encoders.
            dtype: Storage type: bfloat16 (fastest on a CPU), float16 or float32; float64 for tests.

        Returns:
            The base, version 0.

        Raises:
            DataError: Lengths or widths differ, values are not finite, or an evaluation clip or text is among the
                entries and the filter refuses.
        """
        _check_rows(ids, audio, text, texts)
        if leaks is not None:
            ids = ids.tolist() if isinstance(ids, Tensor) else ids
            keep = leaks.keep(ids, texts, source)
            rows = torch.tensor([row for row, kept in enumerate(keep) if kept], dtype=torch.long)
            ids = [ids[row] for row in rows.tolist()]
            text = text[rows]
            audio = None if audio is None else audio[rows]
        has_audio = torch.full((len(ids),), audio is not None, dtype=torch.bool)
        index = EntryIndex(ids, source, has_audio)
        audio = torch.zeros_like(text) if audio is None else audio
        return cls(index, stored(audio, dtype), stored(text, dtype), encoder)

    @classmethod
    def encoded(
        cls,
        ids: Sequence[Hashable],
        encode: Encode,
        *,
        source: str = "training",
        texts: Sequence[str] | None = None,
        leaks: LeakFilter | None = None,
        encoder: str = "",
        dtype: torch.dtype = torch.bfloat16,
        piece: int = 4096,
    ) -> KnowledgeBase:
        """Make a base by calling ``encode`` on rows 0..N-1 in pieces.

        With a skipping leak filter the rows of the base are no longer those of ``encode``: filter the ids first. With
        several processes each encodes its part, and the base is divided among them (``whole`` puts it together);
        with a leak filter, which may drop rows, each encodes all.

        Args:
            ids: N clip ids, in the order of the rows that ``encode`` takes.
            encode: Called with rows (n,) int64, n <= ``piece``, on the CPU; returns audio (n, D) and text (n, D).
            source: Name of the source, as in ``from_pairs``.
            texts: N captions for the leak filter; None where it compares no captions.
            leaks: Refuses or skips entries of the evaluation splits; None checks nothing.
            encoder: Fingerprint of the encoders.
            dtype: Storage type of the embeddings.
            piece: Most rows in one call of ``encode``: it bounds the memory of the encoding.

        Returns:
            The base, version 0; with several processes and no leak filter, this process's shard of it.

        Raises:
            DataError: As in ``from_pairs``.
        """
        divided = leaks is None and 1 < world_size() <= len(ids)
        mine = Shard.of(len(ids)) if divided else Shard(0, len(ids), len(ids))
        audio, text = encode_rows(encode, torch.arange(mine.start, mine.stop), piece)
        part = cls.from_pairs(
            ids[mine.start : mine.stop], audio, text,
            source=source, texts=texts, leaks=leaks, encoder=encoder, dtype=dtype,
        )  # fmt: skip
        if not divided:
            return part
        return replace(part, index=EntryIndex(ids, source, torch.ones(len(ids), dtype=torch.bool)), shard=mine)

    @classmethod
    def combine(cls, bases: Sequence[KnowledgeBase]) -> KnowledgeBase:
        """Join bases of several sources, in order.

        Raises:
            DataError: No base, different widths or types, or one clip id in two sources.
        """
        if not bases:
            raise DataError("combine needs at least one knowledge base")
        bases = [base.whole() for base in bases]
        kinds = {(b.dim, b.audio.dtype) for b in bases}
        if len(kinds) > 1:
            raise DataError(f"bases of different width or type cannot be joined: {sorted(map(str, kinds))}")
        source_of: dict[Hashable, str] = {}
        for base in bases:
            for one, source in zip(base.index.listed_ids(), base.index.sources, strict=True):
                if source_of.setdefault(one, source) != source:
                    raise DataError(
                        f"clip id {one!r} is in the sources {source_of[one]!r} and {source!r}; "
                        "give ids a prefix of their corpus"
                    )
        index = EntryIndex(
            [one for b in bases for one in b.index.listed_ids()],
            [source for b in bases for source in b.index.sources],
            torch.cat([b.index.has_audio for b in bases]),
        )
        encoder = "+".join(dict.fromkeys(b.encoder for b in bases if b.encoder))
        return cls(index, torch.cat([b.audio for b in bases]), torch.cat([b.text for b in bases]), encoder)

    @classmethod
    def random(cls, like: KnowledgeBase, seed: int = 0) -> KnowledgeBase:
        """A base of random directions with the ids of ``like``: the null model that must not help."""
        generator = torch.Generator().manual_seed(seed)
        audio, text = (torch.randn(len(like), like.dim, generator=generator) for _ in range(2))
        audio = audio * like.index.has_audio[:, None]
        return cls(like.index, stored(audio, like.audio.dtype), stored(text, like.text.dtype), "random")

    def __len__(self) -> int:
        return len(self.index)

    @property
    def dim(self) -> int:
        """D."""
        return self.text.shape[1]

    @property
    def has_audio(self) -> Tensor:
        """(n,) audio mask of the rows that are here."""
        return self.index.has_audio if self.shard is None else self.index.has_audio[self.shard.start : self.shard.stop]

    def sharded(self) -> KnowledgeBase:
        """The part of this process, where there are several; else the base itself."""
        if self.shard is not None or world_size() == 1 or len(self) < world_size():
            return self
        mine = Shard.of(len(self))
        audio, text = (x[mine.start : mine.stop] for x in (self.audio, self.text))
        return replace(self, audio=audio, text=text, shard=mine).copied()  # so that the other rows can be released

    def copied(self) -> KnowledgeBase:
        """A base whose rows may be written in place: a copy; rows in files are meant to be written and stay shared."""
        return self if self.mapped else replace(self, audio=self.audio.clone(), text=self.text.clone())

    def whole(self) -> KnowledgeBase:
        """All rows on every process."""
        if self.shard is None:
            return self
        return replace(self, audio=self.shard.whole(self.audio), text=self.shard.whole(self.text), shard=None)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name ids, sources, values, encoder and version."""
        if self.shard is not None:
            return self.whole().fingerprint
        digest = hashlib.sha256(
            repr((self.index.listed_ids(), self.index.sources, self.encoder, self.version)).encode()
        )
        for x in (self.audio, self.text):
            digest.update(str(x.dtype).encode())
            digest.update(x.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def refreshed(self, audio: Tensor, text: Tensor, encoder: str | None = None) -> KnowledgeBase:
        """The same entries with fresh embeddings and the next version.

        Args:
            audio: (N, D) in the order of the base; of a divided base, this process's rows only. Rows of entries without
                audio are replaced by zeros.
            text: (N, D) likewise.
            encoder: Fingerprint of the encoders that made them; None keeps the one of the base.

        Returns:
            A new base; this one is unchanged.

        Raises:
            DataError: Shapes differ from the base's, or values are not finite.
        """
        if audio.shape != self.audio.shape or text.shape != self.text.shape:
            raise DataError(
                f"a refresh must keep the shape {tuple(self.text.shape)}, got {tuple(audio.shape)} and "
                f"{tuple(text.shape)}"
            )
        _check_finite(audio, text)
        encoder = self.encoder if encoder is None else encoder
        return replace(self.replaced(audio, text), encoder=encoder, version=self.version + 1)

    def replaced(self, audio: Tensor, text: Tensor) -> KnowledgeBase:
        """Other values (N, D) under the same version: what a refinement step makes of a fresh base."""
        audio = audio.detach() * self.has_audio[:, None].to(audio)
        dtype = self.audio.dtype
        return replace(self, audio=stored(audio, dtype), text=stored(text, dtype))


def encode_rows(encode: Encode, rows: Tensor, piece: int = 4096) -> tuple[Tensor, Tensor]:
    """Encode rows in pieces, without gradient.

    Args:
        encode: Maps rows of the base to audio and text embeddings.
        rows: (n,) int64 rows of the base, n > 0.
        piece: Most rows in one call of ``encode``.

    Returns:
        Audio (n, D) and text (n, D), in the order of ``rows``.
    """
    audio, text = [], []
    with torch.no_grad():
        for start in range(0, len(rows), piece):
            a, t = encode(rows[start : start + piece])
            audio.append(a)
            text.append(t)
    return torch.cat(audio), torch.cat(text)


def stored(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows (n, D) as a base keeps them: of length 1, without gradient."""
    wide = x.detach() if x.dtype == torch.float64 else x.detach().float()
    return F.normalize(wide, dim=1, eps=1e-12).to(dtype).contiguous()


def _check_finite(audio: Tensor | None, text: Tensor) -> None:
    for name, x in (("audio", audio), ("text", text)):
        if x is not None and not bool(torch.isfinite(x).all()):
            row = int((~torch.isfinite(x).all(dim=1)).nonzero()[0])
            raise DataError(f"{name} embedding {row} holds NaN or infinity; the encoder that made it diverged")


def _check_rows(
    ids: Sequence[Hashable] | Tensor, audio: Tensor | None, text: Tensor, texts: Sequence[str] | None
) -> None:  # fmt: skip
    shapes = {"text": text} if audio is None else {"audio": audio, "text": text}
    for name, x in shapes.items():
        if x.ndim != 2 or x.shape != text.shape or x.shape[0] != len(ids):
            raise DataError(f"{name} embeddings must be ({len(ids)}, D), one row an id, got {tuple(x.shape)}")
    if texts is not None and len(texts) != len(ids):
        raise DataError(f"got {len(texts)} texts for {len(ids)} entries")
    _check_finite(audio, text)
