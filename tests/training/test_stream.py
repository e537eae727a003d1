"""Sounds decoded on demand: fixed windows equal those of a cache, random ones lie in the sound, mixtures hold both."""

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import decode
from askaudio.audio.front_end import FrontEnd
from askaudio.audio.raw import RawWaveform
from askaudio.audio.windows import fixed_windows
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.training.dataset import PairDataset
from askaudio.training.stream import Sound

FRONT_END = FrontEnd(RawWaveform(8000), window_s=1.0, hop_s=1.0, short="keep")


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    for number, seconds in enumerate((2.5, 0.4)):
        soundfile.write(tmp_path / f"{number}.wav", 0.2 * rng.standard_normal(int(8000 * seconds)), 8000)
    return [str(tmp_path / f"{number}.wav") for number in range(2)]


def test_fixed_windows_are_those_of_indexing(paths):
    windows = list(Sound(paths[0], FRONT_END))
    expected = fixed_windows(decode(paths[0], 8000), 8000, 1.0, 1.0)
    assert len(windows) == len(expected) == 3
    for mine, theirs in zip(windows, expected, strict=True):
        np.testing.assert_array_equal(mine[0], theirs.samples)


def test_a_random_window_begins_at_its_place(paths):
    samples, sound = decode(paths[0], 8000), Sound(paths[0], FRONT_END)
    np.testing.assert_array_equal(sound.window(0.0)[0], samples[:8000])
    np.testing.assert_array_equal(sound.window(0.5)[0], samples[6000:14000])
    np.testing.assert_array_equal(sound.window(0.99999)[0], samples[12000:])
    assert Sound(paths[1], FRONT_END).window(0.7).shape == (1, 3200)


def test_a_mixture_is_the_sum_at_the_level_that_is_given(paths):
    one, other = (Sound(path, FRONT_END) for path in paths)
    mixed = one.mixed(0.0, other, 20.0)[0]
    mine = decode(paths[0], 8000)[:8000]
    rest = mixed - mine
    level = 20 * np.log10(np.std(mine) / np.std(rest))
    assert level == pytest.approx(20.0, abs=0.1)
    repeated = np.resize(decode(paths[1], 8000), 8000)
    assert np.corrcoef(rest, repeated)[0, 1] > 0.999


def test_mixed_pairs_join_captions_and_depend_on_the_epoch_alone(paths):
    clips = tuple(Clip(str(k), path, (Caption(f"{k}#0", f"text {k}"),)) for k, path in enumerate(paths))
    texts = np.array([[7, -1], [8, -1]])

    def pairs(mix):
        found = PairDataset(
            Manifest("m", clips), [Sound(path, FRONT_END) for path in paths], texts, [[[0]], [[1]]],
            mix=mix, tokens=lambda text: np.array([len(text), 1]),
        )  # fmt: skip
        found.set_epoch(3)
        return found[0]

    alone, mixed = pairs(0.0), pairs(0.999)
    assert alone.text.tolist() == [7, -1] and mixed.text.tolist() == [len("text 0 and text 1"), 1]
    assert mixed.entry == alone.entry == 0
    np.testing.assert_array_equal(mixed.audio, pairs(0.999).audio)
    assert not np.array_equal(mixed.audio, alone.audio)
