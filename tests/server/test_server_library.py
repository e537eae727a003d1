"""What people keep, over HTTP: round trips, people, guards, read-only collections."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from askaudio.engines.open import open_store
from askaudio.search.engine import SearchEngine
from askaudio.server.library import PERSON_HEADER

TOKEN = "a-token-of-24-characters"
LIBRARY = "/v1/library"


@pytest.fixture
def own(sounds, tmp_path, make_client, monkeypatch):
    """A client of a collection of its own, and the ids of its clips by name."""
    from fastapi.testclient import TestClient

    from askaudio.encoders.toy import ToyEncoder
    from askaudio.index.entries import Identity
    from askaudio.ingest.update import ingest
    from askaudio.server.app import create_app
    from askaudio.server.settings import ServerSettings

    encoder = ToyEncoder()
    with open_store(tmp_path / "own", "w", Identity.of(encoder, "toy")) as store:
        ingest([sounds], store, encoder)
    opened = []

    def make(**settings):
        engine = SearchEngine.open(tmp_path / "own")
        client = TestClient(create_app(engine, ServerSettings(**settings)), base_url="http://127.0.0.1:8765",
                            raise_server_exceptions=False)  # fmt: skip
        opened.append((client.__enter__(), engine))
        return client

    yield make
    for client, engine in opened:
        client.__exit__(None, None, None)
        engine.close()


@pytest.fixture
def ids(engine):
    return {clip.path.rpartition("/")[2]: clip.clip_id for clip in engine.clips()}


def test_favourites(own, ids):
    client = own()
    assert client.get(f"{LIBRARY}/favourites").json() == []
    bell, noise = ids["bell.wav"], ids["white noise.flac"]
    assert client.post(f"{LIBRARY}/favourites", json={"clip_ids": [bell]}).status_code == 204
    assert client.post(f"{LIBRARY}/favourites", json={"clip_ids": [noise, bell]}).status_code == 204
    found = client.get(f"{LIBRARY}/favourites").json()
    assert [mark["clip_id"] for mark in found] == [noise, bell] and found[1]["metadata"]["duration_s"] == 1.5
    assert client.delete(f"{LIBRARY}/favourites/{bell}").status_code == 204
    assert len(client.get(f"{LIBRARY}/favourites").json()) == 1
    assert client.post(f"{LIBRARY}/favourites", json={"clip_ids": ["nothing"]}).status_code == 404


def test_a_project_from_begin_to_end(own, ids):
    client = own()
    made = client.post(f"{LIBRARY}/projects", json={"name": "Storm", "note": "n"})
    assert made.status_code == 201
    place = f"{LIBRARY}/projects/{made.json()['project_id']}"
    items = [{"clip_id": ids["bell.wav"], "start_s": 0.25, "end_s": 0.5, "note": "ding"}, {"clip_id": ids["bell.wav"]}]
    assert client.post(f"{place}/items", json={"items": items}).json() == {"added": 2}
    assert client.post(f"{place}/items", json={"items": items}).json() == {"added": 0}
    found = client.get(place).json()
    assert found["project"]["items"] == 2
    first, second = found["items"]
    assert (first["start_s"], first["note"], second["start_s"]) == (0.25, "ding", None)
    assert client.patch(f"{place}/items/{second['item_id']}", json={"before": first["item_id"]}).status_code == 204
    assert client.delete(f"{place}/items/{first['item_id']}").status_code == 204
    assert [item["item_id"] for item in client.get(place).json()["items"]] == [second["item_id"]]
    assert client.patch(place, json={"name": "Calm", "shared": True}).json()["name"] == "Calm"
    again = client.post(f"{LIBRARY}/projects", json={"name": "Calm"})
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "there is already one called 'Calm'; choose another name",
    )
    assert client.delete(place).status_code == 204
    assert client.get(place).status_code == 404


def test_notes_searches_recent_and_used(own, ids):
    client, bell = own(), ids["bell.wav"]
    assert client.put(f"{LIBRARY}/notes/{bell}", json={"text": "too bright"}).status_code == 204
    assert [mark["text"] for mark in client.get(f"{LIBRARY}/notes").json()] == ["too bright"]
    query = {"q": ["bell"], "where": "duration<3", "page": {"length": "short"}}
    saved = client.post(f"{LIBRARY}/searches", json={"name": "Bells", "query": query})
    assert saved.status_code == 201 and saved.json()["query"] == query
    assert client.post(f"{LIBRARY}/searches", json={"name": "Bells", "query": query}).status_code == 409
    assert client.delete(f"{LIBRARY}/searches/{saved.json()['search_id']}").status_code == 204
    assert client.delete(f"{LIBRARY}/searches/{saved.json()['search_id']}").status_code == 404
    for _ in range(2):
        assert client.post(f"{LIBRARY}/recent", json={"query": {"q": ["bell"]}}).status_code == 204
    assert [(row["query"], row["times"]) for row in client.get(f"{LIBRARY}/recent").json()] == [({"q": ["bell"]}, 2)]
    assert client.post(f"{LIBRARY}/used", json={"clip_ids": [bell], "action": "played"}).status_code == 204
    assert [row["action"] for row in client.get(f"{LIBRARY}/used").json()] == ["played"]
    for what in ("recent", "used"):
        assert client.delete(f"{LIBRARY}/{what}").status_code == 204
        assert client.get(f"{LIBRARY}/{what}").json() == []


def test_people_count_only_with_a_token(own, ids):
    client = own(token=TOKEN)
    ana = {"Authorization": f"Bearer {TOKEN}", PERSON_HEADER: quote("Änne")}
    nobody = {"Authorization": f"Bearer {TOKEN}"}
    body = {"clip_ids": [ids["bell.wav"]]}
    assert client.post(f"{LIBRARY}/favourites", json=body).status_code == 401
    assert client.post(f"{LIBRARY}/favourites", json=body, headers=ana).status_code == 204
    assert client.get(f"{LIBRARY}/favourites", headers=nobody).json() == []
    info = client.get(LIBRARY, headers=ana).json()
    assert info == {"person": "Änne", "people": ["Änne"], "named": True, "writable": True, "reveal": False}
    assert client.get(LIBRARY, headers={**nobody, PERSON_HEADER: "two%0Alines"}).status_code == 422
    assert own().get(LIBRARY, headers={PERSON_HEADER: "Ben"}).json()["person"] == ""


def test_export_and_import(own, ids):
    client = own()
    client.post(f"{LIBRARY}/favourites", json={"clip_ids": [ids["bell.wav"]]})
    answer = client.get(f"{LIBRARY}/export")
    assert "attachment" in answer.headers["content-disposition"]
    client.delete(f"{LIBRARY}/favourites/{ids['bell.wav']}")
    assert client.post(f"{LIBRARY}/import", json=answer.json()).json()["favourites"] == 1
    assert len(client.get(f"{LIBRARY}/favourites").json()) == 1
    for wrong in (b"{", b"[" * 100_000, b'{"askaudio_kept": 9}', b"\xff"):
        assert client.post(f"{LIBRARY}/import", content=wrong).status_code == 422


def test_an_import_may_be_large(own, ids):
    value = {"askaudio_kept": 1, "sounds": [{"clip_id": "x" * 900, "path": "y" * 3000}] * 300, "people": []}
    assert len(json.dumps(value)) > 2**20
    assert own().post(f"{LIBRARY}/import", json=value).status_code == 200


def test_other_sites_cannot_keep_anything(own, ids):
    client = own()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        answer = client.post(f"{LIBRARY}/favourites", json={"clip_ids": [ids["bell.wav"]]}, headers=headers)
        assert answer.status_code == 403
    assert client.get(f"{LIBRARY}/favourites").json() == []


def test_a_read_only_collection_says_so_without_its_path(own, ids, monkeypatch):
    from askaudio.projects import database

    client = own()
    monkeypatch.setattr(database, "is_writable", lambda file: False)
    answer = client.post(f"{LIBRARY}/favourites", json={"clip_ids": [ids["bell.wav"]]})
    assert answer.status_code == 409 and "read-only here" in answer.json()["detail"]
    assert "/" not in answer.json()["detail"]
    assert client.get(LIBRARY).json()["writable"] is False


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/favourites", {"clip_ids": []}),
        ("post", "/favourites", {"clip_ids": ["x"] * 1001}),
        ("post", "/projects", {"name": ""}),
        ("post", "/projects", {"name": "x", "colour": 1}),
        ("post", "/projects/1/items", {"items": [{"clip_id": "x", "start_s": -1, "end_s": 1}]}),
        ("post", "/projects/0/items", {"items": [{"clip_id": "x"}]}),
        ("post", "/searches", {"name": "x", "query": {}}),
        ("post", "/searches", {"name": "x", "query": {"q": "text"}}),
        ("post", "/used", {"clip_ids": ["x"], "action": "eaten"}),
        ("get", "/projects/99999999999999999999", None),
    ],
)
def test_wrong_requests_are_described(own, method, path, body):
    answer = own().request(method.upper(), LIBRARY + path, json=body)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
