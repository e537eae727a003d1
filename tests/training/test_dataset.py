"""Draws of clips, captions, wordings and windows: seeded by (seed, epoch), and every caption gets its turn."""

import numpy as np
import pytest

from askaudio.core.errors import DataError
from askaudio.data.manifest import Caption, Clip, Manifest
from askaudio.training.dataset import PairDataset


def clip(name, *texts):
    return Clip(name, f"{name}.wav", tuple(Caption(f"{name}#{k}", t) for k, t in enumerate(texts)))


@pytest.fixture
def parts():
    manifest = Manifest("m", (clip("a", "rain", "drops"), clip("b", "rain"), clip("c", "x", "y", "z")))
    audio = [np.arange(2 * 3, dtype=np.float32).reshape(2, 3), np.full((1, 3), 10.0), np.full((4, 3), 20.0)]
    texts = np.arange(7, dtype=np.float32)[:, None]
    wordings = [[[0, 6], [1]], [[0, 6]], [[2], [3], [4]]]
    return manifest, audio, texts, wordings


def test_one_caption_a_clip_drawn_anew_each_epoch(parts):
    dataset = PairDataset(*parts, seed=3)
    drawn = set()
    for epoch in range(40):
        dataset.set_epoch(epoch)
        assert [p.clip_id for p in dataset.__getitems__([0, 1, 2])] == ["a", "b", "c"]
        drawn |= {dataset[i].caption_id for i in range(len(dataset))}
    assert drawn == {"a#0", "a#1", "b#0", "c#0", "c#1", "c#2"}


def test_an_epoch_draws_the_same_whatever_came_before(parts):
    straight, jumped = PairDataset(*parts, seed=1), PairDataset(*parts, seed=1)
    for epoch in range(6):
        straight.set_epoch(epoch)
    jumped.set_epoch(5)
    for i in range(3):
        assert straight[i].caption_id == jumped[i].caption_id
        np.testing.assert_array_equal(straight[i].audio, jumped[i].audio)
        np.testing.assert_array_equal(straight[i].text, jumped[i].text)
    draws = set()
    for seed in range(8):
        draws.add(tuple(p.caption_id for p in PairDataset(*parts, seed=seed).__getitems__([0, 1, 2])))
    assert len(draws) > 1


def test_all_captions_with_stable_entries(parts):
    dataset = PairDataset(*parts, captions="all")
    pairs = [dataset[i] for i in range(len(dataset))]
    assert [p.caption_id for p in pairs] == ["a#0", "a#1", "b#0", "c#0", "c#1", "c#2"]
    assert [p.entry for p in pairs] == list(range(6)) and dataset.n_entries == 6
    assert dataset.clip_rows.tolist() == [0, 0, 1, 2, 2, 2]
    assert dataset.entry_clips.tolist() == [0, 0, 1, 2, 2, 2]
    assert dataset.entry_texts()[:, 0].tolist() == [0, 1, 0, 2, 3, 4]
    one = PairDataset(*parts, captions="one")
    by_caption = {p.caption_id: p.entry for p in pairs}
    assert all(one[i].entry == by_caption[one[i].caption_id] for i in range(3))


def test_variants_are_drawn(parts):
    dataset = PairDataset(*parts, captions="all")
    seen = set()
    for epoch in range(30):
        dataset.set_epoch(epoch)
        seen.add(float(dataset[2].text[0]))
    assert seen == {0.0, 6.0}


def test_clips_with_the_same_captions_have_one_identity():
    manifest = Manifest(
        "m", (clip("a", "rain", "drops"), clip("b", "rain"), clip("c", "drops", "rain"), clip("d", "rain"))
    )
    audio, texts = [np.zeros((1, 2), np.float32)] * 4, np.zeros((2, 1), np.float32)
    wordings = [[[0], [1]], [[0]], [[1], [0]], [[0]]]
    shared = PairDataset(manifest, audio, texts, wordings)
    assert [shared[i].identity for i in range(4)] == [0, 1, 0, 1]
    own = PairDataset(manifest, audio, texts, wordings, same_text=False)
    assert [own[i].identity for i in range(4)] == [0, 1, 2, 3]


def test_windows_are_drawn_or_averaged(parts):
    drawn = {tuple(p) for p in _first_windows(PairDataset(*parts), 30)}
    assert drawn == {(0.0, 1.0, 2.0), (3.0, 4.0, 5.0)}
    mean = {tuple(p) for p in _first_windows(PairDataset(*parts, windows="mean"), 5)}
    assert mean == {(1.5, 2.5, 3.5)}


def _first_windows(dataset, epochs):
    for epoch in range(epochs):
        dataset.set_epoch(epoch)
        yield dataset[0].audio.tolist()


def test_faults_name_the_clip(parts):
    manifest, audio, texts, wordings = parts
    with pytest.raises(DataError, match=r"'b'.*no caption"):
        PairDataset(Manifest("m", (manifest.clips[0], clip("b"))), audio[:2], texts, [wordings[0], []])
    with pytest.raises(DataError, match=r"'b'.*no sound"):
        PairDataset(Manifest("m", manifest.clips[:2]), [audio[0], audio[1][:0]], texts, wordings[:2])
    with pytest.raises(DataError, match="empty"):
        PairDataset(Manifest("m", ()), [], texts, [])
    with pytest.raises(DataError, match="one of each"):
        PairDataset(manifest, audio[:2], texts, wordings)
