"""Which files of a collection are served: sound files of allowed folders, opened once, as they were indexed."""

import os
import socket
import time

import pytest
from fastapi.testclient import TestClient

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.bookkeeping import Stamp
from askaudio.index.entries import Entry, Identity
from askaudio.ingest.update import ingest
from askaudio.search.engine import SearchEngine
from askaudio.search.hits import ClipInfo
from askaudio.server import clip_files
from askaudio.server.app import create_app
from askaudio.server.clip_files import open_clip
from askaudio.server.problems import Problem
from askaudio.server.settings import ServerSettings
from askaudio.server.sound_response import content_disposition, parse_range


def as_indexed(path) -> ClipInfo:
    status = os.stat(path)
    return ClipInfo("id", str(path), 1, {}, Stamp(status.st_size, status.st_mtime_ns))


def refused(clip: ClipInfo, *folders) -> str:
    with pytest.raises(Problem) as caught:
        open_clip(clip, [str(folder) for folder in folders])
    assert caught.value.status_code == 404
    return caught.value.detail


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.wav").write_bytes(b"sound")
    (tmp_path / "library2").mkdir()
    (tmp_path / "library2" / "b.wav").write_bytes(b"other")
    return folder


def test_an_indexed_file_is_opened_once(library):
    path = library / "deep" / "a.wav"
    for folder in (library, library / "deep", path, "/"):
        file = open_clip(as_indexed(path), [str(folder)])
        path.rename(library / "moved")  # what happens to the path now changes nothing
        path.write_bytes(b"secret")
        assert file.handle.read(100) == b"sound" and (file.name, file.media_type) == ("a.wav", "audio/wav")
        with open(file.path_for_children, "rb") as again:
            assert again.read() == b"sound"
        file.handle.close()
        (library / "moved").rename(path)


@pytest.mark.parametrize("name", ["library2/b.wav", "library/../library2/b.wav"])
def test_files_of_other_folders_are_refused(library, tmp_path, name):
    clip = as_indexed(tmp_path / "library2" / "b.wav")
    detail = refused(ClipInfo("id", f"{tmp_path}/{name}", 1, {}, clip.stamp), library)
    assert "--allow FOLDER" in detail


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "/dev/zero", "relative.wav", "", "/etc/\0.wav", "/proc/self/environ"]
)
def test_paths_that_are_no_sounds_are_refused(library, path):
    refused(ClipInfo("id", path, 1, {}, Stamp(0, 0)), library)
    refused(ClipInfo("id", path, 1, {}, Stamp(0, 0)), "/")


def test_a_file_that_is_no_sound_is_refused_within_the_folder(library):
    (library / "notes.txt").write_text("private")
    refused(as_indexed(library / "notes.txt"), library)


@pytest.mark.parametrize("stamp", [None, Stamp(5, 1), Stamp(4, 0)])
def test_only_the_file_that_was_indexed_is_served(library, stamp):
    clip = as_indexed(library / "deep" / "a.wav")
    assert "not the one that was indexed" in refused(ClipInfo("id", clip.path, 1, {}, stamp), library)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "socket", "device"])
def test_what_is_put_in_place_of_a_file_is_refused_at_once(library, tmp_path, monkeypatch, kind):
    path, begun = library / "deep" / "a.wav", time.monotonic()
    clip = as_indexed(path)
    path.unlink()
    if kind == "link":
        path.symlink_to(tmp_path / "library2" / "b.wav")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.chdir(path.parent)  # the path of a socket is short
        socket.socket(socket.AF_UNIX).bind("a.wav")
    n_open = len(os.listdir("/proc/self/fd"))
    refused(clip, library)
    assert time.monotonic() - begun < 5 and len(os.listdir("/proc/self/fd")) == n_open


