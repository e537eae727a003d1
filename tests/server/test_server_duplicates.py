"""Copies over HTTP: a search in a process of its own, its state, and the groups in pages."""

import json
import sys
import time

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from askaudio.encoders.toy import ToyEncoder
from askaudio.ingest.indexer import Indexer
from askaudio.search.engine import SearchEngine
from askaudio.server import duplicate_search
from askaudio.server.app import create_app
from layouts import RATE_HZ, texture


@pytest.fixture
def collection(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for k in range(2):
        soundfile.write(folder / f"original {k}.wav", 0.5 * texture(k), RATE_HZ)
        soundfile.write(folder / f"louder {k}.wav", texture(k), RATE_HZ)
    with Indexer([folder], tmp_path / "collection", "toy") as indexer:
        indexer.update()
    return tmp_path / "collection"


@pytest.fixture
def client(collection):
    with (
        SearchEngine.open(collection) as engine,
        TestClient(create_app(engine), base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client,
    ):
        yield client


def finished(client, **params) -> dict:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = client.get("/v1/duplicates", params=params).json()
        if found["state"] != "running":
            break
        time.sleep(0.2)
    return found


def test_a_search_is_started_and_its_groups_are_listed(client):
    assert client.get("/v1/duplicates").json() == {
        "state": "none", "note": "", "found_at": "", "files": 0, "copies": 0, "copies_bytes": 0, "total_groups": 0,
        "offset": 0, "groups": [],
    }  # fmt: skip
    answer = client.post("/v1/duplicates")
    assert answer.status_code == 202 and answer.json()["state"] == "running"
    found = finished(client)
    assert (found["state"], found["files"], found["copies"], found["total_groups"]) == ("done", 4, 2, 2)
    keep, [copy] = found["groups"][0]["keep"], found["groups"][0]["copies"]
    assert {keep["path"].rsplit("/", 1)[1][:-6], copy["path"].rsplit("/", 1)[1][:-6]} == {"original", "louder"}
    assert copy["reasons"] == [f"level {6.0 if 'louder' in copy['path'] else -6.0:+.1f} dB"]
    page = finished(client, offset=1, limit=1)
    assert page["offset"] == 1 and page["groups"] == found["groups"][1:]
    clip = client.get(f"/v1/clips/{copy['clip_id']}").json()
    assert clip["path"] == copy["path"]


def test_a_second_start_does_not_start_a_second_search(client, monkeypatch):
    started = []
    monkeypatch.setattr(duplicate_search, "_COMMAND", (sys.executable, "-c", "import time; time.sleep(3)"))
    original = duplicate_search.subprocess.Popen
    monkeypatch.setattr(
        duplicate_search.subprocess, "Popen", lambda *args, **kwargs: started.append(1) or original(*args, **kwargs)
    )
    assert client.post("/v1/duplicates").status_code == client.post("/v1/duplicates").status_code == 202
    assert len(started) == 1


def test_a_search_that_fails_says_why(client, monkeypatch):
    code = "import sys; sys.stderr.write('askaudio collection: no room\\n'); sys.exit(2)"
    monkeypatch.setattr(duplicate_search, "_COMMAND", (sys.executable, "-c", code))
    client.post("/v1/duplicates")
    found = finished(client)
    time.sleep(0.2)  # the note is read by another thread
    assert found["state"] == "failed"
    assert client.get("/v1/duplicates").json()["note"] == "askaudio collection: no room"


def test_a_damaged_result_counts_as_none(client, collection):
    (collection / "duplicates.json").write_text("{}")
    assert client.get("/v1/duplicates").json()["groups"] == []


def test_a_result_of_the_command_line_is_shown(client, collection):
    group = {"keep": {}, "copies": []}
    (collection / "duplicates.json").write_text(json.dumps({"groups": [group], "copies": 1, "files": 2}))
    assert client.get("/v1/duplicates").json()["total_groups"] == 1


def test_a_collection_in_memory_has_no_place_for_the_result(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE_HZ) + 0.1, RATE_HZ)
    with (
        SearchEngine.build(tmp_path, "memory:duplicates", ToyEncoder()) as engine,
        TestClient(create_app(engine), base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client,
    ):
        assert client.get("/v1/duplicates").status_code == 409
        assert client.post("/v1/duplicates").status_code == 409
