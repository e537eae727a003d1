"""A moment, and the moments and the similarity curve of one recording. ``to_json`` is their only JSON form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from askaudio.core.types import FloatArray, Json


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of a recording that answers a query.

    Attributes:
        start_s: Start, in seconds from the start of the recording.
        end_s: End, in seconds.
        score: Confidence; higher is better. Of moments that askaudio finds, the highest value of the curve inside.
    """

    start_s: float
    end_s: float
    score: float = 0.0

    @property
    def middle_s(self) -> float:
        """Middle, in seconds."""
        return (self.start_s + self.end_s) / 2

    @property
    def duration_s(self) -> float:
        """Length, in seconds."""
        return self.end_s - self.start_s

    def to_json(self) -> Json:
        """All fields, as JSON has them; times to a hundredth of a second."""
        return {"start_s": round(self.start_s, 2), "end_s": round(self.end_s, 2), "score": round(self.score, 4)}


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Similarity of a query and short stretches of a recording.

    Attributes:
        times_s: (T,) middle of each stretch, in seconds, ascending.
        scores: (T,) cosine between query and stretch.
    """

    times_s: FloatArray
    scores: FloatArray

    @classmethod
    def empty(cls) -> Curve:
        """A curve without any point."""
        return cls(np.zeros(0, np.float32), np.zeros(0, np.float32))

    def to_json(self) -> Json:
        """Two lists of equal length, rounded to a hundredth of a second and to four digits."""
        return {
            "times_s": [round(float(t), 2) for t in self.times_s],
            "scores": [round(float(s), 4) for s in self.scores],
        }


@dataclass(frozen=True, slots=True, eq=False)
class ClipMoments:
    """What a query finds inside one recording.

    Attributes:
        clip_id: Id in the collection.
        path: The file.
        moments: Best first.
        curve: Similarity along the parts of the recording that were examined.
        examined: Start and end of those parts, in seconds, in order of time.
        reason: Why the recording could not be read; empty when it could.
    """

    clip_id: str
    path: str
    moments: tuple[Moment, ...]
    curve: Curve
    examined: tuple[tuple[float, float], ...]
    reason: str = ""

    def to_json(self) -> Json:
        """All fields, as JSON has them."""
        return {
            "clip_id": self.clip_id,
            "path": self.path,
            "moments": [moment.to_json() for moment in self.moments],
            "curve": self.curve.to_json(),
            "examined": [[round(start_s, 3), round(end_s, 3)] for start_s, end_s in self.examined],
            "reason": self.reason,
        }
