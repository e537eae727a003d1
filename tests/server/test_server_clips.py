"""What is known of a clip, its audio with byte ranges, its waveform; and that no other file gets out."""

import hashlib
import os
import tracemalloc
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.ingest.update import ingest
from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.peaks import PeaksCache
from askaudio.server.settings import ServerSettings


def clip_id(client, name: str) -> str:
    clips = client.get("/v1/clips", params={"limit": 500}).json()["clips"]
    return next(clip["clip_id"] for clip in clips if clip["path"].endswith("/" + name))


def url(client, name: str, what: str = "") -> str:
    return f"/v1/clips/{quote(clip_id(client, name), safe='')}{what}"


def test_metadata(client, sounds):
    clip = client.get(url(client, "bell.wav")).json()
    assert clip["path"] == str(sounds / "bell.wav")
    assert clip["metadata"]["duration_s"] == pytest.approx(1.5) and clip["metadata"]["channels"] == 1


def test_clips_are_listed_in_pages(client):
    everything = [clip["clip_id"] for clip in client.get("/v1/clips").json()["clips"]]
    assert len(everything) == 6 and everything == sorted(everything)
    assert [c["clip_id"] for c in client.get("/v1/clips?offset=2&limit=3").json()["clips"]] == everything[2:5]


def test_whole_audio(client, sounds):
    answer = client.get(url(client, "white noise.flac", "/audio"))
    assert answer.status_code == 200 and answer.content == (sounds / "white noise.flac").read_bytes()
    assert answer.headers["content-type"] == "audio/flac" and answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-50", 206, slice(-50, None)),
        ("bytes=5-5", 206, slice(5, 6)),
        ("bytes=99999999-", 416, None),
        ("bytes=9-5", 416, None),
        ("bytes=a-b", 400, None),
    ],
)
def test_byte_ranges(client, sounds, asked, status, part):
    whole = (sounds / "bell.wav").read_bytes()
    answer = client.get(url(client, "bell.wav", "/audio"), headers={"Range": asked})
    if asked in ("bytes=9-5", "bytes=a-b"):  # RFC 9110 lets a server refuse or ignore what makes no sense
        assert answer.status_code in (200, 400, 416)
        return
    assert answer.status_code == status
    if part is not None:
        assert answer.content == whole[part]
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")


def test_head_has_the_headers_and_no_body(client, sounds):
    answer = client.head(url(client, "bell.wav", "/audio"))
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["content-length"] == str((sounds / "bell.wav").stat().st_size)
    assert answer.headers["content-type"] == "audio/wav"


def test_strange_names_are_served(client, sounds):
    name = "ünï & <b>strange<b> #1?.wav"
    answer = client.get(url(client, name, "/audio?download=true"))
    assert answer.content == (sounds / name).read_bytes()
    assert answer.headers["content-disposition"].startswith("attachment; filename*=utf-8''")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/clips/nothing/audio",
        "/v1/clips/..%2F..%2F..%2Fetc%2Fpasswd/audio",
        "/v1/clips/%2Fetc%2Fpasswd/audio",
        "/v1/clips/../../../../etc/passwd",
        "/v1/clips/%00/audio",
        "/..%2f..%2fpyproject.toml",
        "/%2e%2e/app.py",
        "/../app.py",
    ],
)
def test_no_other_file_gets_out(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"


@pytest.fixture
def linked(sounds, tmp_path):
    """A folder that holds a link to a sound outside of it, indexed; the sound; and a function that opens a client."""
    folder, elsewhere = tmp_path / "linked", tmp_path / "elsewhere" / "bell.wav"
    folder.mkdir()
    elsewhere.parent.mkdir()
    elsewhere.write_bytes((sounds / "bell.wav").read_bytes())
    (folder / "bell.wav").symlink_to(elsewhere)
    encoder = ToyEncoder()
    with open_store(tmp_path / "c", "w", Identity.of(encoder, "toy")) as store:
        ingest([folder], store, encoder)
    with SearchEngine.open(tmp_path / "c") as engine:
        yield folder, elsewhere, lambda **s: TestClient(create_app(engine, ServerSettings(**s)), "http://localhost")


@pytest.fixture
def swapped(sounds, tmp_path):
    """A file of the collection, replaced by a link to a secret for the time of a test."""
    target, secret, kept = sounds / "bell.wav", tmp_path / "secret.wav", tmp_path / "kept.wav"
    secret.write_bytes(b"secret")
    target.rename(kept)
    target.symlink_to(secret)
    yield target
    target.unlink()
    kept.rename(target)


@pytest.mark.parametrize("what", ["/audio", "/peaks"])
def test_a_link_in_place_of_a_file_leads_nowhere(client, swapped, what):
    answer = client.get(url(client, "bell.wav", what))
    assert answer.status_code == 404 and b"secret" not in answer.content


def test_a_link_in_place_of_a_folder_leads_nowhere(client, sounds, tmp_path):
    (sounds / "deep").rename(tmp_path / "kept")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "low hum.wav").write_bytes(b"secret")
    (sounds / "deep").symlink_to(tmp_path / "other")
    try:
        assert client.get(url(client, "low hum.wav", "/audio")).status_code == 404
    finally:
        (sounds / "deep").unlink()
        (tmp_path / "kept").rename(sounds / "deep")


