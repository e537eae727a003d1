"""Fixed windows: the documented rule, and that blocks of any size give the same windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askaudio.audio.windows import REST, cut, fixed_windows
from askaudio.core.errors import ConfigError

RATE = 100


def ramp(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


def spans(n: int, window_s: float, hop_s: float) -> list[tuple[float, float]]:
    return [(w.start_s, w.end_s) for w in fixed_windows(ramp(n), RATE, window_s, hop_s)]


def test_short_recording_is_one_window_as_long_as_itself():
    assert spans(30, 1.0, 1.0) == [(0.0, 0.3)]


def test_exact_multiple_has_no_extra_window():
    assert spans(300, 1.0, 1.0) == [(0, 1), (1, 2), (2, 3)]


def test_rest_moves_the_last_window_back_to_the_end():
    assert spans(250, 1.0, 1.0) == [(0, 1), (1, 2), (1.5, 2.5)]


def test_a_codec_sized_rest_adds_no_window():
    assert spans(202, 1.0, 1.0) == [(0, 1), (1, 2)]
    assert spans(203, 1.0, 1.0) == [(0, 1), (1, 2), (1.03, 2.03)]


def test_overlapping_windows():
    assert spans(200, 1.0, 0.5) == [(0, 1), (0.5, 1.5), (1, 2)]


def test_empty_recording_has_no_window():
    assert fixed_windows(ramp(0), RATE, 1.0, 1.0) == []


def test_one_sample():
    (window,) = fixed_windows(ramp(1), RATE, 1.0, 1.0)
    assert window.samples.tolist() == [0.0]
    assert window.end_s == 0.01


@pytest.mark.parametrize(("window_s", "hop_s"), [(1.0, 0.0), (1.0, 2.0), (0.0, 0.0), (1.0, -1.0)])
def test_windows_that_would_skip_sound_are_refused(window_s, hop_s):
    with pytest.raises(ConfigError, match="0 < hop <= window"):
        fixed_windows(ramp(10), RATE, window_s, hop_s)


def test_windows_own_their_samples():
    samples = ramp(100)
    (window,) = fixed_windows(samples, RATE, 1.0, 1.0)
    samples[:] = -1
    assert window.samples[5] == 5


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 900), st.integers(1, 120), st.data())
def test_every_sample_is_covered_and_windows_are_what_they_say(n, size, data):
    hop = data.draw(st.integers(1, size))
    windows = fixed_windows(ramp(n), RATE, size / RATE, hop / RATE)
    covered = np.zeros(n, dtype=bool)
    for window in windows:
        first, last = round(window.start_s * RATE), round(window.end_s * RATE)
        assert window.samples.tolist() == list(range(first, last))
        assert len(window.samples) == min(size, n)
        covered[first:last] = True
    starts = [w.start_s for w in windows]
    assert starts == sorted(set(starts))
    assert np.count_nonzero(~covered) <= REST * hop
    assert covered[: windows and round(windows[-1].end_s * RATE)].all()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 900), st.integers(1, 120), st.lists(st.integers(1, 200), min_size=1, max_size=20), st.data())
def test_block_sizes_do_not_matter(n, size, block_sizes, data):
    hop = data.draw(st.integers(1, size))
    samples, blocks, first, turn = ramp(n), [], 0, 0
    while first < n:
        blocks.append(samples[first : first + block_sizes[turn % len(block_sizes)]])
        first, turn = first + len(blocks[-1]), turn + 1
    whole = fixed_windows(samples, RATE, size / RATE, hop / RATE)
    pieces = list(cut(blocks, RATE, size / RATE, hop / RATE))
    assert [(w.start_s, w.end_s) for w in whole] == [(w.start_s, w.end_s) for w in pieces]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(whole, pieces, strict=True))
