"""Values of filters as people write them: ``rate=48k``, ``duration<0:03``, ``size>10MB``, ``modified>=2024-05``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from math import isnan

_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_HERTZ = {"hz": 1.0, "k": 1000.0, "khz": 1000.0}
_BYTES = {
    f"{prefix}{unit}": float(factor**power)
    for power, prefix in enumerate("kmg", start=1)
    for unit, factor in (("", 1000), ("b", 1000), ("ib", 1024))
} | {"b": 1.0}
UNITS: dict[str, dict[str, float]] = {
    "duration_s": _SECONDS,
    "start_s": _SECONDS,
    "end_s": _SECONDS,
    "sample_rate_hz": _HERTZ,
    "bits": {"bit": 1.0, "-bit": 1.0},
    "size_bytes": _BYTES,
    "loudness_lufs": {"lufs": 1.0, "db": 1.0},
    "peak_dbfs": {"dbfs": 1.0, "db": 1.0},
    "silence_share": {"%": 0.01},
    "brightness_hz": _HERTZ,
    "pitch_hz": _HERTZ,
    "tempo_bpm": {"bpm": 1.0},
}
_CHANNELS = {"mono": 1.0, "stereo": 2.0}
EXAMPLES = {
    "duration_s": "3, 0.5, 0:03, 1:02:03, 90s or 5min",
    "start_s": "3, 0:03 or 90s",
    "end_s": "3, 0:03 or 90s",
    "sample_rate_hz": "44100, 44.1k or 48k",
    "channels": "2, mono or stereo",
    "bits": "24",
    "size_bytes": "2000, 500kB or 10MB",
    "modified_s": "2024, 2024-05 or 2024-05-31",
    "loudness_lufs": "-23 or -23LUFS",
    "peak_dbfs": "-1 or -1dB",
    "silence_share": "0.5 or 50%",
    "brightness_hz": "2000 or 2k",
    "pitch_hz": "440",
    "onsets": "3",
    "tempo_bpm": "120",
}
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([a-z%-]*)", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]\d(?:\.\d*)?)")
_DATE = re.compile(r"([12]\d\d\d)(?:-(\d\d?))?(?:-(\d\d?))?")


def read_number(field: str, text: str) -> float:
    """A number in the unit of a field.

    Raises:
        ValueError: The text is no number of this field.

    Example:
        >>> read_number("sample_rate_hz", "44.1k"), read_number("duration_s", "1:02:03")
        (44100.0, 3723.0)
    """
    units = UNITS.get(field, {})
    if field == "channels" and (named := _CHANNELS.get(text.lower())) is not None:
        return named
    if units is _SECONDS and (clock := _CLOCK.fullmatch(text)):
        hours, minutes, seconds = clock.groups()
        if hours is not None and int(minutes) > 59:
            raise ValueError(text)
        return 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(seconds)
    found = _NUMBER.fullmatch(text)
    if found and found[2]:
        if found[2].lower() not in units:
            raise ValueError(text)
        return round(float(found[1]) * units[found[2].lower()], 6)
    number = float(text)  # also inf
    if isnan(number):  # databases compare NaN in ways of their own
        raise ValueError(text)
    return number


def is_date(text: str) -> bool:
    """Whether a text is a year, a month (2024-05) or a day (2024-05-31)."""
    return _DATE.fullmatch(text) is not None


def read_period(text: str) -> tuple[float, float]:
    """First second of a year, month or day, and of the one after it, as Unix times of this machine's time zone.

    Raises:
        ValueError: No such day.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part) if part else None for part in found.groups())
    start = datetime(year or 0, month or 1, day or 1)
    if day is not None:
        end = start + timedelta(days=1)
    elif month is not None:
        end = datetime(start.year + month // 12, month % 12 + 1, 1)
    else:
        end = datetime(start.year + 1, 1, 1)
    return start.timestamp(), end.timestamp()
