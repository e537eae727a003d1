"""The ReaScript without REAPER: its parts in a plain Lua interpreter, and all of it against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from askaudio.search.engine import SearchEngine
from live import live_server
from sound_folder import SoundFolder

FOLDER = Path(__file__).resolve().parents[2] / "packaging" / "reaper"
MOCK = Path(__file__).with_name("reaper_mock.lua")
LUA = shutil.which("lua5.4") or shutil.which("lua5.3") or shutil.which("lua")
TOKEN = 'a"token\\of-24-characters'
pytestmark = pytest.mark.skipif(LUA is None, reason="no Lua interpreter on this machine: apt-get install lua5.4")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")


def lua(code: str, *arguments: str) -> str:
    """Output of a piece of Lua that has the client as ``client``."""
    head = f"local client = dofile({json.dumps(str(FOLDER / 'askaudio_client.lua'))})\n"
    done = subprocess.run([LUA, "-", *arguments], input=head + code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -2.5, 1e3, True, False], "b": {"c": "x"}},
        [],
        {},
        'ünï \U0001f600 " \\ / \b\f\n\r\t',
        ["a", ["b"]],
        0,
        "",
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_is_read(value, ascii_only):
    dump = (
        "local function dump(v) if type(v) ~= 'table' then "
        "return type(v) == 'string' and '<' .. v .. '>' "
        "or (math.type(v) and string.format('%g', v) or tostring(v)) end "
        "local keys = {} for k in pairs(v) do keys[#keys + 1] = k end "
        "table.sort(keys, function(a, b) return tostring(a) < tostring(b) end) "
        "local parts = {} for _, k in ipairs(keys) do parts[#parts + 1] = k .. '=' .. dump(v[k]) end "
        "return '{' .. table.concat(parts, ',') .. '}' end io.write(dump(client.decode(arg[1])))"
    )

    def expected(v):
        if isinstance(v, bool):
            return str(v).lower()
        if isinstance(v, str):
            return f"<{v}>"
        if isinstance(v, int | float):
            return f"{v:g}"
        pairs = sorted((str(k), x) for k, x in (v.items() if isinstance(v, dict) else enumerate(v, 1)))
        return "{" + ",".join(f"{k}={expected(x)}" for k, x in pairs) + "}"

    done = lua(dump, json.dumps(value, ensure_ascii=ascii_only))
    assert done == expected(value).replace("\r", "\n") or done == expected(value)


@pytest.mark.parametrize("text", ["", "{", "[1,]", '{"a" 1}', '"x', "tru", "1 2", '"\\x"', "<html>"])
def test_what_is_no_json_is_an_error(text):
    assert lua("print(pcall(client.decode, arg[1]))", text).startswith("false\tthe answer is no JSON at character")


def test_requests_hold_no_character_with_a_meaning():
    code = (
        "local s = {server = 'http://127.0.0.1:8765', token = 'x\"y'}\n"
        "print(client.search_url(s, 'rain & \"wind\" ü', 'duration<3'))\n"
        "print(client.curl_config(s, 'http://a/b', '/tmp/a\"b'))"
    )
    url, *config = lua(code).splitlines()
    assert url == "http://127.0.0.1:8765/v1/search?top_k=20&q=rain%20%26%20%22wind%22%20%C3%BC&where=duration%3C3"
    assert 'header = "Authorization: Bearer x\\"y"' in config and 'output = "/tmp/a\\"b"' in config


def test_labels_and_parts():
    hit = "{path = 'C:\\\\fx\\\\a|b.wav', match = 71.6, start_s = 61, end_s = 62.5, metadata = {duration_s = 90}}"
    code = f"local h = {hit}\nprint(client.label_of(h)) print(client.part_of(h)) h.start_s, h.end_s = 0, 90\n"
    code += "print(client.part_of(h)) print(client.safe_name('../a:b?.wav'))"
    assert lua(code).splitlines() == ["a b.wav   72   1:01.0-1:02.5", "61\t1.5", "nil", "__a_b_.wav"]


# --- against a server -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> SoundFolder:
    made = SoundFolder(tmp_path_factory.mktemp("reaper").resolve())
    made.write("rain on roof.wav", 300.0, seconds=2.0)
    made.write("door.wav", 700.0)
    made.index()
    return made


@pytest.fixture(scope="module")
def server(library: SoundFolder) -> Iterator[str]:
    with SearchEngine.open(library.collection) as engine, live_server(engine, token=TOKEN) as address:
        yield address


def run_script(
    server: str, words: str, project: Path, where: str = "", place: int = 1, token: str = TOKEN
) -> list[str]:
    script = str(FOLDER / "askaudio_search.lua")
    environment = {**os.environ, "ASKAUDIO_TEST_TOKEN": token}
    done = subprocess.run([LUA, str(MOCK), script, server, words, where, str(place), str(project)],
                          capture_output=True, text=True, env=environment, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_curl
def test_a_sound_is_searched_and_inserted_at_the_cursor(server, library, tmp_path):
    lines = run_script(server, "rain on roof", tmp_path)
    assert lines[0].startswith("menu\train on roof.wav   ") and lines[1].startswith("menu\tdoor.wav")
    assert lines[2:] == [
        f"source\t{library.sounds / 'rain on roof.wav'}", "item on\ttrack", "P_NAME\train on roof.wav",
        "D_STARTOFFS\t0.000", "D_POSITION\t10.000", "D_LENGTH\t7.000", "cursor\t17.000",
        "undo\taskaudio: insert rain on roof.wav",
    ]  # fmt: skip


@needs_curl
def test_a_sound_of_another_machine_is_copied_to_the_project(server, library, tmp_path):
    script = tmp_path / "askaudio_search.lua"
    for name in ("askaudio_search.lua", "askaudio_client.lua"):
        shutil.copy(FOLDER / name, tmp_path / name)
    text = script.read_text().replace("if exists(hit.path) then return hit.path end", "")
    script.write_text(text)
    environment = {**os.environ, "ASKAUDIO_TEST_TOKEN": TOKEN}
    command = [LUA, str(MOCK), str(script), server, "door", "duration<1", "1", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert f"source\t{tmp_path}/door.wav" in done.stdout
    assert (tmp_path / "door.wav").read_bytes() == (library.sounds / "door.wav").read_bytes()


@needs_curl
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"token": "wrong"}, "asks for a token"),
        ({"where": "duration<"}, "filter"),
        ({"where": "duration>9"}, "nothing found"),
        ({"server": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_errors_are_shown_and_nothing_is_inserted(server, tmp_path, options, says):
    options = {"server": server, **options}
    lines = run_script(options.pop("server"), "rain", tmp_path, **options)
    assert [line.split("\t")[0] for line in lines] == ["message"] and says in lines[0]


@needs_curl
def test_a_closed_menu_inserts_nothing(server, tmp_path):
    assert {line.split("\t")[0] for line in run_script(server, "rain", tmp_path, place=0)} == {"menu"}
