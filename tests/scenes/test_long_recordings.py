"""Long recordings with known moments."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.core.errors import ConfigError, DataError
from askaudio.data.manifest import Clip
from askaudio.moments.truth import read_truth
from askaudio.scenes.long_recordings import LongSettings, LongSource, make_long_recording, write_long_recordings
from support.tones import RATE_HZ, write_tone

SETTINGS = LongSettings(sample_rate_hz=RATE_HZ, shortest_s=20, longest_s=40, levels_db=(10.0,))


@pytest.fixture
def source(tmp_path: Path) -> LongSource:
    hiss = np.random.default_rng(0).standard_normal(4 * RATE_HZ) * 0.1
    soundfile.write(tmp_path / "hiss.wav", hiss, RATE_HZ)
    tones = {hz: write_tone(tmp_path / f"{hz}.wav", hz, 0.8) for hz in (400, 3200)}
    return LongSource(
        classes={f"{hz} Hz": [Clip(f"tone/{hz}", str(path))] for hz, path in tones.items()},
        phrases={"400 Hz": ("a low tone",), "3200 Hz": ("a high tone",)},
        ambiences=[Clip("hiss", str(tmp_path / "hiss.wav"))],
    )


def test_a_recording_is_a_function_of_its_number(source: LongSource) -> None:
    first, again, other = (make_long_recording(source, SETTINGS, index) for index in (3, 3, 4))
    assert first.queries == again.queries and np.array_equal(first.samples, again.samples)
    assert len(first.samples) != len(other.samples)


def test_the_sound_is_where_the_truth_says_at_its_level(source: LongSource) -> None:
    for index in range(6):
        recording = make_long_recording(source, SETTINGS, index)
        for query in recording.queries:
            hz = float(query["label"].split()[0])
            time_s = np.arange(len(recording.samples)) / RATE_HZ
            inside = np.zeros(len(time_s), dtype=bool)
            for start_s, end_s in query["relevant_windows"]:
                inside |= (time_s >= start_s) & (time_s < end_s)
            level = np.abs(
                np.convolve(recording.samples * np.exp(-2j * np.pi * hz * time_s), np.ones(400) / 400, "same")
            )
            assert np.median(level[inside]) > 8 * np.median(level[~inside])


def test_moments_lie_apart_and_inside(source: LongSource) -> None:
    for index in range(10):
        recording = make_long_recording(source, SETTINGS, index)
        windows = sorted(w for query in recording.queries for w in query["relevant_windows"])
        assert windows[0][0] >= 0 and windows[-1][1] <= len(recording.samples) / RATE_HZ
        assert all(a[1] < b[0] for a, b in itertools.pairwise(windows))


def test_the_written_truth_can_be_read(source: LongSource, tmp_path: Path) -> None:
    truth = write_long_recordings(source, tmp_path / "out", 2, SETTINGS)
    queries = read_truth(truth)
    assert {query.recording for query in queries} == {"long-00000", "long-00001"}
    assert queries[0].facts["level_db"] == 10.0
    assert soundfile.info(tmp_path / "out/long-00001.flac").duration == pytest.approx(queries[-1].duration_s, abs=1e-3)


def test_conflicting_classes_are_not_placed(source: LongSource) -> None:
    only = LongSource(source.classes, source.phrases, source.ambiences, {"hiss": frozenset({"400 Hz"})})
    labels = {query["label"] for index in range(6) for query in make_long_recording(only, SETTINGS, index).queries}
    assert labels == {"3200 Hz"}


def test_wrong_settings_are_refused(source: LongSource) -> None:
    with pytest.raises(ConfigError, match="shortest_s"):
        LongSettings(shortest_s=5)
    with pytest.raises(DataError, match="ambience"):
        make_long_recording(LongSource(source.classes, source.phrases, []), SETTINGS, 0)
