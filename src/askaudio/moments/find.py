"""From the parts of a recording to moments: the curve of the match, its peaks, and the extent of each.

1. The curve is the cosine between the query and each part, at the part's middle.
2. The highest place of the smoothed curve is the peak of the next moment.
3. Its extent comes from two curves: the match with the query, and the similarity with the sound at the peak, which is
   much clearer than the match with words. Both are scaled so that the background is 0 and the peak is 1. The extent
   grows from the peak while the sum of (curve - level) reaches new maxima, so pauses inside a moment are bridged.
4. Start and end are then moved, within a second, to where the spectrum changes: the levels of 32 bands every 50 ms are
   projected on the difference between the sound inside and the sound around it, and the edge is the change point of
   this projection.
5. Places that belong to a moment are left out, and the next peak is searched, until it is too low.

The parameters are fitted on generated recordings (``parameters.json`` names the command); the steps are not.
Cost: 2 ms for 20 s of sound.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from askaudio.core.files import read_json
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray
from askaudio.moments.fine_pass import BAND_STEP_S, Stretch
from askaudio.moments.metrics import iou
from askaudio.moments.moment import Curve, Moment

PARAMETERS_FILE = Path(__file__).with_name("parameters.json")
MOST_MOMENTS = 10
_SHORTEST_S = 0.2
_CONTEXT_S = 4.0  # sound before and after a moment with which it is compared
_OVERLAP = 0.5  # IoU from which the lower of two moments is left out
_STEADY = 0.5  # share of the peak's lead that most of a recording keeps where the sound never stops
_LEAST_SPREAD = 0.25  # of a band, in units of the natural logarithm: 1 dB
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is fitted.

    Attributes:
        peak_s: Length of the smoothing in which peaks are searched, in seconds.
        smooth_s: Length of the smoothing of the curves from which extents are taken, in seconds.
        sound_share: Weight of the similarity with the sound at the peak, 0 to 1; the rest is that of the query.
        level: Height between background (0) and peak (1) above which a part belongs to the moment.
        background: Quantile of a curve that is its background.
        bridge: How far the sum of (curve - level) may fall before the extent ends, in parts of full height.
        edge_level: Height of the change points in the projected band levels.
        reach_s: How far start and end are moved at most, in seconds.
        keep: Least height of a further moment's peak between background (0) and the highest peak (1).
    """

    peak_s: float = 1.6
    smooth_s: float = 0.6
    sound_share: float = 0.75
    level: float = 0.5
    background: float = 0.25
    bridge: float = 4.0
    edge_level: float = 0.5
    reach_s: float = 1.0
    keep: float = 0.5


@functools.cache
def parameters_of(model: str) -> Parameters:
    """The fitted parameters for the encoder of this name; those of ``"default"`` where it has none of its own."""
    table = read_json(PARAMETERS_FILE)["parameters"]
    known = {field.name for field in fields(Parameters)}
    row = table.get(model, table["default"])
    return Parameters(**{name: float(value) for name, value in row.items() if name in known})


def find_moments(
    stretches: Sequence[Stretch],
    query: FloatArray,
    parameters: Parameters | None = None,
    usual: FloatArray | None = None,
) -> tuple[tuple[Moment, ...], Curve]:
    """The moments of a recording.

    Args:
        stretches: What is known of the examined stretches, in order of time; at least one.
        query: (D,), length 1.
        parameters: Fitted parameters.
        usual: (M, D) vectors of other recordings. A sound that never stops in this recording is recognised by them:
            without them, its background would be the sound itself.

    Returns:
        Moments, best first, at most ``MOST_MOMENTS``; and the curve. The score of a moment is the height of the
        smoothed curve at its peak.
    """
    fitted = parameters or parameters_of("default")
    track = _Track(stretches, query, fitted, usual)
    found: list[Moment] = []
    least = -np.inf
    while len(found) < MOST_MOMENTS and (peak := track.next_peak(least)) is not None:
        if not found:
            least = track.base + fitted.keep * (track.peaks[peak] - track.base)
        moment = track.extent(peak)
        if not found or iou([moment], found).max() < _OVERLAP:
            found.append(moment)
    return tuple(found), Curve(track.times.astype(np.float32), track.scores.astype(np.float32))


