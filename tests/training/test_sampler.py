"""Batches: every pair at most once, one clip at most once a batch, the same from any point of entry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askaudio.core.errors import ConfigError
from askaudio.training.sampler import PairBatchSampler

ROWS = np.repeat(np.arange(20), 5)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 6), min_size=4, max_size=30),
    batch_size=st.integers(2, 4),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_no_clip_twice_in_a_batch_and_no_pair_lost(counts, batch_size, seed, epoch):
    rows = np.repeat(np.arange(len(counts)), counts)
    sampler = PairBatchSampler(rows, batch_size, seed)
    sampler.set_epoch(epoch)
    batches = sampler._apart(np.random.default_rng(seed).permutation(len(rows)).tolist())
    assert sorted(i for b in batches for i in b) == list(range(len(rows)))
    assert all(len({rows[i] for i in b}) == len(b) <= batch_size for b in batches)
    for b in sampler:
        assert len({rows[i] for i in b}) == len(b) == batch_size


def test_entered_in_the_middle_it_yields_the_rest():
    whole = PairBatchSampler(ROWS, 8, seed=4)
    whole.set_epoch(7)
    middle = PairBatchSampler(ROWS, 8, seed=4)
    middle.set_epoch(7, done=5)
    assert list(middle) == list(whole)[5:]
    assert len(middle) == len(whole)


def test_order_changes_with_epoch_and_seed_only():
    def order(seed, epoch):
        sampler = PairBatchSampler(ROWS, 8, seed)
        sampler.set_epoch(epoch)
        return [i for b in sampler for i in b]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_no_full_batch_is_a_clear_error():
    with pytest.raises(ConfigError, match=r"no batch of 32 .* 100 pairs from 20 clips; lower train.batch_size"):
        PairBatchSampler(ROWS, 32)
