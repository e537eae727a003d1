"""``askaudio serve`` as a process: it starts, says where, answers, stops gracefully, and refuses in words."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from askaudio.cli import main
from askaudio.cli.serve import SafeFormatter


@contextlib.contextmanager
def serving(collection, *options: str, **variables: str) -> Iterator[tuple[subprocess.Popen, dict]]:
    """The command as a process, once it has said where it listens."""
    command = [sys.executable, "-m", "askaudio.cli", "serve", "--json", "--collection", str(collection), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, json.loads(line)
    finally:
        process.kill()
        process.communicate()


def fetch(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.read()


def test_it_serves_and_stops_gracefully(collection):
    with serving(collection) as (process, said):
        assert said["clips"] == 6 and said["url"].startswith("http://127.0.0.1:") and said["token"] is False
        assert b"askaudio" in fetch(said["url"])
        hits = json.loads(fetch(said["url"] + "v1/search?q=high+whistle"))["hits"]
        assert hits[0]["path"].endswith("high whistle.wav")
        fetch(said["url"] + f"v1/clips/{hits[0]['clip_id'].replace(' ', '%20')}/peaks")  # starts a decoder process
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 0 and "Traceback" not in errors
        time.sleep(0.1)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", int(said["url"].rstrip("/").split(":")[-1])), 1).close()


def test_several_collections_have_different_names(collection, tmp_path):
    (tmp_path / "toy").symlink_to(collection)
    with serving(collection, str(tmp_path / "toy")) as (_, said):
        assert said["clips"] == 12
        names = [each["name"] for each in json.loads(fetch(said["url"] + "v1/collections"))]
        assert names == ["toy", "toy 2"]
        assert json.loads(fetch(said["url"] + "v1/search?q=hum&collection=toy%202"))["total"] == 6


def test_a_token_from_the_environment_is_asked_for_and_not_shown(collection):
    token = "a-token-that-is-long-enough"
    with serving(collection, ASKAUDIO_TOKEN=token) as (process, said):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(said["url"] + "v1/collection")
        assert caught.value.code == 401 and said["token"] is True
        assert b'"clips":6' in fetch(said["url"] + "v1/collection", Authorization=f"Bearer {token}")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0 and token not in output + errors


def test_without_a_default_collection_an_empty_one_is_made(tmp_path, monkeypatch):
    import argparse
    import contextlib

    from askaudio.cli import serve

    monkeypatch.setenv("ASKAUDIO_COLLECTION", str(tmp_path / "new"))
    args = argparse.Namespace(collection=None, collections=[])
    for _ in range(2):  # it is made once
        with contextlib.ExitStack() as stack:
            (engine,) = serve._open(args, stack).values()
            assert (engine.info()["clips"], engine.info()["model"]) == (0, "small")
            assert engine.search("rain") == []


def test_a_missing_collection_is_told_with_the_way_out(tmp_path, capsys):
    assert main(["serve", "--collection", str(tmp_path / "none"), "--port", "0"]) == 2
    assert "askaudio index FOLDER" in capsys.readouterr().err


def test_a_taken_port_is_told_before_anything_is_loaded(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--collection", str(tmp_path / "none"), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port}" in said and f"--port {port + 1}" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "203.0.113.7", "--port", "0"], "cannot bind to 203.0.113.7"),
        (["--host", "no such host", "--port", "0"], "cannot bind to no such host"),
        (["--port", "99999"], "port must be 0 to 65535"),
        (["--token-file", "/no/such/file"], "cannot read the token file"),
        (["--allow", "/no/such/folder"], "/no/such/folder does not exist"),
        (["--max-upload-mb", "0"], "max_upload_bytes must be above 0"),
    ],
)
def test_wrong_options_end_with_2(collection, capsys, options, said):
    assert main(["serve", "--collection", str(collection), *options]) == 2
    assert said in capsys.readouterr().err


def test_names_of_files_cannot_control_the_terminal_or_forge_a_log_line():
    try:
        raise ValueError("a\x1b]0;title\x07.wav")
    except ValueError:
        record = logging.LogRecord("x", 40, "", 1, "bad: %s", ("b\n2026 ERROR forged \x1b[31m",), sys.exc_info())
    text = SafeFormatter("%(levelname)s %(message)s").format(record)
    assert text.split("\n")[0] == "ERROR bad: b\\n2026 ERROR forged \\x1b[31m"
    assert text.endswith("ValueError: a\\x1b]0;title\\x07.wav") and "Traceback" in text and "\x1b" not in text


def test_a_collection_that_was_not_indexed_here_is_told_with_the_way_out(collection, sounds, tmp_path):
    elsewhere = {"ASKAUDIO_STATE": str(tmp_path)}
    with serving(collection, **elsewhere) as (process, said):
        clip_id = json.loads(fetch(said["url"] + "v1/clips"))["clips"][0]["clip_id"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(said["url"] + f"v1/clips/{clip_id}/audio")
        assert caught.value.code == 404 and "--allow FOLDER" in json.load(caught.value)["detail"]
        process.send_signal(signal.SIGTERM)
        assert "askaudio serve --allow FOLDER" in process.communicate(timeout=20)[1]
    with serving(collection, "--allow", str(sounds), **elsewhere) as (process, said):
        assert fetch(said["url"] + f"v1/clips/{clip_id}/audio")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[1] == ""