class _Track:
    """The curve of a recording, and which of its parts belong to moments already.

    Args:
        stretches: As ``find_moments``.
        query: (D,).
        fitted: Parameters.
        usual: (M, D) vectors of other recordings.
    """

    def __init__(
        self, stretches: Sequence[Stretch], query: FloatArray, fitted: Parameters, usual: FloatArray | None
    ) -> None:
        self.fitted, self.usual = fitted, usual
        self.stretches = stretches
        self.times: Values = np.concatenate([s.times.mean(axis=1) for s in stretches]).astype(np.float64)  # (P,)
        self.vectors = np.concatenate([s.vectors for s in stretches])  # (P, D)
        self.owner = np.repeat(np.arange(len(stretches)), [len(s.times) for s in stretches])
        self.scores: Values = (self.vectors @ query).astype(np.float64)  # (P,)
        self.step_s = _step(self.times, self.owner)
        self.query = query
        self.peaks = self._smoothed(self.scores, fitted.peak_s)
        self.base = self._background(self.peaks, float(self.peaks.max()), query)
        self.taken = np.zeros(len(self.times), dtype=bool)

    def next_peak(self, least: float) -> int | None:
        """Place of the highest part that is not taken; None where it is not above the background and ``least``."""
        heights = np.where(self.taken, -np.inf, self.peaks)
        place = int(heights.argmax())
        return place if heights[place] > max(self.base, least) else None

    def extent(self, peak: int) -> Moment:
        """The moment around a peak; its parts are taken afterwards."""
        heights = self._heights(peak) - self.fitted.level
        same = self.owner == self.owner[peak]
        free = same & ~self.taken
        first = peak - _growth(heights[:peak][::-1], free[:peak][::-1], self.fitted.bridge)
        last = peak + _growth(heights[peak + 1 :], free[peak + 1 :], self.fitted.bridge)
        self.taken[first : last + 1] = True
        stretch = self.stretches[self.owner[peak]]
        start_s = self._crossing(heights, first, -1, same)
        end_s = self._crossing(heights, last, 1, same)
        # at the edges of a stretch there is no part whose middle lies further out
        start_s = stretch.start_s if first == 0 or not same[first - 1] else start_s
        end_s = stretch.end_s if last == len(same) - 1 or not same[last + 1] else end_s
        start_s, end_s = refine(stretch, start_s, max(end_s, start_s + _SHORTEST_S), self.fitted)
        return Moment(max(stretch.start_s, start_s), min(stretch.end_s, end_s), float(self.peaks[peak]))

    def _heights(self, peak: int) -> Values:
        """(P,) mixture of both curves, scaled to 0 at the background and 1 at the peak."""
        near = np.flatnonzero(self.owner == self.owner[peak])
        near = near[np.abs(near - peak) <= 1]
        sound = normalise_rows(self.vectors[near].mean(axis=0))
        alike = self._smoothed((self.vectors @ sound).astype(np.float64), self.fitted.smooth_s)
        match = self._smoothed(self.scores, self.fitted.smooth_s)
        share = self.fitted.sound_share
        return share * self._scaled(alike, peak, sound) + (1 - share) * self._scaled(match, peak, self.query)

    def _scaled(self, curve: Values, peak: int, vector: FloatArray) -> Values:
        base = self._background(curve, float(curve[peak]), vector)
        return (curve - base) / max(float(curve[peak]) - base, 1e-3)

    def _background(self, curve: Values, top: float, vector: FloatArray) -> float:
        """Quantile of the curve; where most of the recording is near the peak, what other recordings have."""
        base = float(np.quantile(curve, self.fitted.background))
        if self.usual is None or not len(self.usual):
            return base
        floor = float(np.median(self.usual @ vector))
        return floor if base - floor > _STEADY * (top - floor) else base

    def _smoothed(self, curve: Values, length_s: float) -> Values:
        """Weighted mean over neighbours, in each stretch by itself."""
        reach = round(length_s / self.step_s / 2)
        if reach < 1:
            return curve
        weights = np.hanning(2 * reach + 3)[1:-1]
        weights /= weights.sum()
        out = np.empty_like(curve)
        for number in range(len(self.stretches)):
            own = self.owner == number
            out[own] = np.convolve(np.pad(curve[own], reach, mode="edge"), weights, "valid")
        return out

    def _crossing(self, heights: Values, place: int, step: int, same: npt.NDArray[np.bool_]) -> float:
        """Time at which the curve falls through the level beyond a place; half a step beyond it if it does not."""
        beyond = place + step
        here = float(self.times[place])
        if not 0 <= beyond < len(heights) or not same[beyond] or not heights[place] > 0 > heights[beyond]:
            return here + step * self.step_s / 2
        share = heights[place] / (heights[place] - heights[beyond])
        return here + share * (float(self.times[beyond]) - here)


