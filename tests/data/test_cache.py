"""The feature cache: computed once, order kept, safe against kills and damage."""

import numpy as np
import pytest

from askaudio.core.errors import DataError
from askaudio.data.cache import FeatureCache


class Counting:
    """A front end that records the keys that it computes."""

    def __init__(self, keys):
        self.keys, self.computed = keys, []

    def __call__(self, positions):
        self.computed += [self.keys[p] for p in positions]
        return [np.full((2, 3), float(int(self.keys[p], 16)), np.float32) for p in positions]


def test_each_key_is_computed_once_and_order_is_kept(tmp_path):
    keys = ["0b", "0a", "0b", "0c"]
    front_end = Counting(keys)
    cache = FeatureCache(tmp_path, {"rate": 1})
    arrays = cache.collect(keys, front_end, pack=2, chunk=1)
    assert [a[0, 0] for a in arrays] == [11, 10, 11, 12]
    assert front_end.computed == ["0b", "0a", "0c"]
    again = Counting(keys[::-1])
    assert [a[0, 0] for a in FeatureCache(tmp_path, {"rate": 1}).collect(keys[::-1], again)] == [12, 11, 10, 11]
    assert again.computed == []


def test_other_settings_share_nothing(tmp_path):
    FeatureCache(tmp_path, {"rate": 1}).collect(["0a"], Counting(["0a"]))
    other = Counting(["0a"])
    FeatureCache(tmp_path, {"rate": 2}).collect(["0a"], other)
    assert other.computed == ["0a"]
    assert len(list(tmp_path.glob("*/settings.json"))) == 2


def test_a_killed_run_keeps_its_finished_packs(tmp_path):
    keys = [f"{k:02x}" for k in range(10)]

    def dies(positions):
        if positions[0] >= 6:
            raise KeyboardInterrupt
        return Counting(keys)(positions)

    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path, {}).collect(keys, dies, pack=4, chunk=2)
    resumed = Counting(keys)
    arrays = FeatureCache(tmp_path, {}).collect(keys, resumed, pack=4, chunk=2)
    assert resumed.computed == keys[4:]
    assert [a[0, 0] for a in arrays] == list(range(10))
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_damaged_pack_is_named(tmp_path):
    cache = FeatureCache(tmp_path, {})
    cache.collect(["0a"], Counting(["0a"]))
    pack = next(cache.folder.glob("pack-*"))
    pack.write_bytes(pack.read_bytes()[:10])
    with pytest.raises(DataError, match=r"pack-.*delete that file"):
        cache.collect(["0a"], Counting(["0a"]))


def test_progress_counts_distinct_keys(tmp_path):
    calls = []
    FeatureCache(tmp_path, {}).collect(
        ["0a", "0b", "0a"], Counting(["0a", "0b", "0a"]), chunk=1, progress=lambda *a: calls.append(a)
    )
    assert calls == [(1, 2, "computed"), (2, 2, "computed")]


def test_available_names_the_keys_on_disk(tmp_path):
    cache = FeatureCache(tmp_path, {"rate": 1})
    assert cache.available(["0a"]) == set()
    cache.collect(["0a", "0b", "0c"], Counting(["0a", "0b", "0c"]), pack=2)
    assert cache.available(["0c", "0a", "0d"]) == {"0a", "0c"}
