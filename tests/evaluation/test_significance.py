"""Bootstrap and corrections against theory, plain loops and known p-values."""

from math import erfc, sqrt

import numpy as np
import pytest

from askaudio.core.errors import ConfigError
from askaudio.evaluation.significance import bootstrap, holm, interval, p_value, unit_rows


def test_units_do_not_depend_on_the_order_of_queries():
    assert unit_rows(["b", "a", "b"]).tolist() == [1, 0, 1]


def test_the_spread_is_that_of_clips_not_of_captions(rng):
    n_clips = 400
    of_clip = rng.normal(size=n_clips)
    values = np.repeat(of_clip, 5)  # five captions that say the same: 400 observations, not 2,000
    drawn = bootstrap([values], np.repeat(np.arange(n_clips), 5), resamples=4000)[:, 0]
    assert drawn.std() == pytest.approx(of_clip.std() / sqrt(n_clips), rel=0.05)
    naive = bootstrap([values], np.arange(5 * n_clips), resamples=4000)[:, 0]
    assert naive.std() == pytest.approx(drawn.std() / sqrt(5), rel=0.07)


def test_equal_to_a_loop_over_the_same_draws():
    values, units = np.array([1.0, 0.0, 0.5, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 2, 2, 2])
    drawn = bootstrap([values], units, resamples=50, seed=3)[:, 0]
    median = bootstrap([values], units, resamples=50, seed=3, median=True)[:, 0]
    rng = np.random.default_rng([3, 0])
    for got, got_median, clips in zip(drawn, median, rng.integers(0, 3, size=(50, 3)), strict=True):
        sample = np.concatenate([values[units == c] for c in clips])
        assert got == pytest.approx(sample.mean())
        assert got_median == np.median(sample)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng, hits = np.random.default_rng(1), 0
    for trial in range(200):
        chance = rng.beta(2, 2, size=150)  # mean 0.5
        values = (rng.random((150, 5)) < chance[:, None]).astype(float).ravel()
        low, high = interval(bootstrap([values], np.repeat(np.arange(150), 5), resamples=400, seed=trial)[:, 0])
        hits += low <= 0.5 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_p_is_that_of_the_normal_test_on_many_clips(rng):
    n = 1000
    a = rng.normal(size=n)
    b = a + rng.normal(0.06, 1.0, size=n)
    drawn = bootstrap([a, b], np.arange(n), resamples=6000)
    gap = b - a
    theory = erfc(abs(gap.mean()) / (gap.std() / sqrt(n)) / sqrt(2))
    assert p_value(gap.mean(), drawn[:, 1] - drawn[:, 0]) == pytest.approx(theory, abs=0.02)


def test_without_a_difference_p_is_uniform():
    rng = np.random.default_rng(5)
    p = []
    for trial in range(200):
        a, b = rng.normal(size=(2, 120))
        drawn = bootstrap([a, b], np.arange(120), resamples=300, seed=trial)
        p.append(p_value(b.mean() - a.mean(), drawn[:, 1] - drawn[:, 0]))
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.10
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)


def test_a_system_is_never_different_from_itself():
    values = np.random.default_rng(0).random(100)
    drawn = bootstrap([values, values], np.arange(100), resamples=200)
    assert np.array_equal(drawn[:, 0], drawn[:, 1])
    assert p_value(0.0, drawn[:, 1] - drawn[:, 0]) == 1.0


def test_p_is_never_zero():
    assert p_value(1.0, np.full(99, 1.0)) == pytest.approx(0.01)


def test_over_seeds_the_spread_is_that_of_a_mean_of_few_seeds(rng):
    level = rng.normal(size=4)  # four seeds
    values = np.tile(level[:, None], (1, 50))  # no difference between queries
    drawn = bootstrap([values], np.arange(50), over="seeds", resamples=20_000)[:, 0]
    assert drawn.mean() == pytest.approx(level.mean(), abs=0.02)
    assert drawn.std() == pytest.approx(level.std(ddof=1) / 2, rel=0.03)  # widened: unbiased in spite of four seeds
    both = bootstrap([values], np.arange(50), over="both", resamples=20_000)[:, 0]
    assert both.std() == pytest.approx(drawn.std(), rel=0.03)


def test_both_is_wider_than_either(rng):
    values = rng.normal(size=(4, 1)) * 0.3 + rng.normal(size=(1, 60)) + 0.1 * rng.normal(size=(4, 60))
    spread = {o: bootstrap([values], np.arange(60), over=o, resamples=5000).std() for o in ("clips", "seeds", "both")}
    assert spread["both"] > max(spread["clips"], spread["seeds"])
    assert spread["both"] ** 2 == pytest.approx(spread["clips"] ** 2 + spread["seeds"] ** 2, rel=0.1)


def test_the_same_seed_gives_the_same_draws():
    values, units = np.arange(30.0), np.arange(30) // 3
    one = bootstrap([values], units, resamples=100, seed=7)
    assert np.array_equal(one, bootstrap([values], units, resamples=100, seed=7))
    assert not np.array_equal(one, bootstrap([values], units, resamples=100, seed=8))


def test_holm_is_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"over": "captions"}, "over must be one of"),
        ({"over": "seeds"}, "has one seed"),
        ({"over": "both"}, "has one seed"),
        ({"resamples": 0}, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        bootstrap([np.ones(4)], np.arange(4), **settings)
    with pytest.raises(ConfigError, match="do not fit 3 units"):
        bootstrap([np.ones(4)], np.arange(3))
