"""Getting models: written atomically, recognised by content, resumed, over https only; and opening what was pulled."""

import hashlib
import http.server
import threading
import urllib.request
from dataclasses import replace

import numpy as np
import pytest

from askaudio.core.errors import ConfigError, ModelError
from askaudio.encoders import load as build
from askaudio.encoders import registry
from askaudio.encoders.pull import open_https, pull, pull_from
from askaudio.encoders.registry import EFFICIENTAT, MODELS, Model, RemoteFile, find_model

CONTENT = np.random.default_rng(0).bytes(300_000)


def row(name: str, url: str = "https://example.org/one", content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(name, url, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model of two files, with an empty models folder."""
    monkeypatch.setenv("ASKAUDIO_MODELS", str(tmp_path / "models"))
    return Model("tried", "for tests", "none", "none", files=(row("one.bin"), row("two.bin", content=CONTENT[::-1])))


@pytest.fixture
def server():
    """A local server that knows ranges, notes what it is asked for, and can break off after some bytes."""
    asked: list[str] = []
    state = {"limit": None, "ranges": True, "body": {"/one": CONTENT, "/two": CONTENT[::-1]}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(f"{self.path} {self.headers.get('Range')}")
            body, start = state["body"][self.path], 0
            if state["ranges"] and self.headers.get("Range"):
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start:][: state["limit"]])

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.server_port}"
    files = (row("one.bin", f"{address}/one"), row("two.bin", f"{address}/two", CONTENT[::-1]))
    yield files, state, asked
    running.shutdown()
    running.server_close()


def plain(url, headers):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10)


def test_all_files_arrive_once(model, server):
    files, _, asked = server
    model = replace(model, files=files)
    told = []
    pull(model, lambda done, total, note="": told.append((done, total, note)), plain)
    assert (model.folder / "one.bin").read_bytes() == CONTENT
    assert (model.folder / "two.bin").read_bytes() == CONTENT[::-1]
    assert sorted(path.name for path in model.folder.iterdir()) == ["one.bin", "two.bin"]
    assert model.is_installed() and told[-1] == (1, 1, "two.bin")
    assert pull(model, open_url=plain) == [] and len(asked) == 2
    (model.folder / "one.bin").write_bytes(CONTENT[::-1])  # damaged, of the same size: asked for again
    assert pull(model, open_url=plain) == [model.folder / "one.bin"]
    assert (model.folder / "one.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(model, server, ranges):
    files, state, asked = server
    model = replace(model, files=files[:1])
    state["limit"] = 100_000
    with pytest.raises(ModelError, match=r"again to continue it.*--from FOLDER"):
        pull(model, open_url=plain)
    assert not model.is_installed()
    state["limit"], state["ranges"] = None, ranges
    pull(model, open_url=plain)
    assert asked == ["/one None", "/one bytes=100000-"]
    assert (model.folder / "one.bin").read_bytes() == CONTENT


def test_other_content_is_not_kept(model, server):
    files, state, _ = server
    model = replace(model, files=files[:1])
    state["body"]["/one"] = CONTENT[:-1] + b"\0"
    with pytest.raises(ModelError, match="returned a file with the checksum"):
        pull(model, open_url=plain)
    assert list(model.folder.iterdir()) == []


def test_only_https():
    with pytest.raises(ModelError, match="is not https"):
        open_https("http://example.org/file", {})
    from askaudio.encoders.pull import _OnlyHttps

    with pytest.raises(ModelError, match="is not https"):
        _OnlyHttps().redirect_request(urllib.request.Request("https://a.org"), None, 302, "", {}, "http://a.org")


def test_from_a_folder_by_content(model, tmp_path):
    (tmp_path / "usb" / "deep").mkdir(parents=True)
    (tmp_path / "usb" / "deep" / "whatever.name").write_bytes(CONTENT)
    (tmp_path / "usb" / "one.bin").write_bytes(CONTENT[:-1] + b"\0")  # right name and size, other content
    with pytest.raises(ModelError, match=r"(?s)lacks files of tried.*two\.bin: 300000 bytes"):
        pull_from(model, tmp_path / "usb")
    assert not model.folder.exists()
    (tmp_path / "usb" / "other").write_bytes(CONTENT[::-1])
    assert len(pull_from(model, tmp_path / "usb")) == 2
    assert model.is_installed() and (model.folder / "one.bin").read_bytes() == CONTENT
    with pytest.raises(ModelError, match="does not exist"):
        pull_from(model, tmp_path / "missing")


def test_from_a_file(model, tmp_path):
    (tmp_path / "single").write_bytes(CONTENT)
    one = replace(model, files=model.files[:1])
    assert pull_from(one, tmp_path / "single") == [one.folder / "one.bin"]


def test_rows_are_sound():
    assert list(MODELS) == ["small", "efficientat", "clap"]
    for model in MODELS.values():
        assert model.licence and model.languages and model.about
        for file in model.files:
            assert file.url.startswith("https://") and len(file.sha256) == 64 and file.size_bytes > 0
        assert set(build.NAMED) > {model.name}
    with pytest.raises(ConfigError, match="known are small, efficientat, clap"):
        find_model("clapp")


def test_what_is_not_there_says_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAUDIO_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="askaudio models pull clap --from FOLDER"):
        build.load("clap")
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path)
    for name in ("small", "efficientat"):
        with pytest.raises(ModelError, match=f"built without the weights of {name}"):
            build.load(name)
    with pytest.raises(ConfigError, match="takes no options"):
        build.load("clap:large")


def test_small_is_the_shipped_folder(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path)
    (tmp_path / "small").symlink_to(tiny_folder)
    assert build.load("small").fingerprint == build.load(f"onnx:{tiny_folder}").fingerprint
    assert registry.SMALL.embed_dim == 8 and registry.SMALL.is_installed() and registry.SMALL.size_bytes > 1000


@pytest.mark.shared
def test_efficientat_from_the_authors_file(shared, tiny_folder, tmp_path, monkeypatch):
    """The pinned checksum is that of the published file; opened, it is checked again."""
    monkeypatch.setenv("ASKAUDIO_MODELS", str(tmp_path / "models"))
    pull_from(EFFICIENTAT, shared / "models/efficientat_mn04")
    assert EFFICIENTAT.missing() == []
    place = EFFICIENTAT.folder / EFFICIENTAT.files[0].name
    damaged = bytearray(place.read_bytes())
    damaged[1000] ^= 1
    place.write_bytes(bytes(damaged))
    monkeypatch.setattr(registry, "PACKAGE_FOLDER", tmp_path)
    (tmp_path / "efficientat_head").mkdir()
    for file in ("text.onnx", "tokenizer.json"):
        (tmp_path / "efficientat_head" / file).symlink_to(tiny_folder / file)
    (tmp_path / "efficientat_head" / "head.onnx").symlink_to(tiny_folder / "audio.onnx")
    settings = (tiny_folder / "encoder.json").read_text().replace("audio.onnx", "head.onnx")
    (tmp_path / "efficientat_head" / "encoder.json").write_text(settings)
    with pytest.raises(ModelError, match="is damaged"):
        build.load("efficientat")


def test_specs_as_collections_remember_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "small").mkdir()  # a folder does not take a model's name away
    assert build.settled("small") == "small" and build.settled("toy:dim=8") == "toy:dim=8"
    assert build.settled("mine") == str(tmp_path / "mine")
    assert build.settled("onnx:mine") == f"onnx:{tmp_path / 'mine'}"
    assert build.settled("hf:laion/clap-htsat-unfused") == "hf:laion/clap-htsat-unfused"
