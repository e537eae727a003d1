"""Which of several copies to keep: a lossless file before a lossy one, then by rate, bits, channels, length, name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from askaudio.audio import reading
from askaudio.core.errors import AudioDecodeError
from askaudio.core.names import readable
from askaudio.core.types import Json
from askaudio.ingest.ucs import read_ucs_name

_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64,
         "ALAC_16": 16, "ALAC_20": 20, "ALAC_24": 24, "ALAC_32": 32}  # fmt: skip
_COPY_NAME = re.compile(r"\bcopy\b|\(\d+\)$|\b(final|new|old|backup|untitled|temp|tmp)\b", re.IGNORECASE)
_EQUAL = 1e-3  # share of full scale by which the channels of dual mono may differ: lossy codecs change them a bit


@dataclass(frozen=True, slots=True)
class Sound:
    """One file of a collection.

    Attributes:
        clip_id: Its id in the collection.
        path: Absolute.
        content_hash: SHA-256 of its bytes.
        size_bytes: Its size.
        duration_s: Its length.
        sample_rate_hz: Its sample rate.
        channels: Its channels.
        format: Its container.
        bits: Of a sample; 0 for a lossy codec.
        dual_mono: It has several channels, which are equal.
    """

    clip_id: str
    path: str
    content_hash: str
    size_bytes: int
    duration_s: float
    sample_rate_hz: int
    channels: int
    format: str
    bits: int = 0
    dual_mono: bool = False

    @property
    def quality(self) -> tuple[Any, ...]:
        """Sorts the sound to keep first."""
        length = -round(self.duration_s, 1)
        name = readable(Path(self.path).stem)
        poor_name = bool(_COPY_NAME.search(name)) - bool(read_ucs_name(name))
        channels = 1 if self.dual_mono else self.channels
        words = len(re.findall(r"[^\W\d_]{3,}", name))
        return (
            not self.bits, -self.sample_rate_hz, -self.bits, -channels, length, poor_name, -min(words, 4),
            self.path.count("/"), self.path,
        )  # fmt: skip

    def to_json(self) -> Json:
        """The fields that users see."""
        return {
            "clip_id": self.clip_id, "path": self.path, "size_bytes": self.size_bytes,
            "duration_s": round(self.duration_s, 3), "sample_rate_hz": self.sample_rate_hz,
            "channels": self.channels, "format": self.format, "bits": self.bits, "dual_mono": self.dual_mono,
        }  # fmt: skip


def sound_of(clip_id: str, path: str, metadata: Mapping[str, Any]) -> Sound:
    """A sound as the collection has it.

    Args:
        clip_id: Its id.
        path: Its file.
        metadata: Its stored metadata, bookkeeping included.
    """
    return Sound(
        clip_id, path, str(metadata.get("content_hash", "")), int(metadata.get("size_bytes") or 0),
        float(metadata.get("duration_s") or 0), int(metadata.get("sample_rate_hz") or 0),
        int(metadata.get("channels") or 0), str(metadata.get("format", "")),
    )  # fmt: skip


def bits_of(path: str) -> int:
    """Bits of a sample of a file; 0 for a lossy codec, and where libsndfile cannot tell."""
    try:
        return _BITS.get(soundfile.info(path).subtype, 0)
    except (OSError, RuntimeError, ValueError):
        return 0


def is_dual_mono(path: str) -> bool:
    """Whether all channels of a file are equal; False for mono, for silence and for what cannot be read."""
    peak = most = 0.0
    try:
        with reading.open_with(reading.readers_for(path)[0], path) as stream:
            if stream.channels < 2:
                return False
            for block in stream.blocks:
                peak = max(peak, float(np.abs(block).max(initial=0.0)))
                most = max(most, float(np.abs(block[:, 1:] - block[:, :1]).max(initial=0.0)))
                if most > _EQUAL:
                    return False
    except (AudioDecodeError, OSError, ValueError, RuntimeError):
        return False
    return peak > 0