def test_a_link_that_was_indexed_is_served_while_it_leads_to_that_file(linked):
    _, elsewhere, open_client = linked
    client = open_client(allowed_folders=(str(elsewhere.parent),))
    assert client.get(url(client, "bell.wav", "/audio")).content == elsewhere.read_bytes()
    elsewhere.write_bytes(b"secret")
    assert client.get(url(client, "bell.wav", "/audio")).status_code == 404


def test_a_link_out_of_the_indexed_folders_leads_nowhere_unless_its_target_is_allowed(linked):
    client = linked[2]()
    answer = client.get(url(client, "bell.wav", "/audio"))
    assert answer.status_code == 404 and "--allow FOLDER" in answer.json()["detail"]
    assert client.get(url(client, "bell.wav", "/peaks")).status_code == 404


@pytest.mark.parametrize("replacement", ["gone", "folder", "pipe"])
def test_what_is_no_file_any_more_is_a_404(client, sounds, tmp_path, replacement):
    path = sounds / "bell.wav"
    path.rename(tmp_path / "kept.wav")
    try:
        if replacement == "folder":
            path.mkdir()
        elif replacement == "pipe":
            os.mkfifo(path)
        assert client.get(url(client, "bell.wav", "/audio")).status_code == 404
    finally:
        if replacement != "gone":
            path.rmdir() if replacement == "folder" else path.unlink()
        (tmp_path / "kept.wav").rename(path)


def test_peaks_are_the_extremes_of_the_samples(client, sounds):
    samples, rate = soundfile.read(sounds / "white noise.flac", dtype="float32")
    peaks = client.get(url(client, "white noise.flac", "/peaks?points=20")).json()
    stretches = np.array_split(samples, 20)
    assert peaks["duration_s"] == pytest.approx(len(samples) / rate)
    assert len(peaks["low"]) == len(peaks["high"]) == 20
    assert np.allclose(peaks["high"], [127 * s.max() for s in stretches], atol=1)
    assert np.allclose(peaks["low"], [127 * s.min() for s in stretches], atol=1)


def test_peaks_of_a_stretch(client):
    name = "quiet then siren.wav"
    whole = client.get(url(client, name, "/peaks?points=300")).json()
    assert max(whole["high"][:195]) == 0 and min(whole["high"][205:]) > 50
    part = client.get(url(client, name, "/peaks?points=50&start_s=15&end_s=25")).json()
    assert (part["start_s"], part["end_s"], part["duration_s"]) == (15, 25, 30)
    assert max(part["high"][:24]) == 0 and min(part["high"][26:]) > 50


def test_peaks_are_kept_and_known_by_etag(client):
    address = url(client, "high whistle.wav", "/peaks?points=77")
    first = client.get(address)
    kept = len(client.app.state.service.peaks)
    assert client.get(address).json() == first.json()
    assert len(client.app.state.service.peaks) == kept
    assert client.get(address, headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_the_peaks_cache_is_bounded_in_bytes(make_client):
    client = make_client(peaks_cache_bytes=2 * (600 + 2 * 300))
    for points in (300, 301, 302, 300, 303):
        assert client.get(url(client, "white noise.flac", f"/peaks?points={points}")).status_code == 200
    peaks = client.app.state.service.peaks
    assert len(peaks) == 1 and peaks.size_bytes == 600 + 2 * 303


def test_a_kept_waveform_takes_little_more_than_its_values(sounds):
    class Instead:
        def run(self, *_, **__):
            low, high = list(range(-127, 0)) * 3, list(range(127)) * 3
            return {"duration_s": 1.0, "start_s": 0.0, "end_s": 1.0, "low": low, "high": high,
                    "level_db": -20.0, "peak": 1.0}  # fmt: skip

    class File:
        path_for_children = ""

    cache = PeaksCache(Instead(), 2**20)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for k in range(200):
        answer = cache.compute(hashlib.sha256(str(k).encode()).hexdigest()[:32], File(), 381, 0.0, None)
    each = (tracemalloc.get_traced_memory()[0] - before) / 200
    tracemalloc.stop()
    assert each < 1500 and cache.size_bytes / 200 == 600 + 2 * 381
    assert cache.get(hashlib.sha256(b"7").hexdigest()[:32]) == answer


@pytest.mark.parametrize(
    "query", ["points=9", "points=2001", "start_s=-1", "start_s=3&end_s=2", "start_s=nan", "end_s=inf"]
)
def test_wrong_stretches_are_refused(client, query):
    assert client.get(url(client, "bell.wav", f"/peaks?{query}")).status_code == 422


def test_a_stretch_after_the_end_is_refused(client):
    answer = client.get(url(client, "bell.wav", "/peaks?start_s=100"))
    assert answer.status_code == 422 and "ends at 1.5 s" in answer.json()["detail"]
