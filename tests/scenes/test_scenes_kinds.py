"""Every synthesised kind: deterministic, finite, audible, of the right length; its attributes are heard."""

from itertools import pairwise

import numpy as np
import pytest

from askaudio.scenes.effects import far_away
from askaudio.scenes.kinds.registry import COUNTS, KINDS, WORDS
from askaudio.scenes.loudness import active_rms, frame_power, trim
from askaudio.scenes.synthesised import SynthesisedSource

RATE = 16_000
ALL = sorted(KINDS)


def make(name, seed=0, duration_s=4.0, **attributes):
    kind = KINDS[name]
    values = {a: v[0] for a, v in kind.values.items()} | attributes
    return kind.make(np.random.default_rng(seed), duration_s, RATE, values)


def centroid_hz(x):
    power = np.abs(np.fft.rfft(x)) ** 2
    return float((np.fft.rfftfreq(len(x), 1 / RATE) * power).sum() / power.sum())


def bursts(x, quiet_db=25.0, gap_s=0.03):
    """Number of stretches of sound that silence (quiet_db below the loudest frame) separates."""
    power = np.convolve(frame_power(x, RATE), np.ones(2) / 2, mode="same")
    loud = np.flatnonzero(power > power.max() * 10 ** (-quiet_db / 10))
    return 1 + int((np.diff(loud) > max(1, round(gap_s / 0.02))).sum())


def rises(x):
    """Number of steep rises of the envelope: strokes that ring into one another."""
    db = 10 * np.log10(frame_power(x, RATE) + 1e-12)
    db = np.concatenate([[-120.0], np.maximum(db, db.max() - 40)])
    steep = np.flatnonzero((np.diff(db) > 6) & (db[1:] > db.max() - 20))
    return int((np.diff(steep) > 3).sum()) + 1


def test_there_are_enough_kinds_of_every_family():
    assert len(KINDS) >= 36
    for wanted in ("rain", "wind", "fire", "bird", "dog", "siren", "bell", "engine", "footsteps", "organ", "applause"):
        assert wanted in KINDS


@pytest.mark.parametrize("duration_s", [0.3, 0.5, 2.0])
def test_every_kind_fits_into_a_short_sound(duration_s):
    for name in ALL:
        for attributes in (
            {a: v[0] for a, v in KINDS[name].values.items()},
            {a: v[-1] for a, v in KINDS[name].values.items()},
        ):
            x = make(name, 3, duration_s, **attributes)
            assert 0 < len(x) <= duration_s * RATE + 1, name
            assert np.isfinite(x).all(), name


@pytest.mark.parametrize("name", ALL)
def test_kind_is_deterministic_finite_audible_and_fits(name):
    for attributes in ({}, {a: v[-1] for a, v in KINDS[name].values.items()}):
        for duration_s in (1.3, 4.0):
            x = make(name, 1, duration_s, **attributes)
            assert x.dtype == np.float32
            assert x.ndim == 1
            assert 0.05 * RATE < len(x) <= duration_s * RATE + 1
            assert np.isfinite(x).all()
            assert active_rms(x, RATE) > 1e-3
            assert np.array_equal(x, make(name, 1, duration_s, **attributes))
    assert not np.array_equal(make(name, 1), make(name, 2))


@pytest.mark.parametrize("name", [n for n in ALL if "pitch" in KINDS[n].values])
def test_pitch_moves_the_spectrum(name):
    low = np.median([centroid_hz(make(name, s, pitch="low")) for s in range(3)])
    high = np.median([centroid_hz(make(name, s, pitch="high")) for s in range(3)])
    assert high > 1.25 * low


@pytest.mark.parametrize("name", [n for n in ALL if "count" in KINDS[n].values])
def test_count_is_the_number_of_sounds(name):
    for count in KINDS[name].values["count"]:
        x = make(name, 3, 6.0, count=count)
        if name in RINGING:
            assert rises(x) == COUNTS[count]
        else:
            assert bursts(x) == COUNTS[count]


RINGING = {
    "bell",
    "plucked string",
    "piano",
    "marimba",
    "drum",
    "cymbal",
    "coins",
    "hammer",
    "gunshot",
    "knock",
    "laser",
}


@pytest.mark.parametrize("name", ["dripping water", "clock", "footsteps", "heartbeat"])
def test_speed_is_the_rate_of_events(name):
    slow, fast = (make(name, 4, 8.0, speed=s) for s in ("slow", "fast"))
    assert rises(fast) > 1.7 * rises(slow)


def beat_hz(x):
    """Strongest modulation of the loudness."""
    envelope = np.sqrt(frame_power(x, RATE))
    spectrum = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope))))
    return float(spectrum.argmax()) * RATE / len(x)


