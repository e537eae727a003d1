"""Records of a store: entries, matches, recordings, and the identity of the encoder that made them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from askaudio.core.errors import IndexStoreError
from askaudio.core.types import FloatArray, Json

FORMAT_VERSION = 1
Mode = Literal["r", "w"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One window of one clip.

    Attributes:
        entry_id: Unique in the store; adding it again replaces the old entry.
        clip_id: The recording it was cut from.
        vector: (D,) float32; stores keep it scaled to length 1.
        start_s: Start of the window in the recording, in seconds.
        end_s: End of the window, in seconds.
        path: The file.
        metadata: JSON-able facts about the recording: numbers, texts, lists of texts.
    """

    entry_id: str
    clip_id: str
    vector: FloatArray
    start_s: float = 0.0
    end_s: float = 0.0
    path: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Doc:
    """Path and metadata that all windows of one recording share, read lazily: most found windows are never shown.

    Args:
        read: Returns (clip_id, path, metadata) of a row; it caches what it has read.
        row: Row number.
    """

    __slots__ = ("_read", "_row")

    def __init__(self, read: Callable[[int], tuple[str, str, Mapping[str, Any]]], row: int = 0) -> None:
        self._read, self._row = read, row

    @property
    def path(self) -> str:
        """The file."""
        return self._read(self._row)[1]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """JSON-able facts; shared, do not change them."""
        return self._read(self._row)[2]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Doc) and self._read(self._row) == other._read(other._row)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Doc{self._read(self._row)}"


@dataclass(slots=True)  # not frozen: a search makes hundreds, and a frozen dataclass takes three times as long
class Match:
    """One found window: its score and the entry; ``vector`` (D,) has no part in equality."""

    entry_id: str
    clip_id: str
    score: float
    start_s: float
    end_s: float
    doc: Doc
    vector: FloatArray = field(compare=False, repr=False)

    @property
    def path(self) -> str:
        """The file."""
        return self.doc.path

    @property
    def metadata(self) -> Mapping[str, Any]:
        """JSON-able facts about the recording."""
        return self.doc.metadata


def match_of(entry: Entry, score: float) -> Match:
    """A match from an entry."""
    shared = entry.clip_id, entry.path, entry.metadata
    return Match(entry.entry_id, entry.clip_id, score, entry.start_s, entry.end_s, Doc(lambda _: shared), entry.vector)


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A recording as its entries describe it; ``windows`` of them carry exactly this path and metadata."""

    clip_id: str
    path: str
    metadata: Mapping[str, Any]
    windows: int


class Fingerprinted(Protocol):
    """The part of an encoder that a store needs; this package is below ``encoders`` and cannot import it."""

    @property
    def fingerprint(self) -> str:
        """Hex name of weights and settings."""
        ...

    @property
    def embed_dim(self) -> int:
        """D."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """What a store remembers of the encoder whose vectors it holds.

    Attributes:
        fingerprint: Hex name of the encoder's weights and settings.
        embed_dim: D.
        model: How ``load_encoder`` opens that encoder again; empty when unknown.
        format_version: Of the store on disk; a newer one than ours is refused.
    """

    fingerprint: str
    embed_dim: int
    model: str = ""
    format_version: int = FORMAT_VERSION

    def to_json(self) -> Json:
        """A JSON-able dict."""
        return asdict(self)

    @classmethod
    def of(cls, encoder: Fingerprinted, model: str = "") -> Identity:
        """Identity of an encoder.

        Args:
            encoder: Open encoder.
            model: How ``load_encoder`` opens it again, such as "small" or the path of a folder; without it the
                collection can only be opened together with an encoder.
        """
        return cls(encoder.fingerprint, encoder.embed_dim, model)

    @classmethod
    def from_json(cls, value: Any, url: str) -> Identity:
        """Read what ``to_json`` wrote.

        Raises:
            IndexStoreError: Not an identity, or written by a newer version.
        """
        try:
            version = int(value["format_version"])
            if version > FORMAT_VERSION:
                raise IndexStoreError(
                    f"{url} was written by a newer askaudio (format {version}, this one reads up to {FORMAT_VERSION}). "
                    "Fix: pip install --upgrade askaudio"
                )
            return cls(str(value["fingerprint"]), int(value["embed_dim"]), str(value.get("model", "")), version)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IndexStoreError(
                f"{url} holds no readable identity ({error}). Fix: askaudio index its folders into a new collection"
            ) from error


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Properties of an engine.

    Attributes:
        durable_add: An entry is safe on disk when ``add`` returns (else when ``save`` returns).
        snapshots: ``snapshot`` and ``restore`` work.
        readers_while_writing: Others may read while one writes.
        writers: How many may write at the same time; 0 for any number.
        approximate: ``search`` may miss a little on large collections (scores are always exact).
    """

    durable_add: bool
    snapshots: bool
    readers_while_writing: bool
    writers: int
    approximate: bool


def doc_text(clip_id: str, path: str, metadata: Mapping[str, Any]) -> str:
    """What all windows of one recording share, as one line of JSON in ASCII: equal facts, equal text.

    Args:
        clip_id: Id of the recording.
        path: Path of its file.
        metadata: Its facts, name -> JSON value; the order of the names does not matter.
    """
    return json.dumps([clip_id, path, dict(metadata)], separators=(",", ":"), sort_keys=True)
