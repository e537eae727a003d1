"""The meter: each fact on signals whose value is known, and nothing but missing facts for broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from askaudio.audio.decode import Waveform, read_through
from askaudio.core.types import Json
from askaudio.index.filters import ALIASES, MEASURED
from askaudio.measurements.meter import FACTS, Meter

Float64Array = npt.NDArray[np.float64]
RATE_HZ = 48_000


def measured(samples: Float64Array, rate_hz: int = RATE_HZ) -> Json:
    meter = Meter()
    read_through(Waveform(np.atleast_2d(samples.T).astype(np.float32), rate_hz), meter)
    return meter.facts()


def tone(hz: float, seconds: float, rate_hz: int = RATE_HZ, harmonics: int = 1) -> Float64Array:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.sum([0.2 / n * np.sin(2 * np.pi * n * hz * times) for n in range(1, harmonics + 1)], axis=0)


def hits(at_s: list[float], seconds: float) -> Float64Array:
    """Noise bursts that decay within 80 ms."""
    rng, samples = np.random.default_rng(0), np.zeros(round(seconds * RATE_HZ))
    for start in (round(place * RATE_HZ) for place in at_s):
        burst = 0.3 * rng.standard_normal(4000) * np.exp(-np.arange(4000) / 800)
        samples[start : start + 4000] += burst[: len(samples) - start]
    return samples


def test_filters_know_every_fact() -> None:
    assert FACTS == MEASURED
    assert {ALIASES[name] for name in ("loudness", "peak", "silence", "brightness", "pitch", "onset", "tempo")} == set(
        FACTS
    )


def test_peak_is_that_of_the_file_not_of_the_mean_of_its_channels() -> None:
    stereo = np.stack([tone(440, 1), np.zeros(RATE_HZ)], axis=1)
    stereo[100] = (-0.5, 0.0)
    assert measured(stereo)["peak_dbfs"] == -6.0
    assert measured(np.zeros(RATE_HZ))["peak_dbfs"] == -120.0


def test_peak_above_full_scale_and_loudness_are_measured_before_scaling(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "hot.wav", 10 * np.stack([tone(997, 2)] * 2, axis=1), RATE_HZ, subtype="FLOAT")
    meter = Meter()
    read_through(tmp_path / "hot.wav", meter)
    facts = meter.facts()
    assert (facts["peak_dbfs"], facts["loudness_lufs"]) == (6.0, 6.0)


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 96_000])
def test_brightness_is_the_spectral_centroid(rate_hz: int) -> None:
    assert measured(tone(1000, 3, rate_hz), rate_hz)["brightness_hz"] == pytest.approx(1000, rel=0.02)
    mixed = tone(500, 3, rate_hz) + tone(1500, 3, rate_hz)
    assert measured(mixed, rate_hz)["brightness_hz"] == pytest.approx(1000, rel=0.02)
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * rate_hz)
    assert measured(noise, rate_hz)["brightness_hz"] == pytest.approx(rate_hz / 4, rel=0.03)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("hz", [60, 110, 261.6, 440, 1000, 1400])
def test_steady_tones_have_their_pitch(hz: float, rate_hz: int) -> None:
    for harmonics in (1, 5):
        if harmonics * hz < rate_hz / 2:
            assert measured(tone(hz, 1.5, rate_hz, harmonics), rate_hz)["pitch_hz"] == pytest.approx(hz, rel=0.015)


@pytest.mark.parametrize("rate_hz", [16_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("hz", [2000, 3300, 5000, 6300, 7000, 10_000])
def test_tones_above_the_highest_pitch_have_none(hz: float, rate_hz: int) -> None:
    if hz < rate_hz / 2:
        assert "pitch_hz" not in measured(tone(hz, 1.5, rate_hz), rate_hz)


def test_noise_chords_and_glides_have_no_pitch() -> None:
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(3 * RATE_HZ)
    rumble = np.convolve(noise, np.ones(200) / 20, "same")
    chord = tone(261.6, 2, harmonics=4) + tone(277.2, 2, harmonics=4) + tone(370, 2, harmonics=4)
    glide = 0.2 * np.sin(2 * np.pi * np.cumsum(np.geomspace(100, 1000, 3 * RATE_HZ)) / RATE_HZ)
    for name, samples in {"noise": noise, "rumble": rumble, "chord": chord, "glide": glide}.items():
        assert "pitch_hz" not in measured(samples), name


def test_onsets_are_counted() -> None:
    at = [0.5, 0.9, 1.7, 2.0, 3.25, 3.4]
    facts = measured(hits(at, 5) + 0.001 * np.random.default_rng(1).standard_normal(5 * RATE_HZ))
    assert facts["onsets"] == len(at)  # the noise begins, too, but too far below
    assert "tempo_bpm" not in facts
    assert measured(hits([0.0], 0.1))["onsets"] == 1
    assert measured(tone(440, 4))["onsets"] == 1


def test_a_rough_texture_has_no_number_of_onsets() -> None:
    rng = np.random.default_rng(0)
    steps_db = np.repeat(rng.uniform(-7, 0, 150), RATE_HZ // 15)
    assert "onsets" not in measured(0.1 * rng.standard_normal(len(steps_db)) * 10 ** (steps_db / 20))


@pytest.mark.parametrize("bpm", [70, 90, 120, 128, 150])
def test_regular_hits_have_a_tempo(bpm: float) -> None:
    assert measured(hits(list(np.arange(0, 14, 60 / bpm)), 14))["tempo_bpm"] == pytest.approx(bpm, rel=0.01)


def test_irregular_hits_have_no_tempo() -> None:
    rng = np.random.default_rng(3)
    assert "tempo_bpm" not in measured(hits(sorted(rng.uniform(0, 14, 24)), 14))


@pytest.mark.parametrize("samples", [
    np.zeros(1), np.ones(1), np.zeros(5000), np.full(7, -1.0), np.full(9000, np.nan), np.full(9000, np.inf),
    np.full(9000, 1e-38), np.full(9000, 3e38),
])  # fmt: skip
@pytest.mark.parametrize("rate_hz", [1000, 11_025, 1_000_000])
def test_odd_signals_give_finite_facts_or_none(samples: Float64Array, rate_hz: int) -> None:
    meter = Meter()
    meter.start(rate_hz, 1)
    block = samples.astype(np.float32)
    meter.take(block[:, None], block)
    facts = meter.facts()
    assert set(facts) <= set(FACTS)
    assert all(np.isfinite(value) for value in facts.values())


def test_the_same_recording_gives_the_same_facts_however_it_arrives() -> None:
    samples = (tone(330, 2.5) + hits([0.2, 1.1], 2.5)).astype(np.float32)
    found = []
    for block in (1000, 44_100, 200_000):
        meter = Meter()
        meter.start(RATE_HZ, 1)
        for start in range(0, len(samples), block):
            meter.take(samples[start : start + block, None], samples[start : start + block])
        found.append(meter.facts())
    assert found[0] == found[1] == found[2] == measured(samples)


def test_a_second_start_forgets_what_came_before() -> None:
    meter = Meter()
    meter.start(RATE_HZ, 1)
    meter.take(np.ones((5000, 1), np.float32), np.ones(5000, np.float32))
    meter.start(RATE_HZ, 1)
    quiet = tone(440, 1).astype(np.float32)
    meter.take(quiet[:, None], quiet)
    assert meter.facts()["peak_dbfs"] == -14.0
