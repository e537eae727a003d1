"""A moment, and the moments and the similarity curve of one recording. ``to_json`` is their only JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
        """All fields, as JSON has them."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Similarity of a query and short stretches of a recording.

    Attributes:
        times_s: (T,) middle of each stretch, in seconds, ascending.
        scores: (T,) cosine between query and stretch.
    """

    times_s: FloatArray
    scores: FloatArray

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
        curve: Similarity along the part of the recording that was examined.
        start_s: Start of that part, in seconds.
        end_s: Its end.
    """

    clip_id: str
    path: str
    moments: tuple[Moment, ...]
    curve: Curve
    start_s: float
    end_s: float

    def to_json(self) -> Json:
        """All fields, as JSON has them."""
        return {
            "clip_id": self.clip_id,
            "path": self.path,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "moments": [moment.to_json() for moment in self.moments],
            "curve": self.curve.to_json(),
        }
