"""Batches of tensors and the mask of what belongs together."""

import numpy as np
import torch

from askaudio.data.collate import collate, stack_audio
from askaudio.data.dataset import Pair


def pair(clip, text_id, entry, audio=None):
    audio = np.full(3, entry, np.float32) if audio is None else audio
    return Pair(clip, f"{clip}#{entry}", audio, np.array([text_id, 1], np.float32), entry, text_id)


def test_positives_by_clip_and_by_wording():
    pairs = [pair("a", 5, 0), pair("b", 5, 1), pair("a", 6, 2), pair("c", 7, 3)]
    batch = collate(pairs)
    expected = np.eye(4, dtype=bool)
    expected[0, 1] = expected[1, 0] = True  # one wording
    expected[0, 2] = expected[2, 0] = True  # one clip
    np.testing.assert_array_equal(batch.positives, expected)
    only_clip = collate(pairs, same_text=False).positives
    assert only_clip.sum() == 6 and not only_clip[0, 1]
    assert batch.entries.tolist() == [0, 1, 2, 3] and batch.clip_ids == ("a", "b", "a", "c")
    assert batch.audio.shape == (4, 3) and batch.text.shape == (4, 2) and len(batch) == 4


def test_log_mels_are_padded_and_their_frames_counted():
    long, short = np.arange(10, dtype=np.float32).reshape(2, 5), np.array([[1.0, 2.0], [3.0, 4.0]], np.float16)
    log_mel, frames = stack_audio([long, short])
    assert log_mel.dtype == torch.float32 and log_mel.shape == (2, 2, 5) and frames.tolist() == [5, 2]
    np.testing.assert_array_equal(log_mel[0], long)
    np.testing.assert_array_equal(log_mel[1], [[1, 2, 0, 0, 0], [3, 4, 0, 0, 0]])


def test_to_moves_all_tensors():
    batch = collate([pair("a", 1, 0), pair("b", 2, 1)])
    moved = batch.to("meta")
    tensors = (moved.audio, moved.text, moved.positives, moved.entries)
    assert all(t.device == torch.device("meta") for t in tensors)
    assert moved.clip_ids == batch.clip_ids
    mels = collate([pair("a", 1, 0, np.ones((2, 3))), pair("b", 2, 1, np.ones((2, 4)))]).to("meta")
    assert [t.device.type for t in mels.audio] == ["meta", "meta"]
