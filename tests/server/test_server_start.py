"""Routes of the start: folders, indexing in a process of its own, suggestions, the map."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from askaudio.core.types import Json
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.index_jobs import IndexJobs
from askaudio.server.settings import ServerSettings
from tones import write_tone

Opened = Callable[..., TestClient]


@pytest.fixture
def sounds_to_add(tmp_path: Path) -> Path:
    for hz in (200, 400, 800):
        write_tone(tmp_path / "fx" / f"tone_{hz}.wav", hz)
    (tmp_path / "fx" / "broken.wav").write_text("no sound")
    (tmp_path / "other").mkdir()
    return (tmp_path / "fx").resolve()


@pytest.fixture
def empty(tmp_path: Path, sounds_to_add: Path) -> Iterator[Opened]:
    """A client of a service over an empty collection, with the folder of sounds allowed."""
    encoder = ToyEncoder()
    with open_store(tmp_path / "collection", "w", Identity.of(encoder, "toy")) as store:
        store.save()
    opened: list[TestClient] = []
    engine = SearchEngine.open(tmp_path / "collection")

    def make(**settings: object) -> TestClient:
        chosen = ServerSettings(**{"allowed_folders": (str(sounds_to_add),), **settings})  # type: ignore[arg-type]
        client = TestClient(create_app(engine, chosen), base_url="http://127.0.0.1:8765")
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
    engine.close()


def finished(client: TestClient, wait_s: float = 120) -> Json:
    end = time.monotonic() + wait_s
    while (state := client.get("/v1/index").json())["status"] in ("running", "stopping"):
        assert time.monotonic() < end, state
        time.sleep(0.2)
    return state


def test_folders_are_indexed_with_progress_and_broken_files(empty: Opened, sounds_to_add: Path) -> None:
    client = empty()
    assert client.get("/v1/index").json()["status"] == "idle"
    answer = client.post("/v1/index", json={"folders": [str(sounds_to_add)]})
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert client.post("/v1/index", json={"folders": [str(sounds_to_add)]}).status_code == 409
    state = finished(client)
    assert (state["status"], state["done"], state["total"], state["error"]) == ("done", 4, 4, "")
    assert (state["report"]["added"], state["report"]["broken_count"]) == (3, 1)
    assert state["report"]["broken"][0]["path"] == str(sounds_to_add / "broken.wav")
    assert state["indexed"] == [str(sounds_to_add)]
    deadline = time.monotonic() + 30
    while client.get("/v1/collection").json()["clips"] != 3:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    client.post("/v1/index", json={})  # what was indexed before, once more
    assert finished(client)["report"]["unchanged"] == 3


def test_a_job_stops_and_what_was_indexed_is_kept(empty: Opened, sounds_to_add: Path) -> None:
    for n in range(400):
        write_tone(sounds_to_add / f"more_{n:03d}.wav", 200 + n, 0.2)
    client = empty()
    client.post("/v1/index", json={"folders": [str(sounds_to_add)]})
    while not client.get("/v1/index").json()["done"]:
        time.sleep(0.05)
    assert client.delete("/v1/index").json()["status"] in ("stopping", "stopped", "done")
    assert finished(client)["status"] in ("stopped", "done")
    client.post("/v1/index", json={"folders": [str(sounds_to_add)]})
    report = finished(client)["report"]
    assert report["added"] + report["unchanged"] == 403


def test_only_allowed_folders_and_only_with_rights(empty: Opened, sounds_to_add: Path) -> None:
    client = empty()
    assert client.post("/v1/index", json={"folders": [str(sounds_to_add.parent)]}).status_code == 404
    assert client.post("/v1/index", json={"folders": ["/etc"]}).status_code == 404
    assert client.post("/v1/index", json={}).status_code == 422
    assert client.get("/v1/folders", params={"path": str(sounds_to_add.parent / "other")}).status_code == 404
    listed = client.get("/v1/folders", params={"path": str(sounds_to_add)}).json()
    assert (listed["sounds"], listed["folders"], listed["parent"]) == (4, [], "")
    cross = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/v1/index", json={"folders": [str(sounds_to_add)]}, headers=cross).status_code == 403
    open_to_all = empty(host="0.0.0.0")
    for answer in (
        open_to_all.get("/v1/folders"),
        open_to_all.post("/v1/index", json={"folders": [str(sounds_to_add)]}),
        open_to_all.delete("/v1/index"),
    ):
        assert answer.status_code == 403
    assert open_to_all.get("/v1/index").json()["may_index"] is False


def test_a_job_that_cannot_start_says_why(tmp_path: Path) -> None:
    jobs = IndexJobs()
    assert jobs.start([str(tmp_path / "missing")], str(tmp_path / "collection"), 1)
    end = time.monotonic() + 60
    while jobs.state()["status"] == "running" and time.monotonic() < end:
        time.sleep(0.1)
    assert jobs.state()["status"] == "failed"
    assert "missing" in jobs.state()["error"]


def test_map_and_suggestions(client: TestClient) -> None:
    found = client.get("/v1/map").json()
    assert len(found["x"]) == len(found["y"]) == 6
    assert sorted(row for label in found["labels"] for row in label["rows"]) == list(range(6))
    rows = client.get("/v1/map/clips", params={"row": [4, 0, 77]}).json()
    listed = client.get("/v1/clips").json()["clips"]
    assert [clip["clip_id"] for clip in rows] == [listed[4]["clip_id"], listed[0]["clip_id"]]
    assert isinstance(client.get("/v1/suggestions").json()["queries"], list)


def test_the_microphone_is_for_this_page_only(client: TestClient) -> None:
    assert "microphone=(self)" in client.get("/").headers["permissions-policy"]
