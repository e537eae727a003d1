"""A selection as a timeline: OpenTimelineIO, a REAPER project, REAPER's list of regions, Audacity's labels.

The sounds lie one after the other on one track, in the order of the selection. A part is placed as a part of its file,
so its edges can be dragged out again in the editor: nothing is cut off.

Formats: OpenTimelineIO's JSON (https://opentimelineio.readthedocs.io, "File Format Specification"), which is small and
stable, while its library is a binary package; REAPER's project text; the table that REAPER's region manager reads.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from askaudio.delivery.items import Selection, Taken
from askaudio.delivery.lists import FileOf, credits_text

GAP_S = 1.0  # between two sounds in REAPER
_SOURCES = {".mp3": "MP3", ".flac": "FLAC", ".ogg": "VORBIS", ".oga": "VORBIS", ".opus": "OPUS"}
_PLAIN = {".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"}


@dataclass(frozen=True, slots=True)
class Placed:
    """A sound on the timeline; all in seconds.

    Attributes:
        taken: The sound.
        file: Its file, as the timeline refers to it.
        at_s: Where it begins on the timeline.
        offset_s: Where it begins in its file.
        length_s: How long it plays.
        file_s: Length of the file.
    """

    taken: Taken
    file: str
    at_s: float
    offset_s: float
    length_s: float
    file_s: float


def place(selection: Selection, file_of: FileOf, gap_s: float = GAP_S) -> Iterator[Placed]:
    """Lay the sounds one after the other.

    Args:
        selection: The sounds.
        file_of: Names the file of a sound.
        gap_s: Silence between two sounds.
    """
    at_s = 0.0
    for one in selection.taken:
        file = file_of(one)
        is_cut = one.is_part and file != one.path  # the file is the copy of the part with its handles
        offset_s = (one.start_s or 0.0) - (one.cut_start_s if is_cut else 0.0)
        file_s = one.cut_end_s - one.cut_start_s if is_cut else max(one.recording_s, offset_s + one.length_s)
        yield Placed(one, file, at_s, offset_s, one.length_s, file_s)
        at_s += one.length_s + gap_s


def as_otio(selection: Selection, file_of: FileOf) -> bytes:
    """An OpenTimelineIO timeline with one audio track.

    Args:
        selection: The sounds.
        file_of: Names the file of a sound.
    """
    clips = [_otio_clip(one) for one in place(selection, file_of, 0.0)]
    track = {"OTIO_SCHEMA": "Track.1", "name": "askaudio", "kind": "Audio", "children": clips, **_otio_rest()}
    stack = {"OTIO_SCHEMA": "Stack.1", "name": "tracks", "children": [track], **_otio_rest()}
    metadata = {"askaudio": {"credits": credits_text(selection)}}
    timeline = {
        "OTIO_SCHEMA": "Timeline.1", "name": "askaudio", "global_start_time": None, "tracks": stack,
        "metadata": metadata,
    }  # fmt: skip
    return (json.dumps(timeline, indent=2) + "\n").encode()


def _otio_clip(one: Placed) -> dict[str, Any]:
    rate = one.taken.sample_rate_hz
    reference = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "name": os.path.basename(one.file).encode("utf-8", "backslashreplace").decode(),
        "target_url": file_url(one.file),
        "available_range": _otio_range(0.0, one.file_s, rate),
        "available_image_bounds": None,
        "metadata": {},
    }
    facts = {**one.taken.credit.to_json(), "clip_id": one.taken.clip_id, "note": one.taken.note}
    return {
        "OTIO_SCHEMA": "Clip.2",
        "name": one.taken.credit.title,
        **_otio_rest(),
        "source_range": _otio_range(one.offset_s, one.length_s, rate),
        "media_references": {"DEFAULT_MEDIA": reference},
        "active_media_reference_key": "DEFAULT_MEDIA",
        "metadata": {"askaudio": _escaped(facts)},
    }


def _otio_rest() -> dict[str, Any]:
    return {"source_range": None, "effects": [], "markers": [], "enabled": True, "metadata": {}}


def _otio_range(start_s: float, length_s: float, rate: int) -> dict[str, Any]:
    def time(seconds: float) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(round(seconds * rate))}

    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": time(start_s), "duration": time(length_s)}


def _escaped(value: Any) -> Any:
    """Texts without lone surrogates: the library of the format refuses them."""
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def file_url(file: str) -> str:
    """A file as an address; a name without a folder stays relative to the list that holds it."""
    raw = file.replace(os.sep, "/").encode("utf-8", "surrogateescape")
    return f"file://{'' if raw.startswith(b'/') else '/'}{quote(raw)}" if os.path.isabs(file) else quote(raw)


# --- REAPER -----------------------------------------------------------------------------------------------------


def as_rpp(selection: Selection, file_of: FileOf) -> bytes:
    """A REAPER project with one track; the credits are in its notes.

    Args:
        selection: The sounds.
        file_of: Names the file of a sound.
    """
    rates = [one.sample_rate_hz for one in selection.taken]
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0']
    lines += ["  <NOTES 0 2", *(f"    |{line}" for line in credits_text(selection).splitlines()), "  >"]
    lines += [f"  SAMPLERATE {max(rates, default=48_000)} 0 0", "  <TRACK", '    NAME "askaudio"']
    for one in place(selection, file_of):
        lines += [f"    {line}" for line in _rpp_item(one)]
    return "\n".join([*lines, "  >", ">", ""]).encode("utf-8", "surrogateescape")


def _rpp_item(one: Placed) -> list[str]:
    suffix = os.path.splitext(one.file)[1].lower()
    kind = _SOURCES.get(suffix, "WAVE" if suffix in _PLAIN else "VIDEO")
    return [
        "<ITEM",
        f"  POSITION {one.at_s:.9f}",
        f"  LENGTH {one.length_s:.9f}",
        "  LOOP 0",
        f"  NAME {rpp_text(one.taken.credit.title)}",
        f"  SOFFS {one.offset_s:.9f}",
        f"  <SOURCE {kind}",
        f"    FILE {rpp_text(one.file)}",
        "  >",
        ">",
    ]


def rpp_text(text: str) -> str:
    """A text in quotes. REAPER has three kinds of quotes and no escapes, and ends a text at the end of a line."""
    text = "".join(" " if ord(char) < 32 or char in "\x7f\x85\u2028\u2029" else char for char in text)
    for quote_mark in "\"'`":
        if quote_mark not in text:
            return f"{quote_mark}{text}{quote_mark}"
    return "`" + text.replace("`", "'") + "`"


def as_regions(selection: Selection, file_of: FileOf) -> bytes:
    """A table of regions for REAPER's region and marker manager.

    Where all are parts of one recording, the times are those in the recording, to be used with it at the start of the
    project; else they are those of the project that ``as_rpp`` writes.

    Args:
        selection: The sounds.
        file_of: Names the file of a sound.
    """
    one_recording = _is_one_recording(selection)
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("#", "Name", "Start", "End", "Length"))
    for number, placed in enumerate(place(selection, file_of), start=1):
        start_s = placed.taken.start_s or 0.0 if one_recording else placed.at_s
        name = placed.taken.note or placed.taken.credit.title
        times = (start_s, start_s + placed.length_s, placed.length_s)
        table.writerow((f"R{number}", " ".join(name.split()), *map(_clock, times)))
    return text.getvalue().encode("utf-8", "backslashreplace")


def as_labels(selection: Selection, file_of: FileOf) -> bytes:
    """Labels for Audacity: start, end and name of each sound, with tabs; times as in ``as_regions``.

    Args:
        selection: The sounds.
        file_of: Names the file of a sound.
    """
    one_recording = _is_one_recording(selection)
    lines = []
    for placed in place(selection, file_of):
        start_s = placed.taken.start_s or 0.0 if one_recording else placed.at_s
        name = " ".join((placed.taken.note or placed.taken.credit.title).split())
        lines.append(f"{start_s:.6f}\t{start_s + placed.length_s:.6f}\t{name}\n")
    return "".join(lines).encode("utf-8", "backslashreplace")


def _is_one_recording(selection: Selection) -> bool:
    return len({one.clip_id for one in selection.taken}) == 1 and all(one.is_part for one in selection.taken)


def _clock(seconds: float) -> str:
    """Minutes:seconds.thousandths, REAPER's usual ruler."""
    thousandths = math.floor(seconds * 1000 + 0.5)
    return f"{thousandths // 60000}:{thousandths // 1000 % 60:02d}.{thousandths % 1000:03d}"
