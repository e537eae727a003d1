"""The kinds of delivery by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from askaudio.delivery.items import Selection
from askaudio.delivery.lists import FileOf, as_csv, as_json, as_m3u, as_tsv, credits_text
from askaudio.delivery.timelines import as_labels, as_otio, as_regions, as_rpp


@dataclass(frozen=True, slots=True)
class ListKind:
    """A kind that is one file of text.

    Attributes:
        suffix: Of its file.
        media_type: Content type.
        write: Makes the bytes from the selection and a function that names the file of a sound.
        what: What it is, in a few words.
    """

    suffix: str
    media_type: str
    write: Callable[[Selection, FileOf], bytes]
    what: str


def _credits(selection: Selection, file_of: FileOf) -> bytes:
    return credits_text(selection).encode("utf-8", "backslashreplace")


LISTS = {
    "m3u": ListKind(".m3u8", "audio/x-mpegurl", as_m3u, "playlist"),
    "csv": ListKind(".csv", "text/csv; charset=utf-8", as_csv, "table"),
    "tsv": ListKind(".tsv", "text/tab-separated-values; charset=utf-8", as_tsv, "table with tabs"),
    "json": ListKind(".json", "application/json", as_json, "table as JSON"),
    "otio": ListKind(".otio", "application/json", as_otio, "OpenTimelineIO timeline"),
    "rpp": ListKind(".rpp", "text/plain; charset=utf-8", as_rpp, "REAPER project"),
    "regions": ListKind(".csv", "text/csv; charset=utf-8", as_regions, "regions for REAPER"),
    "labels": ListKind(".txt", "text/plain; charset=utf-8", as_labels, "labels for Audacity"),
    "credits": ListKind(".txt", "text/plain; charset=utf-8", _credits, "credits"),
}
COPIES = {"folder": "copies in a folder", "zip": "copies in a ZIP archive"}
KINDS = {**COPIES, **{name: kind.what for name, kind in LISTS.items()}}