def refine(stretch: Stretch, start_s: float, end_s: float, fitted: Parameters) -> tuple[float, float]:
    """Move start and end to the nearest change of the spectrum.

    Args:
        stretch: Band levels of the sound.
        start_s: Start in seconds.
        end_s: End in seconds.
        fitted: ``edge_level`` and ``reach_s``.
    """
    bands = stretch.bands
    first, last = (round((time_s - stretch.start_s) / BAND_STEP_S) for time_s in (start_s, end_s))
    reach, context = round(fitted.reach_s / BAND_STEP_S), round((_CONTEXT_S + fitted.reach_s) / BAND_STEP_S)
    low, high = max(0, first - context), min(len(bands), last + context)
    around = np.r_[low : max(low, first - reach // 2), min(high, last + reach // 2) : high]
    if last - first < 2 or len(around) < 1 / BAND_STEP_S or first < 0:
        return start_s, end_s
    usual, spread = bands[around].mean(axis=0), np.maximum(bands[around].std(axis=0), _LEAST_SPREAD)
    above = (bands[low:high] - usual) / spread  # (T', 32)
    inside = np.maximum(above[first - low : last - low].mean(axis=0), 0.0)  # (32,) the bands that the sound adds to
    energy = float(inside @ inside)
    if energy < 1e-6:
        return start_s, end_s
    excess = above @ inside / energy - fitted.edge_level  # (T',) above 0 inside
    middle = (first + last) // 2 - low
    new_first = _change_point(excess, first - low - reach, min(middle, first - low + reach))
    new_last = len(excess) - _change_point(
        excess[::-1], len(excess) - (last - low + reach), len(excess) - max(middle, last - low - reach)
    )
    start_s, end_s = (stretch.start_s + (low + place) * BAND_STEP_S for place in (new_first, new_last))
    if end_s - start_s < _SHORTEST_S:
        middle_s = (start_s + end_s) / 2
        return middle_s - _SHORTEST_S / 2, middle_s + _SHORTEST_S / 2
    return start_s, end_s


def _change_point(excess: Values, low: int, high: int) -> int:
    """Place in [low, high] that best divides values below 0 from values above 0."""
    low = max(0, low)
    sums = np.concatenate([[0.0], np.cumsum(excess[low:high])])
    return low + int(sums.argmin())


def _growth(heights: Values, free: npt.NDArray[np.bool_], bridge: float) -> int:
    """How many parts to go on from a peak: to the highest sum, until it falls by more than ``bridge``."""
    stop = int(np.argmin(free)) if not free.all() else len(free)
    sums = np.cumsum(heights[:stop])
    best, best_sum = 0, 0.0
    for place, value in enumerate(sums, start=1):
        if value > best_sum:
            best, best_sum = place, float(value)
        elif value < best_sum - bridge:
            break
    return best


def _step(times: Values, owner: npt.NDArray[np.int64]) -> float:
    """Usual time between two parts, in seconds."""
    steps = np.diff(times)[np.diff(owner) == 0]
    return float(np.median(steps)) if len(steps) and np.median(steps) > 0 else 0.3
