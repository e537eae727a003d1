"""Formats that browsers do not play are sent as wav, with ranges and at other pitches."""

from __future__ import annotations

import io
import struct

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

RATE_HZ = 22050
FORMATS = {"a.aiff": ("AIFF", "PCM_16"), "b.w64": ("W64", "PCM_24"), "c.caf": ("CAF", "PCM_16"),
           "d.wav": ("WAV", "IMA_ADPCM"), "e.wav": ("WAV", "DOUBLE"), "f.au": ("AU", "ULAW")}  # fmt: skip


def _stereo() -> np.ndarray:
    t = np.arange(RATE_HZ) / RATE_HZ
    return 0.5 * np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 660 * t)], axis=1)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of an app over one sound in several formats, and one that is louder than full scale."""
    folder = tmp_path_factory.mktemp("formats").resolve()
    for name, (container, subtype) in FORMATS.items():
        soundfile.write(folder / name, _stereo(), RATE_HZ, format=container, subtype=subtype)
    soundfile.write(folder / "loud.wav", 8 * _stereo(), RATE_HZ, subtype="FLOAT")
    encoder, collection = ToyEncoder(), folder.with_name("collection")
    with open_store(collection, "w", Identity.of(encoder, "toy")) as store:
        assert ingest([folder], store, encoder).added == 7
    with SearchEngine.open(collection) as engine, TestClient(create_app(engine), "http://127.0.0.1") as client:
        yield client


def audio_of(client, name: str, query: str = "as=wav", **headers: str):
    clips = client.get("/v1/clips").json()["clips"]
    clip_id = next(clip["clip_id"] for clip in clips if clip["path"].endswith("/" + name))
    return client.get(f"/v1/clips/{clip_id}/audio?{query}", headers=headers)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_sent_as_wav(client, name):
    answer = audio_of(client, name)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-disposition"] == f'inline; filename="{name[0]}.wav"'
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == RATE_HZ and samples.shape[1] == 2
    assert abs(len(samples) - RATE_HZ) < 1100  # ADPCM pads its last block
    assert np.abs(samples[:RATE_HZ] - _stereo()).mean() < 0.02


def test_ranges_of_the_decoded_file(client):
    whole = audio_of(client, "c.caf").content
    answer = audio_of(client, "c.caf", Range="bytes=20-99")
    assert answer.status_code == 206 and answer.content == whole[20:100]
    assert answer.headers["content-range"] == f"bytes 20-99/{len(whole)}"


def test_samples_beyond_full_scale_are_scaled_not_clipped(client):
    samples, _ = soundfile.read(io.BytesIO(audio_of(client, "loud.wav").content))
    assert np.abs(samples).max() == pytest.approx(1.0, abs=0.01)
    assert np.abs(samples - 2 * _stereo()).max() < 0.01


def test_an_octave_up_is_twice_the_sample_rate(client):
    plain, tuned = (audio_of(client, "a.aiff", query) for query in ("as=wav", "as=wav&pitch=12"))
    assert struct.unpack("<II", tuned.content[24:32]) == (2 * RATE_HZ, 2 * RATE_HZ * 4)
    assert tuned.content[32:] == plain.content[32:] and tuned.content[:24] == plain.content[:24]
    assert audio_of(client, "a.aiff", "as=wav&pitch=12", Range="bytes=20-40").content == tuned.content[20:41]
    assert tuned.headers["etag"] != plain.headers["etag"]
    assert audio_of(client, "a.aiff", "as=wav&pitch=30").status_code == 422


def test_only_the_least_recently_played_are_removed(client):
    playable = client.app.state.service.playable
    playable._max_bytes = 3 * len(audio_of(client, "a.aiff").content)
    playable.close()  # other tests may have played these sounds
    for name in ("b.w64", "c.caf", "a.aiff", "e.wav"):
        audio_of(client, name)
    assert len(playable._sizes) == 3
    assert audio_of(client, "b.w64").status_code == 200  # decoded again


def test_peaks_tell_level_and_peak(client):
    clips = client.get("/v1/clips").json()["clips"]
    clip_id = next(clip["clip_id"] for clip in clips if clip["path"].endswith("/a.aiff"))
    peaks = client.get(f"/v1/clips/{clip_id}/peaks").json()
    mono = _stereo().mean(axis=1)
    assert peaks["level_db"] == pytest.approx(10 * np.log10(np.mean(mono**2)), abs=0.1)
    assert peaks["peak"] == pytest.approx(np.abs(mono).max(), abs=0.001)