@pytest.mark.parametrize("swap_folder", [False, True])
def test_a_link_that_appears_between_check_and_open_is_not_followed(library, tmp_path, monkeypatch, swap_folder):
    """The link is put in place after the path was resolved, which is the moment that an attacker waits for."""
    path, elsewhere = library / "deep" / "a.wav", tmp_path / "library2"
    (elsewhere / "a.wav").write_bytes(b"secret")
    clip = as_indexed(path)
    resolve = os.path.realpath

    def then_swapped(name, **options):
        real = resolve(name, **options)
        if swap_folder:
            path.parent.rename(library / "aside")
            path.parent.symlink_to(elsewhere)
        else:
            path.unlink()
            path.symlink_to(elsewhere / "a.wav")
        return real

    monkeypatch.setattr(clip_files.os.path, "realpath", then_swapped)
    assert "no longer exists" in refused(clip, library)


def test_a_collection_of_a_stranger_serves_nothing_until_its_folder_is_allowed(sounds, tmp_path):
    """Entries with right stamps that name existing sounds and other files, copied into a new collection."""
    encoder = ToyEncoder()
    with open_store(tmp_path / "own", "w", Identity.of(encoder, "toy")) as own:
        ingest([sounds], own, encoder)
        (first, *_) = own.iterate()
        secret = tmp_path / "secret.txt"
        secret.write_text("secret")
        status = secret.stat()
        stamp = str(Stamp(status.st_size, status.st_mtime_ns))
        evil = Entry(
            entry_id="evil#00000", clip_id="evil", path=str(secret), start_s=0, end_s=1, vector=first.vector,
            metadata={**first.metadata, "stamp": stamp},
        )  # fmt: skip
        with open_store(tmp_path / "copy", "w", own.identity) as copy:
            copy.add([first, evil])
            copy.save()
    with SearchEngine.open(tmp_path / "copy") as engine:
        for folders, expected in [((), {"evil": 404, first.clip_id: 404}),
                                  ((str(sounds),), {"evil": 404, first.clip_id: 200}),
                                  (("/",), {"evil": 404, first.clip_id: 200})]:  # fmt: skip
            app = create_app(engine, ServerSettings(allowed_folders=folders))
            with TestClient(app, "http://localhost") as client:
                for clip_id, status in expected.items():
                    assert client.get(f"/v1/clips/{clip_id}/audio").status_code == status
                    assert client.get(f"/v1/clips/{clip_id}/peaks").status_code == status


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("rain.wav", 'filename="rain.wav"'),
        ("tür.wav", "filename*=utf-8''t%C3%BCr.wav"),
        ("caf\udce9.wav", "filename*=utf-8''caf%C3%A9.wav"),
        ("two\nlines\x1b[31m.wav", "filename*=utf-8''two_lines_%5B31m.wav"),
        ('a"b;c.wav', "filename*=utf-8''a%22b%3Bc.wav"),
        ("\u202efdp.wav", 'filename="_fdp.wav"'),
        ("tu\u0308r.wav", "filename*=utf-8''t%C3%BCr.wav"),
        ("雨.wav", "filename*=utf-8''%E9%9B%A8.wav"),
    ],
)
def test_any_name_can_be_a_header(name, header):
    assert content_disposition("inline", name) == f"inline; {header}"


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None), ("", None), ("bytes=0-9", range(10)), ("BYTES = 0 - 9 ", range(10)),
        ("bytes=40-99", range(40, 50)), ("bytes=-60", range(50)), ("bytes=-1", range(49, 50)),
        ("bytes=5-4", None), ("bytes=-", None),
        ("bytes=0-1,3-4", None), ("items=0-1", None), ("bytes=٣-", None), ("bytes=0x1-", None), ("bytes=+1-", None),
    ],
)  # fmt: skip
def test_ranges(header, part):
    assert parse_range(header, 50) == part


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=50-", 50), ("bytes=-0", 50), ("bytes=0-", 0), ("bytes=99-99", 50)]
)
def test_ranges_after_the_end(header, size):
    with pytest.raises(Problem) as caught:
        parse_range(header, size)
    assert caught.value.status_code == 416 and caught.value.headers["Content-Range"] == f"bytes */{size}"
