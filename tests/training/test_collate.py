"""Batches of tensors: shapes, types, padding, and what moves to the device."""

import numpy as np
import torch

from askaudio.training.collate import collate, stack_audio
from askaudio.training.dataset import Pair


def pair(entry, identity, audio=None):
    audio = np.full(3, entry, np.float32) if audio is None else audio
    return Pair("a", f"a#{entry}", audio, np.array([entry, 1], np.float32), entry, identity)


def test_a_batch_of_features():
    batch = collate([pair(4, 7), pair(5, 8), pair(6, 7)])
    assert batch.audio.tolist() == [[4, 4, 4], [5, 5, 5], [6, 6, 6]]
    assert batch.text.tolist() == [[4, 1], [5, 1], [6, 1]]
    assert batch.ids.tolist() == [7, 8, 7] and batch.entries.tolist() == [4, 5, 6] and len(batch) == 3


def test_log_mels_are_padded_and_their_frames_counted():
    long, short = np.arange(10, dtype=np.float32).reshape(2, 5), np.array([[1.0, 2.0], [3.0, 4.0]], np.float16)
    log_mel, frames = stack_audio([long, short])
    assert log_mel.dtype == torch.float32 and log_mel.shape == (2, 2, 5) and frames.tolist() == [5, 2]
    np.testing.assert_array_equal(log_mel[0], long)
    np.testing.assert_array_equal(log_mel[1], [[1, 2, 0, 0, 0], [3, 4, 0, 0, 0]])


def test_inputs_move_and_ids_stay():
    features = collate([pair(0, 0), pair(1, 1)]).to("meta")
    assert features.audio.device.type == features.text.device.type == "meta"
    mels = collate([pair(0, 0, np.ones((2, 3))), pair(1, 1, np.ones((2, 4)))]).to("meta")
    assert [t.device.type for t in mels.audio] == ["meta", "meta"]
    assert mels.ids.device.type == mels.entries.device.type == "cpu"
