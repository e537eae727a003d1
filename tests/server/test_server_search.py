"""Search by words, parts, a stored clip and a sound that is sent; and what wrong queries are told."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from askaudio.core.errors import IndexStoreError
from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.schemas import json_safe

PROBLEM = "application/problem+json"


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [Path(hit["path"]).name for hit in answer.json()["hits"]]


def test_words_find_the_sound_they_describe(client):
    answer = client.get("/v1/search", params={"q": "high whistle", "top_k": 3})
    assert ids(answer)[0] == "high whistle.wav"
    hit = answer.json()["hits"][0]
    assert len(answer.json()["hits"]) == 3
    assert hit["rank"] == 1 and 0 <= hit["match"] <= 100 and -1 <= hit["score"] <= 1
    assert hit["metadata"]["duration_s"] == pytest.approx(1.0)
    assert hit["segments"][0]["start_s"] == hit["start_s"]


def test_a_hit_of_a_long_recording_says_where(client):
    hit = client.get("/v1/search", params={"q": "siren"}).json()["hits"][0]
    assert Path(hit["path"]).name == "quiet then siren.wav"
    assert hit["start_s"] == pytest.approx(20.0) and hit["end_s"] == pytest.approx(30.0)


@pytest.mark.parametrize(("avoid", "first"), [("bell", "high whistle.wav"), ("whistle", "bell.wav")])
def test_avoided_words_sink(client, avoid, first):
    assert ids(client.get("/v1/search", params={"q": ["bell", "whistle"], "avoid": avoid}))[0] == first


@pytest.mark.parametrize(("unlike", "first"), [("bell.wav", "high whistle.wav"), ("high whistle.wav", "bell.wav")])
def test_clips_not_to_be_like_sink(client, unlike, first):
    clips = client.get("/v1/clips").json()["clips"]
    clip_id = next(clip["clip_id"] for clip in clips if clip["path"].endswith("/" + unlike))
    assert ids(client.get("/v1/search", params={"q": ["bell", "whistle"], "unlike": clip_id}))[0] == first


def test_posted_parts_are_the_same_search(client):
    got = client.post("/v1/search", json={"parts": [{"kind": "text", "value": "low hum"}], "top_k": 4})
    assert ids(got) == ids(client.get("/v1/search", params={"q": "low hum", "top_k": 4}))
    assert ids(got)[0] == "low hum.wav"


def test_similar_leaves_the_clip_itself_out(client):
    first = client.get("/v1/search", params={"q": "low hum"}).json()["hits"][0]
    answer = client.get("/v1/similar", params={"clip_id": first["clip_id"]})
    assert "low hum.wav" not in ids(answer) and len(ids(answer)) >= 3


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_sent_sound_finds_its_kin(client, container):
    tone = 0.5 * np.sin(2 * np.pi * 3200 * np.arange(22050 * 2) / 22050)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone, tone], 1), 22050, format=container)
    answer = client.post("/v1/search/audio", files={"sound": ("mine", buffer.getvalue())}, data={"top_k": "2"})
    assert ids(answer)[0] == "high whistle.wav" and len(ids(answer)) == 2


def test_a_sent_sound_gives_the_same_scores_as_the_engine(client, engine, sounds):
    path = sounds / "bell.wav"
    direct = engine.search(audio=path, top_k=4)
    answer = client.post("/v1/search/audio", files={"sound": ("bell.wav", path.read_bytes())}, data={"top_k": "4"})
    assert [hit["score"] for hit in answer.json()["hits"]] == [hit.score for hit in direct]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "0 bytes"), (b"this is no sound at all" * 50, "cannot be decoded"), (b"RIFF\x24\0\0\0WAVEfmt ", "cannot")],
)
def test_what_is_no_sound_is_refused_in_words(client, content, said):
    answer = client.post("/v1/search/audio", files={"sound": ("x.wav", content)})
    assert answer.status_code == 422 and answer.headers["content-type"] == PROBLEM
    assert said in answer.json()["detail"] and "/tmp" not in answer.text


def test_a_sound_that_is_too_long_is_refused(make_client):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(3 * 16000), 16000, format="FLAC")
    answer = make_client(max_upload_s=2.0).post("/v1/search/audio", files={"sound": ("x.flac", buffer.getvalue())})
    assert answer.status_code == 422 and "at most 2 s" in answer.json()["detail"]


def test_a_sound_that_is_too_large_is_refused(make_client):
    client = make_client(max_upload_bytes=1000)
    for size in (1001, 200_000):
        answer = client.post("/v1/search/audio", files={"sound": ("x.wav", b"x" * size)})
        assert answer.status_code == 413 and answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": ""},
        {"q": "   "},
        {"q": "x" * 501},
        {"q": "rain", "top_k": 0},
        {"q": "rain", "top_k": 201},
        {"q": "rain", "top_k": "many"},
        {"avoid": "rain"},
        {"q": ["a"] * 17},
        {"q": "rain", "where": "x" * 501},
    ],
)
def test_a_wrong_query_is_a_problem_document(client, params):
    answer = client.get("/v1/search", params=params)
    assert answer.status_code == 422 and answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body["status"] == 422 and body["title"] and body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"parts": []},
        {"parts": [{"kind": "text", "value": "a", "weight": 9}]},
        {"parts": [{"kind": "text", "value": "a", "weight": "NaN"}]},
        {"parts": [{"kind": "audio", "value": "/etc/passwd"}]},
        {"parts": [{"kind": "text", "value": "a"}], "extra": 1},
        {"parts": [{"kind": "text", "value": "a", "weight": -1}]},
    ],
)
def test_wrong_parts_are_refused(client, body):
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 422 and answer.headers["content-type"] == PROBLEM


def test_no_path_of_this_machine_can_be_searched_by(client, sounds):
    answer = client.post("/v1/search", json={"parts": [{"kind": "audio", "value": str(sounds / "bell.wav")}]})
    assert answer.status_code == 422


def test_bytes_that_are_no_json_are_refused(client):
    answer = client.post("/v1/search", content=b"\xff{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.get("/v1/similar?clip_id=unknown"),
        lambda c: c.get("/v1/search?q=bell&unlike=unknown"),
        lambda c: c.get("/v1/search?like=unknown"),
        lambda c: c.post("/v1/search", json={"parts": [{"kind": "clip", "value": "unknown"}]}),
    ],
)
def test_an_unknown_clip_is_a_404(client, ask):
    answer = ask(client)
    assert answer.status_code == 404 and "no clip of this id" in answer.json()["detail"]


def test_a_fault_of_the_store_is_a_503_and_tells_nothing(make_client, monkeypatch):
    client = make_client()

    def fail(*_, **__):
        raise IndexStoreError("/secret/place is damaged")

    monkeypatch.setattr(client.app.state.service.engine, "search", fail)
    answer = client.get("/v1/search?q=bell")
    assert answer.status_code == 503 and "secret" not in answer.text and answer.headers["retry-after"] == "5"


def test_a_hit_on_the_wire_is_the_hit_in_json_and_so_says_the_api(client, engine):
    (hit,) = client.get("/v1/search", params={"q": "siren", "top_k": 1}).json()["hits"]
    assert hit == json.loads(json.dumps(engine.search("siren", top_k=1)[0].to_json()))
    assert not {"windows", "stamp", "content_hash"} & set(hit["metadata"])
    described = client.get("/v1/openapi.json").json()["components"]["schemas"]["Hit"]
    assert set(described["properties"]) == set(hit)


def test_numbers_that_json_cannot_say_become_null():
    assert json_safe({"a": float("nan"), "b": [float("inf"), 1.5], "c": ("x", None), "d": {3: True}}) == {
        "a": None,
        "b": [None, 1.5],
        "c": ["x", None],
        "d": {"3": True},
    }


def _part(name: str, value: bytes, file: str = "") -> bytes:
    filename = f'; filename="{file}"' if file else ""
    return f'--cut\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + value + b"\r\n"


MULTIPART = {"Content-Type": "multipart/form-data; boundary=cut"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART["Content-Type"], _part("q", b"x" * 9000)),
        (MULTIPART["Content-Type"], b"".join(_part(f"q{k}", b"x") for k in range(65))),
        (MULTIPART["Content-Type"], _part("sound", b"x", "a.wav") + _part("sound", b"x", "b.wav")),
        (MULTIPART["Content-Type"], b'--cut\r\nContent-Disposition: form-data; name="' + b"x" * 100_000),
        ("application/x-www-form-urlencoded", b"q=" + b"x" * 9000),
        ("application/x-www-form-urlencoded", b"&".join(b"q%d=x" % k for k in range(65))),
    ],
    ids=["long field", "many fields", "two files", "long header", "long value", "many values"],
)
def test_forms_are_bounded_in_memory(client, content_type, body):
    answer = client.post("/v1/search/audio", content=body + b"--cut--\r\n", headers={"Content-Type": content_type})
    assert answer.status_code == 400 and answer.headers["content-type"] == "application/problem+json"


def test_uploads_share_a_budget_of_bytes_and_give_it_back(make_client):
    client = make_client(max_uploads_bytes=100_000)
    uploads = client.app.middleware_stack
    body = _part("sound", b"x" * 90_000, "a.wav") + b"--cut--\r\n"
    for _ in range(3):  # one after the other they fit
        assert client.post("/v1/search/audio", content=body, headers=MULTIPART).status_code == 422
    answer = client.post("/v1/search/audio", content=body + b"x" * 10_000, headers=MULTIPART)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    while not hasattr(uploads, "_uploads"):
        uploads = uploads.app
    assert uploads._uploads.left == 100_000


@pytest.mark.parametrize(
    ("where", "position"), [("duration<", 9), ("dur", 3), ("tag=rain and (", 14), ("rate=fast", 5)]
)
def test_a_filter_that_is_half_typed_is_refused_with_its_place(client, where, position):
    for path, query in (("/v1/search", {"q": "bell", "where": where}), ("/v1/clips", {"where": where})):
        answer = client.get(path, params=query)
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["field"], error["position"]) == ("where", position)
        assert "Expected something like: duration<3" in error["detail"]


def test_an_unknown_field_is_refused_with_the_known_ones(client):
    for where in ("durration<3", "durration=3"):
        answer = client.get("/v1/search", params={"q": "bell", "where": where})
        assert answer.status_code == 422
        assert "did you mean duration?" in answer.json()["detail"]


def test_pages_go_to_the_end_of_the_collection(client):
    whole = client.get("/v1/search", params={"q": "low hum", "top_k": 200}).json()
    assert whole["total"] == len(whole["hits"]) == 6
    pages = [client.get("/v1/search", params={"q": "low hum", "top_k": 4, "offset": n}).json() for n in (0, 4, 8)]
    assert [hit["clip_id"] for page in pages for hit in page["hits"]] == [hit["clip_id"] for hit in whole["hits"]]
    assert [page["total"] for page in pages] == [6, 6, 6]


def test_hits_that_match_in_another_order(client):
    hits = client.get("/v1/search", params={"q": "siren bell", "sort": "duration", "descending": True}).json()["hits"]
    lengths = [hit["metadata"]["duration_s"] for hit in hits]
    assert lengths == sorted(lengths, reverse=True) and {hit["path"].split("/")[-1] for hit in hits} >= {"bell.wav"}


def test_sorted_clips_and_their_number(client):
    answer = client.get("/v1/clips", params={"sort": "name", "limit": 2}).json()
    assert [clip["path"].split("/")[-1] for clip in answer["clips"]] == ["bell.wav", "high whistle.wav"]
    assert answer["total"] == 6
    longest = client.get("/v1/clips", params={"sort": "duration", "descending": True, "where": "duration<20"}).json()
    assert longest["total"] == 5 and longest["clips"][0]["metadata"]["duration_s"] == 2.0


def test_facets(client, sounds):
    facets = client.get("/v1/facets").json()
    assert facets["total"] == 6 and facets["parent"] == str(sounds)
    assert facets["folders"] == [{"path": str(sounds / "deep"), "count": 1}]
    assert facets["fields"]["format"] == [{"value": "wav", "count": 5}, {"value": "flac", "count": 1}]
    assert {"value": "metal", "count": 1} in facets["fields"]["tag"]
    assert client.get("/v1/facets", params={"where": "format=flac"}).json()["total"] == 1


def test_several_collections(engine, tmp_path):
    encoder = ToyEncoder()
    with open_store(tmp_path / "empty", "w", Identity.of(encoder, "toy")) as store:
        store.save()
    with SearchEngine.open(tmp_path / "empty") as other:
        client = TestClient(create_app({"fx": engine, "music": other}), "http://127.0.0.1")
        names = client.get("/v1/collections").json()
        assert names == [{"name": "fx", "clips": 6}, {"name": "music", "clips": 0}]
        assert len(client.get("/v1/search?q=hum").json()["hits"]) == 6
        assert client.get("/v1/search?q=hum&collection=music").json()["hits"] == []
        assert client.get("/v1/collection?collection=fx").json()["clips"] == 6
        missing = client.get("/v1/search?q=hum&collection=none")
        assert missing.status_code == 404 and "fx, music" in missing.json()["detail"]


def test_an_answer_says_whether_anything_fits(client):
    answer = client.get("/v1/search", params={"q": "high whistle", "language": "en"}).json()
    assert answer["fits"] is True and answer["notes"] == []
    part = {"kind": "text", "value": "high whistle", "language": "de"}
    request = {"parts": [part], "correct_hubs": False}
    assert client.post("/v1/search", json=request).json()["hits"]  # this model has no map, and reads it itself
    assert client.get("/v1/search", params={"q": "whistle", "language": "klingon"}).status_code == 422
