"""SpecAugment blanks what it says, inside the clip, and draws from torch's generator alone."""

import torch

from askaudio.training.spec_augment import MASKS, spec_augment


def test_masks_lie_in_the_clip_and_are_not_longer_than_their_share():
    torch.manual_seed(0)
    frames = torch.tensor([100, 40])
    log_mel = torch.rand(2, 20, 100) + 5
    log_mel[1, :, 40:] = 0
    found = spec_augment(log_mel, frames, 0.2, 0.25)
    changed = found != log_mel
    assert not changed[1, :, 40:].any()
    for row, n in enumerate(frames):
        mean = log_mel[row, :, :n].mean()
        torch.testing.assert_close(found[row][changed[row]], mean.expand(int(changed[row].sum())))
        columns, bands = changed[row, :, :n].all(0).sum(), changed[row, :, :n].all(1).sum()
        assert columns <= MASKS * (0.2 * n + 1) and bands <= MASKS * (0.25 * 20 + 1)
    assert changed.any()


def test_nothing_is_blank_at_zero_and_the_seed_repeats_the_draws():
    log_mel, frames = torch.rand(3, 8, 50), torch.tensor([50, 50, 20])
    assert torch.equal(spec_augment(log_mel, frames, 0.0, 0.0), log_mel)
    found = []
    for _ in range(2):
        torch.manual_seed(4)
        found.append(spec_augment(log_mel, frames, 0.3, 0.3))
    assert torch.equal(*found)
