"""Collections as parquet and as a data set of Hugging Face `datasets`, and back."""

import json
from dataclasses import replace

import numpy as np
import pytest

from askaudio.cli import main
from askaudio.core.errors import IndexStoreError
from askaudio.engines.open import open_store
from askaudio.index.portable import read_parquet, write_dataset, write_parquet
from stored_entries import IDENTITY, make_entries

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def collection(tmp_path):
    url = f"exact:{tmp_path / 'here'}"
    with open_store(url, "w", IDENTITY) as store:
        store.add(make_entries(30))
        store.save()
    return url


def same(mine, its):
    assert [e.entry_id for e in mine] == [e.entry_id for e in its]
    for a, b in zip(mine, its, strict=True):
        assert (a.clip_id, a.path, a.start_s, a.end_s) == (b.clip_id, b.path, b.start_s, b.end_s)
        assert dict(a.metadata) == dict(b.metadata)
        np.testing.assert_array_equal(a.vector, b.vector)


def test_names_that_are_not_utf8_come_back(tmp_path):
    entry = make_entries(1)[0]
    odd = replace(entry, path="/sounds/caf\udce9.wav", metadata={**entry.metadata, "title": "caf\udce9"})
    url, file = f"exact:{tmp_path / 'here'}", tmp_path / "sounds.parquet"
    with open_store(url, "w", IDENTITY) as store:
        store.add([odd])
        assert write_parquet(store, file) == 1
        same(list(read_parquet(file)[2]), list(store.iterate()))
    assert next(read_parquet(file)[2]).path == odd.path


def test_there_and_back_bit_for_bit(collection, tmp_path, capsys):
    file, back = str(tmp_path / "sounds.parquet"), f"exact:{tmp_path / 'back'}"
    assert main(["copy", collection, file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 30
    with open_store(back, "w", IDENTITY) as store:  # what only the target has goes
        store.add([make_entries(1)[0]])
        store.save()
    assert main(["copy", file, back]) == 0
    with open_store(collection) as first, open_store(back) as second:
        same(list(second.iterate()), list(first.iterate()))
        assert second.identity == first.identity
    table = parquet.read_table(file)  # other tools need nothing of ours
    assert table.column_names == ["entry_id", "clip_id", "path", "start_s", "end_s", "vector", "metadata", "checksum"]
    assert np.stack(table["vector"].to_numpy()).shape == (30, 16)


def test_vectors_of_another_encoder_and_other_files_are_refused(collection, tmp_path, capsys):
    with open_store(collection) as store:
        write_parquet(store, tmp_path / "sounds.parquet")
    with open_store(f"exact:{tmp_path / 'other'}", "w", type(IDENTITY)("another", 16)) as store:
        store.add(make_entries(1))
        store.save()
    assert main(["copy", str(tmp_path / "sounds.parquet"), f"exact:{tmp_path / 'other'}"]) == 2
    assert "cannot be compared" in capsys.readouterr().err
    (tmp_path / "text.parquet").write_text("no parquet")
    parquet.write_table(pytest.importorskip("pyarrow").table({"a": [1]}), tmp_path / "plain.parquet")
    for name in ("text.parquet", "plain.parquet", "none.parquet"):
        with pytest.raises(IndexStoreError, match="askaudio copy COLLECTION"):
            read_parquet(tmp_path / name)


def test_as_a_data_set(collection, tmp_path):
    datasets = pytest.importorskip("datasets")
    with open_store(collection) as store:
        assert write_dataset(store, tmp_path / "set") == 30
        entries = list(store.iterate())
        with pytest.raises(IndexStoreError, match="new folder"):
            write_dataset(store, tmp_path / "set")
    rows = datasets.load_from_disk(str(tmp_path / "set"))
    assert rows["entry_id"][:] == [e.entry_id for e in entries]
    assert json.loads(rows[0]["metadata"]) == dict(entries[0].metadata)
    np.testing.assert_array_equal(np.float32(rows.with_format("numpy")["vector"][:]), [e.vector for e in entries])
    assert json.loads(rows.info.description)["fingerprint"] == IDENTITY.fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "set"]
