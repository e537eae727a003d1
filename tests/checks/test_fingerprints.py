"""Fingerprints: copies are found after re-encoding, gain, resampling and cutting; other sounds are not."""

import io
import itertools

import numpy as np
import pytest
import soundfile

from askaudio.audio.decode import decode
from askaudio.checks import fingerprints
from askaudio.checks.fingerprints import FRAME, HOP, HOP_S, LAG, NO_WORD, Fingerprint, fingerprint_of, make_fingerprints
from askaudio.checks.same_sound import find_overlaps, largest_bit_error
from askaudio.data.manifest import read_manifest
from layouts import RATE_HZ, texture, tone

SEEDS = range(12)


def encoded(samples: np.ndarray, rate_hz: int = RATE_HZ, **settings) -> Fingerprint:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, **settings)
    return fingerprint_of(decode(buffer.getvalue(), fingerprints.RATE_HZ))


def wav(samples: np.ndarray) -> Fingerprint:
    return encoded(samples, format="WAV", subtype="FLOAT")


def doubled(samples: np.ndarray) -> np.ndarray:
    """The same waveform with a value between every two."""
    return np.interp(np.arange(0, len(samples), 0.5), np.arange(len(samples)), samples)


@pytest.fixture(scope="module")
def originals() -> list[Fingerprint]:
    return [wav(texture(seed)) for seed in SEEDS]


COPIES = {
    "mp3": lambda x: encoded(x, format="MP3", compression_level=0.6),
    "opus": lambda x: encoded(x, format="OGG", subtype="OPUS", compression_level=0.6),
    "vorbis": lambda x: encoded(x, format="OGG", subtype="VORBIS", compression_level=0.6),
    "gain": lambda x: encoded(0.05 * x, format="WAV", subtype="PCM_16"),
    "other rate": lambda x: encoded(
        np.interp(np.arange(0, len(x), 0.5), np.arange(len(x)), x), 2 * RATE_HZ, format="WAV"
    ),
    "cut": lambda x: encoded(x[9001:-7003], format="MP3"),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_nothing_else(originals, name):
    prints = originals + [COPIES[name](texture(seed)) for seed in SEEDS]
    found = {(o.first, o.second): o for o in find_overlaps(prints)}
    assert set(found) == {(k, k + len(SEEDS)) for k in SEEDS}
    starts = [o.offset_s for o in found.values()]
    assert starts == pytest.approx([9001 / RATE_HZ if name == "cut" else 0.0] * len(SEEDS), abs=0.05)


def test_a_clip_inside_a_longer_one():
    long, inner = texture(1, 6.0), texture(2, 1.5)
    long[32_000 : 32_000 + len(inner)] = inner
    (found,) = find_overlaps([wav(inner), wav(texture(3, 3.0)), wav(long)])
    assert (found.first, found.second) == (0, 2)
    assert found.offset_s == pytest.approx(-2.0, abs=0.05)  # the long one begins two seconds before
    assert found.overlap_s == pytest.approx(1.5, abs=0.1)


def test_frames_and_silence():
    silent = fingerprint_of(np.zeros(12_000, np.float32))
    assert len(silent.words) == 12_000 // HOP + 1 - LAG and set(silent.words) == {NO_WORD}
    assert find_overlaps([silent, silent]) == []
    assert len(fingerprint_of(np.ones(10, np.float32)).words) == 0  # shorter than one comparison
    assert find_overlaps([]) == []
    assert pytest.approx(0.016) == HOP_S and FRAME > HOP


def test_same_samples_same_words():
    samples = texture(4)
    a, b = fingerprint_of(samples), fingerprint_of(samples.copy())
    assert np.array_equal(a.words, b.words) and np.array_equal(a.weak, b.weak)


def test_words_equal_a_slow_loop():
    samples = texture(7, 0.5)
    got = fingerprint_of(samples)
    edges = fingerprints._edges()
    padded = np.pad(samples, FRAME // 2)
    energies = []
    for start in range(0, len(padded) - FRAME + 1, HOP):
        power = np.abs(np.fft.rfft(padded[start : start + FRAME] * np.hanning(FRAME))) ** 2
        energies.append([power[a:b].sum() for a, b in itertools.pairwise(edges)])
    levels = np.log(np.array(energies) + fingerprints.FLOOR * np.max(energies))
    for t, word in enumerate(got.words):
        for bit in range(32):
            change = (levels[t + LAG, bit] - levels[t + LAG, bit + 1]) - (levels[t, bit] - levels[t, bit + 1])
            if abs(change) > 1e-3:  # float32 and float64 may disagree about nothing
                assert bool(word >> np.uint32(31 - bit) & 1) == (change > 0)


def test_the_threshold_is_stricter_for_short_overlaps():
    errors = [largest_bit_error(n) for n in (4, 8, 16, 32, 64, 1000)]
    assert errors == sorted(errors) and errors[0] < 0 and errors[-1] == 0.35


def test_files_are_fingerprinted_once_and_broken_ones_skipped(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone(440, 0), RATE_HZ)
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    paths = [tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "gone.wav"]
    plain = make_fingerprints(paths)
    kept = make_fingerprints(paths, tmp_path / "cache")
    monkeypatch.setattr(fingerprints, "decode", None)  # a second time nothing is decoded
    again = make_fingerprints(paths, tmp_path / "cache")
    for prints in (plain, kept, again):
        assert prints[1:] == [None, None]
        assert np.array_equal(prints[0].words, plain[0].words) and np.array_equal(prints[0].weak, plain[0].weak)


@pytest.mark.shared
def test_recall_and_precision_on_real_sounds(shared):
    manifest = read_manifest(shared / "data" / "sounds" / "manifest.jsonl")
    clips = [c for c in manifest if c.clip_id.startswith("kitchen20/")][::40]  # 25 recordings of five seconds
    sounds = [decode(clip.path, RATE_HZ) for clip in clips]
    originals = [wav(x) for x in sounds]
    copies = [encoded(x, format="MP3", compression_level=0.6) for x in sounds]
    found = {(o.first, o.second) for o in find_overlaps(originals + copies)}
    n = len(clips)
    right = sum((k, k + n) in found for k in range(n))
    groups = [clip.group for clip in clips] * 2
    wrong = [pair for pair in found if groups[pair[0]] != groups[pair[1]]]
    assert right >= 0.95 * n and not wrong
