"""Heads over frames: parts of the time, padding, order, settings, and the exported graph."""

import numpy as np
import pytest
import torch

from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.frame_head import SegmentProjection, TransformerProjection, overlaps
from askaudio.models.projection import Projection

HEADS = (SegmentProjection(6, 5, 3, 8), TransformerProjection(6, 5, 1, 8, 2, 2, 8))


def slow_overlaps(length, n_frames, parts):
    """Fine steps of the time, each counted in its part and frame."""
    steps = 840 * length
    weights = np.zeros((parts, n_frames))
    for step in range(steps):
        weights[step * parts // steps, step * length // steps] += parts / steps
    return weights


@pytest.mark.parametrize(("length", "parts"), [(1, 3), (2, 3), (3, 3), (5, 3), (7, 4), (8, 1)])
def test_parts_of_the_time_equal_the_slow_count(length, parts):
    found = overlaps(torch.tensor([length]), 8, parts)[0].numpy()
    np.testing.assert_allclose(found, slow_overlaps(length, 8, parts), atol=1e-6)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_a_padded_clip_gets_the_vector_that_it_gets_alone(head):
    head.eval()
    torch.manual_seed(0)
    short, long = torch.randn(1, 6, 4), torch.randn(1, 6, 9)
    both = torch.full((2, 6, 9), 7.0)  # what lies behind a clip's end must not count
    both[0, :, :4], both[1] = short[0], long[0]
    together = head(both, torch.tensor([4, 9]))
    torch.testing.assert_close(together[:1], head(short))
    torch.testing.assert_close(together[1:], head(long))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_the_order_of_the_frames_changes_the_vector_and_the_mean_does_not(head):
    head.eval()
    torch.manual_seed(0)
    frames = torch.randn(1, 6, 9)
    turned = frames.flip(2)
    assert (head(frames) - head(turned)).abs().max() > 0.01
    torch.testing.assert_close(head.pooled(frames)[:, :6], head.pooled(turned)[:, :6])


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_a_saved_model_with_a_head_over_frames_is_the_same(head, tmp_path):
    head.standardise(3 * torch.randn(4, 6, 9) + 1, torch.tensor([9, 9, 5, 2]))
    model = DualEncoder(head, Projection(4, 5)).eval()
    model.save(tmp_path)
    frames, lengths = torch.randn(2, 6, 9), torch.tensor([9, 6])
    torch.testing.assert_close(
        DualEncoder.load(tmp_path).encode_audio((frames, lengths)), model.encode_audio((frames, lengths))
    )


def test_statistics_are_of_real_frames_only():
    frames, lengths = torch.full((2, 6, 4), 100.0), torch.tensor([3, 2])
    frames[0, :, :3], frames[1, :, :2] = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0])
    head = TransformerProjection(6, 5, 1, 8, 2)
    head.standardise(frames, lengths)
    torch.testing.assert_close(head.mean, torch.full((6,), 3.0))
    torch.testing.assert_close(head.scale, torch.full((6,), 2.0**-0.5))
    segments = SegmentProjection(6, 5, 1)
    segments.standardise(frames, lengths)
    torch.testing.assert_close(segments.projection.mean, torch.full((12,), 3.25))
