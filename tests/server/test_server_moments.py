"""Moments, cuts, and queries by a stretch, through the web API."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from test_server_clips import clip_id, url


def siren(client) -> str:
    return clip_id(client, "quiet then siren.wav")


def test_moments_of_a_clip(client):
    answer = client.get("/v1/moments", params={"clip_id": siren(client), "q": "siren", "longest_s": 60})
    assert answer.status_code == 200
    (clip,) = answer.json()["clips"]
    assert clip["moments"][0]["start_s"] == pytest.approx(20, abs=0.3)
    assert clip["examined"] == [[0.0, 30.0]] and clip["reason"] == ""
    assert len(clip["curve"]["times_s"]) == len(clip["curve"]["scores"]) > 30


def test_moments_by_parts_and_by_a_sound(client, sounds):
    body = {"parts": [{"kind": "text", "value": "siren"}], "clip_ids": [siren(client)]}
    by_parts = client.post("/v1/moments", json=body).json()["clips"][0]
    assert by_parts["moments"][0]["end_s"] == pytest.approx(30, abs=0.3)
    wave = (0.5 * np.sin(2 * np.pi * 900 * np.arange(16000) / 16000)).astype(np.float32)
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, 16000, format="WAV")
    sent = {"sound": ("query.wav", buffer.getvalue())}
    by_sound = client.post("/v1/moments/audio", files=sent, data={"clip_id": siren(client)}).json()["clips"][0]
    assert by_sound["moments"][0]["start_s"] == pytest.approx(20, abs=0.3)


def test_limits_of_moments(client):
    assert client.get("/v1/moments", params={"clip_id": "nothing", "q": "x"}).status_code == 404
    many = {"clip_id": [siren(client)] * 50, "q": "x", "longest_s": 600}
    assert client.get("/v1/moments", params=many).status_code == 422
    assert client.get("/v1/moments", params={"clip_id": siren(client)}).status_code == 422


def test_a_cut_has_the_samples_of_the_file(client, sounds):
    answer = client.get(url(client, "white noise.flac", "/audio?start_s=0.25&end_s=0.75&download=true"))
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/wav"
    assert "white%20noise%200.25-0.75%20s.wav" in answer.headers["content-disposition"]
    found, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16")
    assert rate == 16000
    assert np.array_equal(found, soundfile.read(sounds / "white noise.flac", dtype="int16")[0][4000:12000])


def test_cuts_outside_of_the_file_are_refused(client):
    assert client.get(url(client, "bell.wav", "/audio?start_s=5&end_s=6")).status_code == 422
    assert client.get(url(client, "bell.wav", "/audio?start_s=1&end_s=0.5")).status_code == 422
    assert client.get(url(client, "bell.wav", "/audio?start_s=0&end_s=700")).status_code == 422


def test_a_stretch_of_a_clip_is_a_query(client):
    like = f"{siren(client)}@22-24"
    hits = client.get("/v1/search", params={"like": like}).json()["hits"]
    part = {"kind": "clip", "value": siren(client), "start_s": 22, "end_s": 24}
    again = client.post("/v1/search", json={"parts": [part]}).json()["hits"]
    assert hits[0]["clip_id"] == siren(client) and hits[0]["score"] > 0.9
    assert [hit["clip_id"] for hit in hits] == [hit["clip_id"] for hit in again]
    quiet = client.get("/v1/search", params={"like": f"{siren(client)}@2-4"}).json()["hits"]
    assert quiet[0]["start_s"] < 20  # silence is another query than the siren, though both are of one clip


def test_wrong_stretches_are_refused(client):
    assert client.get("/v1/search", params={"like": f"{siren(client)}@40-50"}).status_code == 422
    assert client.get("/v1/search", params={"like": f"{siren(client)}@5-4"}).status_code == 422
    assert client.get("/v1/search", params={"like": "nothing@1-2"}).status_code == 404
