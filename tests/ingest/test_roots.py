"""The folders that were indexed into a collection are recorded outside of it."""

import os
import shutil
from pathlib import Path

import pytest

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.roots import record_roots, recorded_roots
from askaudio.ingest.update import ingest


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAUDIO_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_indexing_records_all_folders_of_a_collection(tmp_path):
    encoder, one, two = ToyEncoder(), tmp_path / "one", Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    for folder in (one, two):
        folder.mkdir()
        with open_store(tmp_path / "c", "w", Identity.of(encoder, "toy")) as store:
            ingest([folder], store, encoder)
    assert set(recorded_roots(str(tmp_path / "c"))) == {one, two}
    assert set(recorded_roots(f"exact:{tmp_path}/x/../c")) == {one, two}  # the place counts, not its spelling
    shutil.copytree(tmp_path / "c", tmp_path / "copy")
    assert recorded_roots(str(tmp_path / "copy")) == []  # a collection does not carry its own permission


def test_addresses_of_databases_are_kept_apart(tmp_path):
    record_roots("postgresql://me@db/sounds?collection=a", [tmp_path])
    assert recorded_roots("postgresql://me@db/sounds?collection=a") == [tmp_path]
    assert recorded_roots("postgresql://me@db/sounds?collection=b") == []
    record_roots("memory:", [tmp_path])
    assert recorded_roots("memory:") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"folders": 3}', '{"folders": ["zz"]}', '{"folders": [1]}'])
def test_a_damaged_record_is_no_record(tmp_path, state, text):
    record_roots(str(tmp_path / "c"), [tmp_path])
    (file,) = (state / "indexed").iterdir()
    file.write_text(text)
    assert recorded_roots(str(tmp_path / "c")) == []
    record_roots(str(tmp_path / "c"), [tmp_path])
    assert recorded_roots(str(tmp_path / "c")) == [tmp_path]


def test_a_state_folder_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASKAUDIO_STATE", str(tmp_path / "file"))
    record_roots(str(tmp_path / "c"), [tmp_path])
    assert "--allow FOLDER" in caplog.text
