"""The search engine: one encoder and one store; text or audio in, hits out.

Public signatures (bodies follow with the stores):

    engine = SearchEngine.open("~/.askaudio/collections/default")     # encoder from what the collection remembers
    engine = SearchEngine.open("memory:...", encoder=ToyEncoder())
    engine.search("zombie growls", top_k=10, where="duration<3 and channels=2 and tag=rain") -> list[Hit]
    engine.search(audio=Path("x.wav") or bytes)                       -> list[Hit]
    engine.search("rain", more=[Part("audio", path, 0.5), Part("text", "thunder", -1.0), Part("clip", clip_id)])
    engine.similar(clip_id, top_k=10, where=None)                     -> list[Hit]   (itself left out)
    engine.search_many([parts, parts, ...], top_k=10, where=None)     -> list[list[Hit]]
    engine.captions(audio, top_k=10)                                  -> list[CaptionHit]
    engine.clip(clip_id)                                              -> ClipInfo    (IndexStoreError when unknown)
    engine.clips(offset=0, limit=100, where=None)                     -> list[ClipInfo]  ordered by clip_id
    engine.info()                                                     -> dict: url, clips, entries, model, ...
    engine.close(); also a context manager. Safe to call from several threads.
    A reader sees what a writer adds without being reopened (looked up at most once a second).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from askaudio.core.types import Json
from askaudio.models.encoder import Encoder
from askaudio.search.hits import CaptionHit, ClipInfo, Hit
from askaudio.search.query import AudioSource, Part


class SearchEngine:
    """Search one collection with one encoder."""

    @classmethod
    def open(cls, collection: str | Path, encoder: Encoder | None = None) -> SearchEngine:
        """Open a collection for reading; without an encoder, the one that made it is loaded."""
        raise NotImplementedError

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
        """Find the clips that answer a query."""
        raise NotImplementedError

    def similar(self, clip_id: str, top_k: int = 10, where: str | None = None) -> list[Hit]:
        """Clips that sound like a stored one, itself left out."""
        raise NotImplementedError

    def search_many(
        self, queries: Sequence[Sequence[Part]], top_k: int = 10, where: str | None = None
    ) -> list[list[Hit]]:
        """Answer several queries; the same as one search each."""
        raise NotImplementedError

    def captions(self, audio: AudioSource, top_k: int = 10) -> list[CaptionHit]:
        """Stored captions that describe a sound."""
        raise NotImplementedError

    def clip(self, clip_id: str) -> ClipInfo:
        """One stored clip."""
        raise NotImplementedError

    def clips(self, offset: int = 0, limit: int = 100, where: str | None = None) -> list[ClipInfo]:
        """Stored clips in the order of their ids."""
        raise NotImplementedError

    def info(self) -> Json:
        """What this engine searches."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of files and memory."""
        raise NotImplementedError
