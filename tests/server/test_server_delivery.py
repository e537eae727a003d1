"""Exports, parts and the file manager, over HTTP."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from askaudio.core.errors import ConfigError
from askaudio.server import reveal as reveal_module
from askaudio.server.reveal import commands
from askaudio.server.settings import ServerSettings


@pytest.fixture
def ids(engine):
    return {clip.path.rpartition("/")[2]: clip.clip_id for clip in engine.clips()}


def archive(answer) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    opened = zipfile.ZipFile(io.BytesIO(answer.content))
    assert opened.testzip() is None
    return opened


def test_an_archive_of_copies_and_parts(client, ids, sounds):
    items = [
        {"clip_id": ids["bell.wav"]},
        {"clip_id": ids["quiet then siren.wav"], "start_s": 21.0, "end_s": 23.0, "note": "siren"},
        {"clip_id": ids["ünï & <b>strange<b> #1?.wav"]},
        {"clip_id": "nothing"},
    ]
    answer = client.post("/v1/export", json={"items": items, "lists": ["rpp"], "handles_s": 0.5, "name": "../a/b"})
    with archive(answer) as found:
        assert found.namelist() == [
            "bell.wav", "quiet then siren 20.50-23.50 s.wav", "ünï & _b_strange_b_ #1_.wav", "_a_b.rpp", "CREDITS.txt",
        ]  # fmt: skip
        assert found.read("bell.wav") == (sounds / "bell.wav").read_bytes()
        part, rate = soundfile.read(io.BytesIO(found.read("quiet then siren 20.50-23.50 s.wav")), dtype="int16")
        whole, _ = soundfile.read(sounds / "quiet then siren.wav", dtype="int16")
        assert np.array_equal(part, whole[int(20.5 * rate) : int(23.5 * rate)])
        assert "the collection does not hold it" in found.read("CREDITS.txt").decode()
    assert answer.headers["x-askaudio-left-out"] == "1"
    assert answer.headers["content-disposition"] == 'attachment; filename="_a_b.zip"'


@pytest.mark.parametrize("kind", ["m3u", "csv", "tsv", "json", "otio", "rpp", "regions"])
def test_lists_come_with_credits_or_alone(client, ids, kind):
    body = {"kind": kind, "items": [{"clip_id": ids["bell.wav"]}]}
    with archive(client.post("/v1/export", json=body)) as found:
        name, credits = found.namelist()
        assert credits == "CREDITS.txt"
        inside = found.read(name)
    alone = client.post("/v1/export", json={**body, "credits": False})
    assert alone.content == inside and alone.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_a_table_names_the_files(client, ids, sounds):
    answer = client.post("/v1/export", json={"kind": "csv", "items": [{"clip_id": ids["bell.wav"]}], "credits": False})
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["path"] == str(sounds / "bell.wav") and row["commercial"] == "unknown"


def test_only_commercial(client, ids):
    body = {"kind": "credits", "items": [{"clip_id": ids["bell.wav"]}], "commercial": True}
    answer = client.post("/v1/export", json=body)
    assert answer.headers["x-askaudio-left-out"] == "1" and "no licence is known" in answer.text


def test_a_project_is_exported_and_noted_as_used(client, ids):
    project = client.post("/v1/library/projects", json={"name": "to export"}).json()["project_id"]
    items = [{"clip_id": ids["bell.wav"], "start_s": 0.5, "end_s": 1.0, "note": "ding"}]
    client.post(f"/v1/library/projects/{project}/items", json={"items": items})
    answer = client.post("/v1/export", json={"kind": "regions", "project_id": project, "credits": False})
    assert answer.text.splitlines()[1] == "R1,ding,0:00.500,0:01.000,0:00.500"
    assert client.get("/v1/library/used").json()[0]["action"] == "exported"
    assert client.post("/v1/export", json={"project_id": 999999}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"items": [], "project_id": None}, {"items": [{"clip_id": "x"}], "project_id": 1}, {"kind": "folder"},
     {"items": [{"clip_id": "x"}], "handles_s": 61}, {"items": [{"clip_id": "x"}], "kind": "csv", "lists": ["rpp"]},
     {"items": [{"clip_id": "x", "start_s": 2, "end_s": 1}]}, {"items": [{"clip_id": "x"}], "name": ""}],
)  # fmt: skip
def test_wrong_exports_are_described(client, body):
    assert client.post("/v1/export", json=body).status_code == 422


def test_files_of_other_folders_are_not_exported(sounds, tmp_path, monkeypatch, collection, engine, make_client, ids):
    """Without a record of the indexed folders nothing may be read."""
    monkeypatch.setenv("ASKAUDIO_STATE", str(tmp_path))
    client = make_client()
    with archive(client.post("/v1/export", json={"items": [{"clip_id": ids["bell.wav"]}]})) as found:
        assert found.namelist() == ["CREDITS.txt"]
        assert "in no folder that was indexed on this machine" in found.read("CREDITS.txt").decode()


# --- the file manager -------------------------------------------------------------------------------------------


def test_the_file_manager_needs_consent_and_this_machine(client, make_client, ids, sounds, monkeypatch):
    shown: list[Path] = []
    monkeypatch.setattr("askaudio.server.routes_delivery.reveal", shown.append)
    place = f"/v1/clips/{ids['bell.wav']}/reveal"
    assert client.post(place).status_code == 403
    local = make_client(reveal=True)
    assert local.post(place).status_code == 403, "the test's client has no loopback address"
    monkeypatch.setattr("askaudio.server.routes_delivery.is_local", lambda request: True)
    assert local.post(place).status_code == 204
    assert shown == [Path(os.path.realpath(sounds / "bell.wav"))]
    assert local.post(place, headers={"Origin": "http://evil.example"}).status_code == 403
    assert local.get(place).status_code in (404, 405)
    assert local.post("/v1/clips/nothing/reveal").status_code == 404 and len(shown) == 1


def test_what_counts_as_this_machine():
    from starlette.requests import Request

    from askaudio.server.reveal import is_local

    def asked(host, **headers):
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        return is_local(Request({"type": "http", "client": (host, 1), "headers": pairs}))

    assert asked("127.0.0.1") and asked("::1")
    assert not asked("10.0.0.1") and not asked("127.0.0.1", via="proxy") and not asked("testclient")
    with pytest.raises(ConfigError, match="reveal works only on this machine"):
        ServerSettings(host="0.0.0.0", reveal=True)


def test_commands_of_the_systems(tmp_path, monkeypatch):
    path = Path("/sounds/a, b; $(x).wav")
    assert commands(path, "darwin") == [["open", "-R", str(path)]]
    assert commands(path, "win32") == [["explorer", "/select,", str(path)]]
    dbus, folder = commands(path, "linux")
    assert "array:string:file:///sounds/a%2C%20b%3B%20%24%28x%29.wav" in dbus and folder == ["xdg-open", "/sounds"]
    monkeypatch.setattr(reveal_module, "commands", lambda path: [["no-such-program", "x"], ["false"]])
    with pytest.raises(Exception, match="No file manager"):
        reveal_module.reveal(path)
