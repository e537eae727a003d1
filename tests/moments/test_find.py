"""Finding moments: known tones in noise, with the toy encoder and with one that has parts of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from askaudio.core.errors import ModelError
from askaudio.core.types import FloatArray
from askaudio.encoders.encoder import PartEncoder
from askaudio.encoders.parts import encode_parts
from askaudio.encoders.toy import ToyEncoder
from askaudio.moments.cache import PartsCache
from askaudio.moments.find import Parameters, find_moments, parameters_of
from askaudio.moments.fine_pass import N_BANDS, band_levels, examine, stretches
from support.counting_encoder import CountingEncoder

RATE_HZ = ToyEncoder.sample_rate_hz


class ToyWithParts(ToyEncoder):
    """The toy encoder with parts of 0.5 s, every 0.25 s."""

    def encode_parts(self, samples: FloatArray) -> tuple[FloatArray, FloatArray]:
        starts = np.arange(0, max(len(samples) - RATE_HZ // 2, 0) + 1, RATE_HZ // 4)
        times = np.stack([starts, np.minimum(starts + RATE_HZ // 2, len(samples))], axis=1) / RATE_HZ
        return times, self.encode_audio([samples[start : start + RATE_HZ // 2] for start in starts])


def recording(seconds: float, *tones: tuple[float, float, float]) -> FloatArray:
    """Weak noise with tones of 900 Hz: (start, end, level) in seconds."""
    samples = np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ)) * 0.005
    time_s = np.arange(len(samples)) / RATE_HZ
    for start_s, end_s, level in tones:
        inside = (time_s >= start_s) & (time_s < end_s)
        samples[inside] += level * np.sin(2 * np.pi * 900 * time_s[inside])
    return samples.astype(np.float32)


def found(samples: FloatArray, encoder: ToyEncoder, text: str = "900 Hz tone", **changes: float):
    whole = [(0.0, len(samples) / RATE_HZ)]
    parts = examine(encoder, lambda span: samples[round(span[0] * RATE_HZ) : round(span[1] * RATE_HZ)], whole)
    fitted = dataclasses.replace(Parameters(), **changes)
    return find_moments(parts, encoder.encode_text([text])[0], fitted)


@pytest.mark.parametrize("encoder", [ToyEncoder(), ToyWithParts()], ids=["short windows", "own parts"])
def test_a_moment_is_found_to_a_fifth_of_a_second(encoder: ToyEncoder) -> None:
    moments, curve = found(recording(30, (12.3, 14.1, 0.3)), encoder)
    assert len(moments) == 1
    assert moments[0].start_s == pytest.approx(12.3, abs=0.2) and moments[0].end_s == pytest.approx(14.1, abs=0.2)
    assert 12 < float(curve.times_s[curve.scores.argmax()]) < 14.5
    assert moments[0].score == pytest.approx(float(curve.scores.max()), abs=0.1)


def test_several_moments_come_best_first() -> None:
    moments, _ = found(recording(30, (15, 16, 0.3), (24, 26, 0.02)), ToyWithParts(), keep=0.7)
    assert sorted(round(m.start_s) for m in moments) == [15, 24]
    assert [m.score for m in moments] == sorted((m.score for m in moments), reverse=True)


def test_weak_further_peaks_are_left_out() -> None:
    samples = recording(30, (5, 6, 0.004), (15, 16, 0.3))
    assert len(found(samples, ToyWithParts(), keep=0.0)[0]) > 1
    assert len(found(samples, ToyWithParts(), keep=0.9)[0]) == 1


def test_short_pauses_are_bridged_and_long_ones_are_not() -> None:
    near = found(recording(30, (10, 11, 0.3), (11.4, 12.4, 0.3)), ToyWithParts())[0]
    assert len(near) == 1 and near[0].end_s == pytest.approx(12.4, abs=0.15)
    assert len(found(recording(30, (5, 6, 0.3), (20, 21, 0.3)), ToyWithParts())[0]) == 2


def test_a_sound_that_never_stops_is_one_moment_where_others_are_known() -> None:
    encoder = ToyWithParts()
    samples = recording(20, (0, 20, 0.3))
    whole = examine(encoder, lambda span: samples, [(0.0, 20.0)])
    usual = encoder.encode_text(["noise", "100 Hz", "3000 Hz", "silence"])
    moments, _ = find_moments(whole, encoder.encode_text(["900 Hz tone"])[0], Parameters(), usual)
    assert (moments[0].start_s, moments[0].end_s) == (0.0, 20.0)


@pytest.mark.parametrize("seconds", [0.01, 0.3, 1.2, 10.0])
def test_short_recordings_have_a_moment_inside(seconds: float) -> None:
    moments, curve = found(recording(seconds, (0, seconds / 2, 0.3)), ToyEncoder())
    assert len(curve.times_s) >= 1
    assert all(0 <= m.start_s < m.end_s <= seconds + 1e-6 for m in moments)


def test_two_stretches_keep_their_own_times() -> None:
    encoder, samples = ToyWithParts(), recording(60, (3, 5, 0.3), (50, 52, 0.3))
    spans = [(0.0, 10.0), (45.0, 60.0)]
    parts = examine(encoder, lambda span: samples[round(span[0] * RATE_HZ) : round(span[1] * RATE_HZ)], spans)
    moments, curve = find_moments(parts, encoder.encode_text(["900 Hz tone"])[0], Parameters())
    assert sorted(round(m.start_s) for m in moments) == [3, 50]
    assert not ((curve.times_s > 10) & (curve.times_s < 45)).any()


def test_the_places_to_examine() -> None:
    assert stretches([(0, 10)], 13.0) == ((0.0, 13.0),)
    assert stretches([(100, 110)], 600.0) == ((98, 112),)
    assert stretches([(20, 30)], 30.0) == ((16.0, 30.0),)  # the margin behind the end is added before
    assert stretches([(1, 11)], 30.0) == ((0.0, 14.0),)
    assert stretches([(100, 110), (300, 310)], 600.0, 40.0) == ((98, 112), (298, 312))
    assert stretches([(100, 110), (300, 310)], 600.0, 27.0) == ((98, 112),)
    assert stretches([(100, 110), (110, 120)], 600.0, 30.0) == ((98, 122),)
    assert stretches([(0, 10)], 12.0, 5.0) == ((0.0, 12.0),)


def test_band_levels_have_one_row_each_fifty_milliseconds() -> None:
    levels = band_levels(recording(2.0, (1, 2, 0.3)), RATE_HZ)
    assert levels.shape[1] == N_BANDS and abs(len(levels) - 40) <= 1
    assert levels[25:38].max(axis=1).min() > levels[2:18].max()


def test_results_are_kept_and_damage_is_noticed(tmp_path: Path) -> None:
    encoder, samples = CountingEncoder(), recording(5, (2, 3, 0.3))
    cache = PartsCache(tmp_path / "cache")

    def once() -> FloatArray:
        return examine(encoder, lambda span: samples, [(0.0, 5.0)], "abc" * 8, cache)[0].vectors

    first, calls = once(), encoder.calls
    np.testing.assert_allclose(once(), first, atol=1e-3)
    assert encoder.calls == calls
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    once()
    assert encoder.calls == 2 * calls
    assert cache.key("a" * 64, "e", (0, 1)) != cache.key("a" * 64, "f", (0, 1)) != cache.key("b" * 64, "e", (0, 1))


def test_the_cache_keeps_to_its_size(tmp_path: Path) -> None:
    cache = PartsCache(tmp_path, max_bytes=20_000)
    for number in range(60):
        cache.put(f"k{number}", {"vectors": np.ones((10, 100), np.float32)})
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 45_000
    assert cache.get("k59", {"vectors": (None, 100)}) is not None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = PartsCache(tmp_path / "file" / "below")
    cache.put("k", {"vectors": np.ones((1, 2), np.float32)})
    assert cache.get("k", {"vectors": (None, 2)}) is None


def test_parts_of_both_kinds_of_encoders() -> None:
    assert isinstance(ToyWithParts(), PartEncoder) and not isinstance(ToyEncoder(), PartEncoder)
    own = encode_parts(ToyWithParts(), recording(23.0), 100.0)
    assert own.times[0, 0] == 100.0 and own.times[-1, 1] == pytest.approx(123.0, abs=0.25)
    assert (np.diff(own.times.mean(axis=1)) >= 0).all() and own.vectors.shape == (len(own.times), 32)
    with pytest.raises(ModelError, match="empty"):
        encode_parts(ToyEncoder(), np.zeros(0, np.float32))


def test_every_model_has_parameters() -> None:
    assert parameters_of("small") == parameters_of("small")
    assert isinstance(parameters_of("a model of my own"), Parameters)
