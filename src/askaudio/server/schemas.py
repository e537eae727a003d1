"""Requests and responses of version 1: stable names with units, and limits on everything that a caller may send."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from askaudio.encoders.languages import LANGUAGES
from askaudio.search.hits import ClipInfo, Hit
from askaudio.search.pages import Order
from askaudio.search.query import Part
from askaudio.search.ranking import Lead

MAX_TEXT = 500
MAX_WHERE = 500
MAX_PARTS = 16
MAX_TOP_K = 200
MAX_OFFSET = 10**7

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
ClipId = Annotated[str, Field(min_length=1, max_length=1024)]
Language = Literal["", *LANGUAGES]  # type: ignore[valid-type]  # "" finds it by the script and the words
Where = Annotated[str, Field(max_length=MAX_WHERE)]
TopK = Annotated[int, Field(ge=1, le=MAX_TOP_K)]


class Strict(BaseModel):
    """A request: fields that are not known are errors."""

    model_config = ConfigDict(extra="forbid")


class TextPart(Strict):
    """Words to look for; with a negative weight, to avoid."""

    kind: Literal["text"] = "text"
    value: Text
    weight: float = Field(1.0, ge=-4, le=4, allow_inf_nan=False)
    language: Language = ""


class ClipPart(Strict):
    """A stored clip, or a stretch of one, to look like; with a negative weight, not to."""

    kind: Literal["clip"] = "clip"
    value: ClipId
    weight: float = Field(1.0, ge=-4, le=4, allow_inf_nan=False)
    start_s: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False, description="start of a stretch, in seconds")
    end_s: float | None = Field(None, gt=0, le=1e6, allow_inf_nan=False, description="its end")


class QueryParts(Strict):
    """The parts of a query. Sounds are sent to the addresses that end in ``/audio`` instead."""

    parts: list[Annotated[TextPart | ClipPart, Field(discriminator="kind")]] = Field(min_length=1, max_length=MAX_PARTS)

    def to_parts(self) -> list[Part]:
        """The parts as the engine takes them."""
        return [Part(**part.model_dump()) for part in self.parts]


class SearchRequest(QueryParts):
    """A query of several parts. Sounds are sent to ``/v1/search/audio`` instead."""

    where: Where = ""
    top_k: TopK = 20
    words: bool = Field(True, description="also match the words of file names and tags")
    fold_twins: bool = Field(True, description="fold near-identical takes into one hit")
    correct_hubs: bool | None = Field(None, description="lower sounds that are near to every query; default: by model")
    lead: Lead = Field("match", description="which of these takes is the hit")
    offset: int = Field(0, ge=0, le=MAX_OFFSET)
    sort: Order = "match"
    descending: bool = False


class SearchAnswer(BaseModel):
    """Hits, best first; ``total`` is the length of the list that ``offset`` pages through."""

    hits: list[Hit]
    total: int
    took_ms: float
    fits: bool = Field(description="false if no hit is a possible match: nothing here fits well")
    notes: list[str] = Field(description="what the user should know about the query, such as words that are not known")


class ClipModel(BaseModel):
    """One stored clip."""

    clip_id: str
    path: str
    windows: int
    metadata: dict[str, Any]


class ClipList(BaseModel):
    """Stored clips; ``offset`` pages through all ``total`` of them."""

    clips: list[ClipModel]
    offset: int
    total: int


class FacetValue(BaseModel):
    """How many clips have a value."""

    value: str
    count: int


class Folder(BaseModel):
    """A folder and the number of clips anywhere below it."""

    path: str
    count: int


class Facets(BaseModel):
    """What the clips that pass a filter have in common: values of each field, most frequent first, and folders."""

    total: int
    fields: dict[str, list[FacetValue]]
    parent: str
    folders: list[Folder]


class CollectionName(BaseModel):
    """A collection of this server; ``name`` is the value of the parameter ``collection``."""

    name: str
    clips: int


class Peaks(BaseModel):
    """A waveform: lowest and highest sample of equal stretches between two times, integers in [-127, 127]."""

    clip_id: str
    duration_s: float
    start_s: float
    end_s: float
    low: list[int]
    high: list[int]
    level_db: float | None = Field(None, description="level of the whole recording without its pauses, in dBFS")
    peak: float = Field(0.0, description="largest absolute sample of the whole recording, mono, 0 to 1")


class Collection(BaseModel):
    """Facts about the collection."""

    clips: int
    entries: int
    model: str
    version: str
    upload_max_bytes: int
    upload_max_s: float


class DuplicateFile(BaseModel):
    """One file of a group; ``bits`` is 0 for a lossy codec."""

    clip_id: str
    path: str
    size_bytes: int
    duration_s: float
    sample_rate_hz: int
    channels: int
    format: str
    bits: int
    dual_mono: bool
    reasons: list[str] = Field([], description="how a copy differs from the file to keep")
    agreement: float | None = Field(None, description="1 for equal samples; about 0.6 is the least of a copy")


class DuplicateGroup(BaseModel):
    """The best file, and those that are copies of exactly that file."""

    keep: DuplicateFile
    copies: list[DuplicateFile]


class DuplicatesModel(BaseModel):
    """The last search for copies; ``offset`` pages through its groups."""

    state: Literal["none", "running", "done", "failed"]
    note: str
    found_at: str
    files: int
    copies: int
    copies_bytes: int
    total_groups: int
    offset: int
    groups: list[DuplicateGroup]


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    detail: str
    position: int | None = None  # of a filter: index of the character that is wrong


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] = []


class Health(BaseModel):
    """Whether the service runs."""

    status: Literal["ok"] = "ok"


def json_safe(value: Any) -> Any:
    """Make a value JSON-able: NaN and infinity become null, unknown types become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):  # names of files may hold bytes that are no text; they are escaped
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {json_safe(str(k)): json_safe(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_safe(v) for v in value]
    return str(value)


def json_bytes(value: Any) -> bytes:
    """A value as JSON in UTF-8, for values that are JSON-able but for names of files that are no text."""
    try:
        return _dumps(value).encode()
    except (UnicodeEncodeError, ValueError):  # rare, so the check of every value is left out above
        return _dumps(json_safe(value)).encode()


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def clip_model(clip: ClipInfo) -> ClipModel:
    """A clip as ``ClipModel``."""
    return ClipModel(**json_safe(clip.to_json()))
