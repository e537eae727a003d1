"""Loudness: the filter against a recursive one, gating against pyloudnorm and the test signals of EBU Tech 3341."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest
from scipy.signal import lfilter

from askaudio.measurements.k_weighting import STEP, KWeighting, _high_pass, _shelf
from askaudio.measurements.loudness import Energies, integrated_loudness, silence_share

Float64Array = npt.NDArray[np.float64]


def energies_of(samples: Float64Array, rate_hz: int, block: int = 65_536) -> Float64Array:
    measured = Energies(rate_hz, samples.shape[1])
    for start in range(0, len(samples), block):
        measured.take(samples[start : start + block].T.astype(np.float32))
    return measured.finish()


def loudness(samples: Float64Array, rate_hz: int) -> float | None:
    return integrated_loudness(energies_of(samples, rate_hz))


def sine(level_db: float, seconds: float, rate_hz: int = 48_000, channels: int = 2) -> Float64Array:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.stack([10 ** (level_db / 20) * np.sin(2 * np.pi * 1000 * times)] * channels, axis=1)


@pytest.mark.parametrize("rate_hz", [2000, 8000, 22_050, 44_100, 48_000, 192_000])
def test_the_filter_equals_the_recursive_one(rate_hz: int) -> None:
    samples = np.random.default_rng(rate_hz).uniform(-1, 1, (2, 10 * STEP)).astype(np.float32) + np.float32(0.2)
    wanted = samples.astype(np.float64)
    for numerator, denominator in (_shelf(rate_hz), _high_pass(rate_hz)):
        wanted = lfilter(numerator, denominator, wanted, axis=1)
    filtered = KWeighting(rate_hz, 2)
    found = [filtered(samples[:, start : start + STEP * n]) for start, n in ((0, 1), (STEP, 6), (7 * STEP, 3))]
    np.testing.assert_allclose(np.concatenate([part.reshape(2, -1) for part in found], axis=1), wanted, atol=2e-5)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_gated_loudness_agrees_with_pyloudnorm(rate_hz: int, channels: int) -> None:
    """Noise that swells by 60 dB with a pause in the middle: both gates have something to leave out."""
    rng = np.random.default_rng(channels)
    samples = rng.standard_normal((9 * rate_hz, channels)) * 0.1 * np.logspace(-3, 0, 9 * rate_hz)[:, None]
    samples[4 * rate_hz : 5 * rate_hz] = 0
    reference = pyloudnorm.Meter(rate_hz, filter_class="DeMan").integrated_loudness(samples)
    assert loudness(samples, rate_hz) == pytest.approx(reference, abs=0.05)


@pytest.mark.parametrize(
    "parts",
    [
        [(-23, 20)],
        [(-33, 20)],
        [(-36, 10), (-23, 60), (-36, 10)],
        [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)],
        [(-26, 20), (-20, 20.1), (-26, 20)],
    ],
)
def test_signals_of_ebu_tech_3341(parts: list[tuple[float, float]]) -> None:
    """Cases 1 to 5: -23 LUFS (-33 in the second) within 0.1 LU."""
    samples = np.concatenate([sine(level, seconds) for level, seconds in parts])
    assert loudness(samples, 48_000) == pytest.approx(-33 if parts == [(-33, 20)] else -23, abs=0.1)


def test_block_sizes_do_not_change_the_result() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (30_000, 2))
    whole = energies_of(samples, 44_100, 30_000)
    for block in (1, 777, 4096):
        np.testing.assert_allclose(energies_of(samples[: 3 * block + 9], 44_100, block),
                                   energies_of(samples[: 3 * block + 9], 44_100), rtol=1e-5)  # fmt: skip
    assert len(whole) == 68


def test_frames_follow_odd_rates_exactly() -> None:
    """110.25 samples a frame: after 100 s, the frame at 90 s is still the one at 90 s."""
    samples = np.zeros((100 * 11_025, 1))
    samples[90 * 11_025 : 91 * 11_025] = 0.5 * np.random.default_rng(0).standard_normal((11_025, 1))
    energies = energies_of(samples, 11_025)
    assert len(energies) == 10_000
    loud = np.flatnonzero(energies > 0.05)
    assert (loud[0], loud[-1]) == (9000, 9099)


def test_short_and_silent_sounds() -> None:
    assert loudness(sine(-20, 0.1), 48_000) == pytest.approx(-20, abs=0.3)
    assert loudness(sine(-20, 0.004), 48_000) is not None
    assert loudness(np.zeros((48_000, 1)), 48_000) is None
    assert integrated_loudness(np.zeros(0)) is None
    assert silence_share(np.zeros(0)) is None


def test_an_lfe_channel_does_not_count() -> None:
    front = sine(-23, 2.0)
    six = np.zeros((len(front), 6))
    six[:, :2], six[:, 3] = front, 0.9
    assert loudness(six, 48_000) == pytest.approx(loudness(front, 48_000))


def test_silence_is_a_share_of_time_and_an_offset_is_silence() -> None:
    quarter = np.concatenate([sine(-20, 1.0), np.full((3 * 48_000, 2), 0.25)])
    assert silence_share(energies_of(quarter, 48_000)) == pytest.approx(0.73, abs=0.03)  # the step itself is a click
