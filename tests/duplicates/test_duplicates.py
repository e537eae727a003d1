"""Copies of a sound are grouped with reasons and the best file first; takes, mixtures and excerpts are not."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile

from askaudio.cli import main
from askaudio.duplicates.candidates import near_pairs
from askaudio.duplicates.find import Duplicates, Group, cache_of, find_duplicates
from askaudio.duplicates.pairs import best_offset, overlap_share
from askaudio.duplicates.prints import PrintCache
from askaudio.duplicates.sound import Sound, bits_of, is_dual_mono
from askaudio.duplicates.waveforms import match_waveforms
from askaudio.ingest.indexer import Indexer
from layouts import RATE_HZ, texture

N = 3 * RATE_HZ


def write(path, samples, **settings):
    soundfile.write(path, samples, settings.pop("rate", RATE_HZ), **settings)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A folder with one sound in many forms, and others that are like it."""
    folder = tmp_path_factory.mktemp("library")
    x, y = 0.5 * texture(1)[:N], 0.5 * texture(2)[:N]
    write(folder / "rain on roof.wav", x, subtype="PCM_24")
    (folder / "rain copy.wav").write_bytes((folder / "rain on roof.wav").read_bytes())
    write(folder / "flac.flac", x, subtype="PCM_16")
    write(folder / "lossy.ogg", x, format="OGG", subtype="VORBIS")
    write(folder / "mp3.mp3", x, format="MP3", compression_level=0.6)
    write(folder / "quiet.wav", 0.25 * x)
    write(folder / "stereo.wav", np.stack([x, x], axis=1))
    write(folder / "cut.wav", x[N // 5 :])
    write(folder / "inverted.wav", -x)
    write(folder / "other.wav", y)
    write(folder / "mixed.wav", 0.5 * (x + y))
    write(folder / "excerpt.wav", x[: N // 3])
    write(folder / "three times.wav", np.tile(y, 3))
    write(folder / "another end.wav", np.concatenate([y[: N // 2], texture(3)[: N // 2] * 0.5]))
    (folder / "broken.wav").write_bytes(b"RIFF....WAVE")
    return folder


@pytest.fixture(scope="module")
def collection(library, tmp_path_factory):
    place = tmp_path_factory.mktemp("collection") / "c"
    with Indexer([library], place, "toy") as indexer:
        indexer.update()
    return place


@pytest.fixture(scope="module")
def found(collection) -> Duplicates:
    from askaudio.engines.open import open_store

    with open_store(collection) as store:
        return find_duplicates(store)


def by_name(group: Group) -> dict[str, list[str]]:
    return {copy.sound.path.rsplit("/", 1)[1]: list(copy.reasons) for copy in group.copies}


def test_all_copies_are_in_one_group_and_nothing_else_is(found):
    [group] = found.groups
    assert set(by_name(group)) == {
        "rain copy.wav", "flac.flac", "lossy.ogg", "mp3.mp3", "quiet.wav", "stereo.wav", "cut.wav", "inverted.wav",
    }  # fmt: skip
    assert found.n_copies == 8


def test_the_best_file_is_kept(found):
    assert found.groups[0].keep.path.endswith("rain on roof.wav")  # 24 bits, and a name that is not a copy's
    assert found.groups[0].keep.bits == 24


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rain copy.wav", "same bytes"), ("flac.flac", "other format (flac for wav)"), ("quiet.wav", "level -12.0 dB"),
        ("stereo.wav", "dual mono"), ("cut.wav", "0.60 s cut from the start"), ("inverted.wav", "polarity inverted"),
        ("lossy.ogg", "other format (ogg for wav)"),
    ],
)  # fmt: skip
def test_each_copy_says_how_it_differs(found, name, reason):
    assert reason in by_name(found.groups[0])[name]


def test_a_smaller_share_finds_excerpts(collection):
    from askaudio.engines.open import open_store

    with open_store(collection) as store:
        names = {name for group in find_duplicates(store, share=0.3).groups for name in by_name(group)}
    assert "excerpt.wav" in names and "mixed.wav" not in names


def test_the_command_prints_table_csv_and_json_and_keeps_the_result(collection, capsys):
    assert main(["collection", "duplicates", "--collection", str(collection)]) == 0
    table = capsys.readouterr().out
    assert "rain on roof.wav" in table and "8 copies in 1 group" in table and "Nothing was changed" in table
    assert main(["collection", "duplicates", "--collection", str(collection), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["action"] for row in rows] == ["keep"] + ["copy"] * 8
    assert main(["collection", "duplicates", "--collection", str(collection), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    kept = json.loads((collection / "duplicates.json").read_text())
    assert printed["groups"] == kept["groups"] and kept["format"] == "askaudio-duplicates"


def test_a_wrong_share_is_refused(collection, capsys):
    assert main(["collection", "duplicates", "--collection", str(collection), "--share", "0"]) == 2
    assert "expected 0.05 to 1" in capsys.readouterr().err


def test_fingerprints_are_computed_once(collection, library, monkeypatch):
    from askaudio.duplicates import prints
    from askaudio.engines.open import open_store

    def refuse(path):
        raise AssertionError(f"{path} was fingerprinted again")

    monkeypatch.setattr(prints, "_read_print", refuse)
    with open_store(collection) as store:
        assert cache_of(store) == collection / "fingerprints.sqlite"
        assert find_duplicates(store).n_copies == 8


def test_a_damaged_cache_is_made_again(tmp_path):
    place = tmp_path / "fingerprints.sqlite"
    place.write_bytes(b"no database" * 100)
    write(tmp_path / "x.wav", texture(1))
    with PrintCache(place) as cache:
        cache.add_missing([("x", str(tmp_path / "x.wav")), ("gone", str(tmp_path / "gone.wav"))])
        assert cache.has("x") and not cache.has("gone") and cache.get("gone") is None
        words = cache.get("x").words
    with PrintCache(place) as cache:
        np.testing.assert_array_equal(cache.get("x").words, words)


def test_best_offset_equals_a_loop_over_all_offsets():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2**32, 40, dtype=np.uint32)
    b = np.concatenate([a[9:], rng.integers(0, 2**32, 5, dtype=np.uint32)])
    a[3] = 0  # a word that says nothing

    def error(offset):
        pairs = [(a[i], b[i - offset]) for i in range(40) if 0 <= i - offset < len(b) and a[i] and b[i - offset]]
        return sum((int(p) ^ int(q)).bit_count() for p, q in pairs) / (32 * len(pairs)) if pairs else 1.0

    offset, found = best_offset(a, b, None)
    assert (offset, found) == (9, pytest.approx(error(9)))
    assert best_offset(b, a, None)[0] == -9
    assert best_offset(a, b, 8)[0] == 9


@pytest.mark.parametrize(("offset", "share"), [(0, 0.5), (50, 0.5), (75, 0.25), (-25, 0.25), (200, 0.0)])
def test_overlap_is_a_share_of_the_longer_sound(offset, share):
    assert overlap_share(100, 50, offset) == share


def test_waveforms_tell_gain_place_and_polarity():
    x = np.random.default_rng(1).standard_normal(36_000).astype(np.float32) * 0.1
    match = match_waveforms(x, -0.5 * x[6000:30_000], 6000 / 12_000 + 0.01)
    assert match.low > 0.999 and match.inverted
    assert match.offset_s == pytest.approx(0.5, abs=1e-4) and match.gain_db == pytest.approx(-6.02, abs=0.01)
    assert match_waveforms(x, np.random.default_rng(2).standard_normal(36_000).astype(np.float32), 0.0).low < 0.2
    assert match_waveforms(x[:40], x[:40], 0.0).low == 0


def test_near_pairs_equal_all_pairs():
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((50, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    expected = {(i, j) for i in range(50) for j in range(i + 1, 50) if cosines[i, j] >= 0.9}
    assert set(near_pairs(rows, 0.9, most=49, rows=7)) == expected


def sound(**facts) -> Sound:
    return Sound(**{"clip_id": "a", "path": "/x/a.wav", "content_hash": "", "size_bytes": 1, "duration_s": 2.0,
                    "sample_rate_hz": 48000, "channels": 1, "format": "wav", "bits": 16, **facts})  # fmt: skip


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({}, {"bits": 0, "sample_rate_hz": 96000}),
        ({"sample_rate_hz": 96000}, {"bits": 24}),
        ({"bits": 24}, {"channels": 2}),
        ({"channels": 2}, {"duration_s": 3.0}),
        ({}, {"channels": 2, "dual_mono": True, "path": "/x/a copy.wav"}),
        ({"duration_s": 3.0}, {}),
        ({"path": "/x/DOORWood_Creak_ME_LIB.wav"}, {"path": "/x/a long good name.wav"}),
        ({"path": "/x/zebra.wav"}, {"path": "/x/apple copy.wav"}),
        ({"path": "/x/zebra.wav"}, {"path": "/x/0001.wav"}),
    ],
)
def test_quality_orders_files(better, worse):
    assert sound(**better).quality < sound(**worse).quality


def test_bits_and_dual_mono_are_read_from_the_file(library):
    assert bits_of(str(library / "rain on roof.wav")) == 24
    assert bits_of(str(library / "mp3.mp3")) == 0
    assert bits_of(str(library / "broken.wav")) == 0
    assert is_dual_mono(str(library / "stereo.wav"))
    assert not is_dual_mono(str(library / "quiet.wav"))
