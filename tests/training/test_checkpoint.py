"""State files: any tree of plain values and tensors comes back equal, and nothing is ever unpickled."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from askaudio.core.errors import ModelError
from askaudio.training.checkpoint import SafeCheckpointIO, load_tree, save_tree

LEAVES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
KEYS = st.text(max_size=5) | st.integers(0, 9)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_plain_trees_come_back_equal(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    save_tree(tree, path)
    loaded = load_tree(path)
    assert loaded == tree and type(loaded) is type(tree)


def test_tensors_of_all_kinds_come_back_bit_equal(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    tree = {
        "a/b": [shared, shared.T],  # one memory, one of them not contiguous
        "a": {"b": (torch.tensor(3), torch.zeros(0, 2), torch.ones(2, dtype=torch.bfloat16))},
        0: torch.tensor([True, False]),
        "kind": {"tensor": "0"},  # looks like the file's own marks
    }
    save_tree(tree, tmp_path / "x")
    loaded = load_tree(tmp_path / "x")
    assert torch.equal(loaded["a/b"][0], shared) and torch.equal(loaded["a/b"][1], shared.T)
    for mine, its in zip(loaded["a"]["b"], tree["a"]["b"], strict=True):
        assert torch.equal(mine, its) and mine.dtype == its.dtype
    assert loaded[0].tolist() == [True, False] and loaded["kind"] == {"tensor": "0"}


def test_what_is_not_plain_is_refused_by_place(tmp_path):
    with pytest.raises(TypeError, match="/optimizer/1 is a object"):
        save_tree({"optimizer": [1, object()]}, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_pickle_or_damage_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ModelError, match="without --resume"):
        SafeCheckpointIO().load_checkpoint(path)
    save_tree({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModelError, match="cannot be read"):
        load_tree(path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_tree(tmp_path / "nothing")


def test_tensors_keep_their_strides(tmp_path):
    base = torch.arange(240.0)
    tree = {
        "channels last": base.reshape(5, 4, 4, 3).permute(0, 3, 1, 2),
        "one channel": torch.ones(4, 1, 3, 3).to(memory_format=torch.channels_last),
        "transposed": base.reshape(16, 15).T,
        "rows": base.reshape(16, 15),
        "expanded": torch.arange(3.0).expand(4, 3),
        "every second": base[::2],
        "none": torch.zeros(0, 2),
        "scalar": torch.tensor(2),
    }
    save_tree(tree, tmp_path / "x")
    loaded = load_tree(tmp_path / "x")
    for name, tensor in tree.items():
        assert torch.equal(loaded[name], tensor), name
        dense = name not in ("expanded", "every second")  # these are written without their gaps and repeats
        assert loaded[name].stride() == (tensor.stride() if dense else tensor.contiguous().stride()), name
