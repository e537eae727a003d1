"""The K-weighting filter of ITU-R BS.1770, at any sample rate: a high shelf and a high-pass, each of second order.

numpy has no recursive filter, and a loop over samples in Python is too slow. The two filters are therefore one linear
system with four state variables, evaluated for blocks of samples by products of matrices:

    output of a block   = T x (samples of the block) + O x (state before the block)
    state after it      = P x (state before the block) + Q x (samples of the block)

The states before the blocks follow the same kind of recursion, so groups of blocks are treated in the same way, and
the states before the groups by doubling. The result equals the recursive filter but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi, tan

import numpy as np
import numpy.typing as npt

from askaudio.core.types import FloatArray

Float64Array = npt.NDArray[np.float64]

BLOCK, _GROUP = 32, 16  # samples in a block, blocks in a group
STEP = BLOCK * _GROUP  # samples are filtered in multiples of this
_STATES = 4


class KWeighting:
    """The filter with its state; called with consecutive pieces of one recording.

    Args:
        sample_rate_hz: Rate of the samples.
        channels: C.
    """

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        self._system = _system(sample_rate_hz)
        self._state = np.zeros((channels, _STATES))

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Filter samples (C, n), n a multiple of ``STEP``, to (C, n / BLOCK, BLOCK) float32."""
        system, channels = self._system, len(samples)
        # samples and state of a block side by side: one product makes its output
        blocks = np.empty((channels, samples.shape[1] // BLOCK, BLOCK + _STATES), np.float32)
        blocks[:, :, :BLOCK] = samples.reshape(channels, -1, BLOCK)
        pushes = (blocks[:, :, :BLOCK] @ system.pushes).astype(np.float64).reshape(channels, -1, _GROUP * _STATES)
        inside = pushes @ system.group_inputs  # (C, groups, (_GROUP + 1) * 4)
        states = inside[:, :, :-_STATES] + self._starts(inside[:, :, -_STATES:]) @ system.group_outputs
        blocks[:, :, BLOCK:] = states.reshape(channels, -1, _STATES)
        return blocks @ system.outputs

    def _starts(self, pushes: Float64Array) -> Float64Array:
        """States before the groups, from what each group adds, both (C, groups, 4); the state is moved behind them."""
        after = pushes.copy()
        power, distance = self._system.group_power, 1
        after[:, 0] += self._state @ power
        while distance < after.shape[1]:  # after each turn, an element contains twice as many groups
            after[:, distance:] += after[:, :-distance] @ power
            power, distance = power @ power, 2 * distance
        starts = np.concatenate([self._state[:, None], after[:, :-1]], axis=1)
        self._state = after[:, -1]
        return starts


@dataclass(frozen=True, slots=True, eq=False)
class _System:
    """Matrices that are multiplied from the right; rows are samples or states before, columns after.

    Attributes:
        outputs: (BLOCK + 4, BLOCK) samples of a block and the state before it -> its output.
        pushes: (BLOCK, 4) samples of a block -> what they add to the state after it.
        group_inputs: (_GROUP * 4, (_GROUP + 1) * 4) what each block adds -> states before all blocks and at the end.
        group_outputs: (4, _GROUP * 4) state before a group -> the states before its blocks.
        group_power: (4, 4) state before a group -> the state after it.
    """

    outputs: FloatArray
    pushes: FloatArray
    group_inputs: Float64Array
    group_outputs: Float64Array
    group_power: Float64Array


@lru_cache(maxsize=16)
def _system(sample_rate_hz: int) -> _System:
    a, b, c, d = _cascade([_shelf(sample_rate_hz), _high_pass(sample_rate_hz)])
    powers = [np.eye(_STATES)]  # of a
    for _ in range(BLOCK):
        powers.append(powers[-1] @ a)
    response = np.array([d, *(float(c @ powers[n] @ b) for n in range(BLOCK - 1))])
    later = np.arange(BLOCK)[None, :] - np.arange(BLOCK)[:, None]  # (input, output)
    toeplitz = np.where(later >= 0, response[np.maximum(later, 0)], 0.0)
    pushes = np.stack([powers[BLOCK - 1 - n] @ b for n in range(BLOCK)])
    step = powers[BLOCK]
    steps = [np.eye(_STATES)]  # powers of step
    for _ in range(_GROUP):
        steps.append(steps[-1] @ step)
    group_inputs = np.zeros((_GROUP, _STATES, _GROUP + 1, _STATES))
    for pushed in range(_GROUP):
        for at in range(pushed + 1, _GROUP + 1):
            group_inputs[pushed, :, at, :] = steps[at - 1 - pushed].T
    return _System(
        outputs=np.vstack([toeplitz, np.stack([c @ powers[n] for n in range(BLOCK)], axis=1)]).astype(np.float32),
        pushes=pushes.astype(np.float32),
        group_inputs=group_inputs.reshape(_GROUP * _STATES, -1),
        group_outputs=np.hstack([steps[n].T for n in range(_GROUP)]),
        group_power=steps[_GROUP].T,
    )


# --- the two filters --------------------------------------------------------------------------------------------

_Biquad = tuple[Float64Array, Float64Array]  # numerator (3,) and denominator (3,) with leading 1


def _shelf(sample_rate_hz: int) -> _Biquad:
    """High shelf of +4 dB above 1.7 kHz: the acoustic effect of the head.

    The constants are the analogue prototype from which the standard's coefficients at 48 kHz follow.
    """
    frequency_hz, gain_db, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    if frequency_hz > 0.45 * sample_rate_hz:  # all of the sound is below the shelf
        return np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])
    k = tan(pi * frequency_hz / sample_rate_hz)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    scale = 1 + k / q + k * k
    numerator = np.array([high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k])
    return numerator / scale, np.array([1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale])


def _high_pass(sample_rate_hz: int) -> _Biquad:
    """High-pass at 38 Hz; its numerator is not scaled, as in the standard."""
    frequency_hz, q = 38.13547087602444, 0.5003270373238773
    k = tan(pi * frequency_hz / sample_rate_hz)
    scale = 1 + k / q + k * k
    return np.array([1.0, -2.0, 1.0]), np.array([1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale])


def _cascade(filters: list[_Biquad]) -> tuple[Float64Array, Float64Array, Float64Array, float]:
    """Two filters, one after the other, as x' = A x + B u, y = C x + D u."""
    (a1, b1, c1, d1), (a2, b2, c2, d2) = (_state_space(*one) for one in filters)
    a = np.block([[a1, np.zeros((2, 2))], [np.outer(b2, c1), a2]])
    return a, np.concatenate([b1, b2 * d1]), np.concatenate([d2 * c1, c2]), d1 * d2


def _state_space(
    numerator: Float64Array, denominator: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array, float]:
    """One filter of second order in transposed direct form II."""
    b0, b1, b2 = numerator
    _, a1, a2 = denominator
    a = np.array([[-a1, 1.0], [-a2, 0.0]])
    return a, np.array([b1 - a1 * b0, b2 - a2 * b0]), np.array([1.0, 0.0]), float(b0)