def sweep_rate(x):
    """How far the strongest partial moves from one frame to the next."""
    frames = x[: len(x) // 800 * 800].reshape(-1, 800)
    peak = np.abs(np.fft.rfft(frames * np.hanning(800))).argmax(axis=1)
    return float(np.abs(np.diff(peak)).mean())


def share_of_sound(x):
    power = frame_power(x, RATE)
    return float(np.mean(power > power.max() * 1e-2))


FASTER = {
    "helicopter": beat_hz, "saw": beat_hz, "train": beat_hz, "sea waves": beat_hz, "alarm clock": beat_hz,
    "cricket": beat_hz, "siren": sweep_rate, "engine": centroid_hz, "typing": share_of_sound,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FASTER))
def test_speed_is_heard_in_what_moves(name):
    slow, fast = (np.median([FASTER[name](make(name, s, 8.0, speed=v)) for s in range(3)]) for v in ("slow", "fast"))
    assert fast > 1.3 * slow


@pytest.mark.parametrize("name", ["jet", "creaking door", "zipper"])
def test_a_fast_event_is_over_sooner(name):
    def length(x):
        power = frame_power(x, RATE)
        return int((power > power.max() * 0.05).sum())

    assert length(make(name, 1, 6.0, speed="slow")) > 1.5 * length(make(name, 1, 6.0, speed="fast"))


@pytest.mark.parametrize("name", [n for n in ALL if "size" in KINDS[n].values])
def test_size_is_heard(name):
    def figures(size):
        x = make(name, 5, 5.0, size=size)
        return np.array([centroid_hz(x), len(trim(x, RATE)), np.mean(np.abs(x) > 0.2 * np.abs(x).max())])

    small, large = figures("small"), figures("large")
    assert (np.maximum(small, large) > 1.3 * np.minimum(small, large)).any()


@pytest.mark.parametrize("name", ["rain", "wind", "thunder"])
def test_strength_is_heard(name):
    def figures(strength):
        x = make(name, 5, 5.0, strength=strength)
        return np.array([centroid_hz(x), np.abs(x).max() / x.std()])

    light, heavy = figures("light"), figures("heavy")
    assert (np.maximum(light, heavy) > 1.2 * np.minimum(light, heavy)).any()


def test_each_ground_sounds_its_own_way():
    centroids = sorted(centroid_hz(make("footsteps", 8, ground=g)) for g in KINDS["footsteps"].values["ground"])
    assert all(b > 1.2 * a for a, b in pairwise(centroids))


def test_a_fast_bird_sings_more_notes():
    assert rises(make("bird", 2, 8.0, speed="fast")) > 1.5 * rises(make("bird", 2, 8.0, speed="slow"))


def test_whistle_rises_and_falls():
    def tone(x):
        return np.abs(np.fft.rfft(x)).argmax() * RATE / len(x)

    for direction, sign in (("rising", 1), ("falling", -1)):
        x = make("whistle", 6, direction=direction, count="1")
        third = len(x) // 3
        assert sign * (tone(x[-third:]) - tone(x[:third])) > 300


def test_far_away_is_duller_and_longer():
    near = make("dog", 7, count="1")
    far = far_away(near, np.random.default_rng(0), RATE, tail_s=2.0)
    assert centroid_hz(far) < 0.8 * centroid_hz(near)
    assert len(trim(far, RATE)) > 1.5 * len(near)
    assert np.isfinite(far).all()


def test_each_value_has_words_and_phrases_have_room_for_them():
    for kind in KINDS.values():
        assert len(kind.wording.nouns) >= 2 and len(kind.wording.clauses) >= 2
        assert all("{adj}" in phrase for phrase in (*kind.wording.nouns, *kind.wording.clauses))
        for name, values in kind.values.items():
            assert set(values) <= set(WORDS[name].words)


def test_source_draws_reproducibly_and_levels_follow_loudness():
    source = SynthesisedSource(seed=3)
    seen = {}
    for k in range(20):
        a = source.draw("beep", "train", np.random.default_rng(k), 3.0, RATE)
        b = source.draw("beep", "train", np.random.default_rng(k), 3.0, RATE)
        assert np.array_equal(a.samples, b.samples) and a.attributes == b.attributes
        assert len(a.samples) <= 3.0 * RATE
        assert not {"loudness", "distance"} <= set(a.attributes)
        seen.setdefault(a.attributes.get("loudness"), a.gain_db)
    assert seen["quiet"] < 0 < seen["loud"]
    assert SynthesisedSource(seed=4).labels != source.labels
