"""The MCP tools, called by the package's own client: in this process, and over HTTP through the guard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from askaudio.cli import main
from askaudio.search.engine import SearchEngine
from askaudio.search.query import AVOID_WEIGHT
from askaudio.server.settings import ServerSettings
from layouts import RATE_HZ, texture

mcp = pytest.importorskip("mcp", reason="needs the extra mcp: pip install 'askaudio[mcp]'")

from askaudio.server.mcp_tools import make_mcp  # noqa: E402


def with_client(engine: SearchEngine, talk: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with mcp.Client(make_mcp(engine)) as client:
            return await talk(client)

    return asyncio.run(run())


def test_the_tools_are_described(engine: SearchEngine) -> None:
    tools = with_client(engine, lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == ["search", "similar", "moments", "duplicates", "clip"]
    assert all(tool.description for tool in tools)
    assert set(tools[0].input_schema["properties"]) == {"text", "avoid", "where", "top_k", "language"}
    assert tools[0].input_schema["required"] == ["text"]


def test_search_then_similar_then_clip(engine: SearchEngine) -> None:
    async def talk(client: Any) -> tuple[Any, Any, Any]:
        hits = await client.call_tool("search", {"text": "siren", "top_k": 3, "where": "duration>1"})
        clip_id = hits.structured_content["result"][0]["clip_id"]
        near = await client.call_tool("similar", {"clip_id": clip_id, "top_k": 2})
        return hits, near, await client.call_tool("clip", {"clip_id": clip_id})

    hits, near, clip = with_client(engine, talk)
    found = hits.structured_content["result"]
    first = engine.search("siren", top_k=1)[0]
    assert {**found[0], "metadata": None} == {**first.to_json(), "metadata": None}
    assert found[0]["metadata"]["duration_s"] == first.metadata["duration_s"]
    assert first.clip_id not in {hit["clip_id"] for hit in near.structured_content["result"]}
    known = clip.structured_content
    assert known.get("result", known)["metadata"]["duration_s"] == 30.0


def test_duplicates_are_those_of_the_last_search(tmp_path: Path) -> None:
    for name, gain in (("a", 0.5), ("b", 0.25)):
        soundfile.write(tmp_path / f"{name}.wav", gain * texture(1), RATE_HZ)
    with SearchEngine.build(tmp_path, tmp_path / "collection", "toy") as engine:
        before = with_client(engine, lambda client: client.call_tool("duplicates", {}))
        assert before.is_error and "askaudio collection duplicates" in before.content[0].text
        assert main(["collection", "duplicates", "--collection", str(tmp_path / "collection")]) == 0
        found = with_client(engine, lambda client: client.call_tool("duplicates", {"limit": 1})).structured_content
    groups = found.get("result", found)["groups"]
    assert [copy["reasons"] for copy in groups[0]["copies"]] == [["level -6.0 dB"]]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("clip", {"clip_id": "unknown"}, "no clip of this id"),
        ("similar", {"clip_id": "unknown"}, "no clip of this id"),
        ("search", {"text": "bell", "where": "duration<"}, "filter"),
        ("search", {"text": "x" * 501}, "too long"),
        ("search", {"text": " "}, "empty"),
    ],
)
def test_wrong_calls_are_told_what_is_wrong(engine: SearchEngine, tool: str, arguments: dict, says: str) -> None:
    answer = with_client(engine, lambda client: client.call_tool(tool, arguments))
    assert answer.is_error
    assert says in answer.content[0].text
    assert "/" not in answer.content[0].text  # no path of this machine


def test_the_same_words_give_the_same_hits_everywhere(
    engine: SearchEngine, collection: Path, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words, avoid = "low hum", "white noise"
    arguments = {"text": words, "avoid": avoid, "top_k": 6}
    by_mcp = with_client(engine, lambda client: client.call_tool("search", arguments)).structured_content["result"]
    by_api = client.get("/v1/search", params={"q": words, "avoid": avoid, "top_k": 6}).json()["hits"]
    sent = {"parts": [{"value": words}, {"value": avoid, "weight": -AVOID_WEIGHT}], "top_k": 6}
    sent["parts"] = [{"kind": "text", **part} for part in sent["parts"]]
    command = ["search", words, "--not", avoid, "--top", "6", "--collection", str(collection), "--json"]
    assert main(command) == 0
    by_shell = json.loads(capsys.readouterr().out)
    in_python = [hit.to_json() for hit in engine.search(words, avoid=avoid, top_k=6)]
    assert by_shell == by_api == client.post("/v1/search", json=sent).json()["hits"] == in_python
    assert [{**hit, "metadata": 0} for hit in by_mcp] == [{**hit, "metadata": 0} for hit in in_python]
    assert [hit["match"] for hit in in_python] != [hit.match for hit in engine.search(words, top_k=6)]


def test_over_http_behind_the_token(make_client: Callable[..., Any]) -> None:
    client = make_client(mcp=True, token="a-token-of-some-length")
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "search", "arguments": {"text": "bell", "top_k": 1}}}  # fmt: skip
    headers = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer a-token-of-some-length"}
    assert client.post("/v1/mcp", json=call, headers={"Accept": headers["Accept"]}).status_code == 401
    assert client.post("/v1/mcp", json=call, headers={**headers, "Host": "evil.example"}).status_code == 421
    answer = client.post("/v1/mcp", json=call, headers=headers)
    assert answer.status_code == 200, answer.text
    assert "bell.wav" in json.dumps(answer.json()["result"])
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_the_option_there_is_nothing(make_client: Callable[..., Any]) -> None:
    assert ServerSettings().mcp is False
    assert make_client().post("/v1/mcp", json={}).status_code in (404, 405)


# --- the library ------------------------------------------------------------------------------------------------


@pytest.fixture
def library(engine: SearchEngine, tmp_path: Path) -> Callable[[], Any]:
    from askaudio.projects.database import Database
    from askaudio.projects.kept import Kept

    database = Database(tmp_path / "projects.sqlite")
    return lambda: Kept(database, engine.store)


def call(engine: SearchEngine, library: Callable[[], Any], tool: str, **arguments: object) -> Any:
    async def run() -> Any:
        async with mcp.Client(make_mcp(engine, library=library)) as client:
            return await client.call_tool(tool, arguments)

    answer = asyncio.run(run())
    if answer.is_error:
        return answer.content[0].text
    known = answer.structured_content
    return known.get("result", known)


def test_the_tools_of_the_library_are_described(engine: SearchEngine, library: Callable[[], Any]) -> None:
    async def run() -> Any:
        async with mcp.Client(make_mcp(engine, library=library)) as client:
            return (await client.list_tools()).tools

    names = [tool.name for tool in asyncio.run(run())]
    assert names[-5:] == ["keep", "unkeep", "kept", "save_search", "export"]


def test_keep_list_export_and_remove(engine: SearchEngine, library: Callable[[], Any]) -> None:
    clip = engine.search("siren", top_k=1)[0].clip_id
    assert call(engine, library, "keep", clip_id=clip) == {"kept": "favourite"}
    added = call(engine, library, "keep", clip_id=clip, project="Film", note="cue", start_s=0.1, end_s=0.4)
    assert added == {"kept": "Film", "added": 1}
    assert call(engine, library, "save_search", name="s", text="siren")["query"] == {"q": ["siren"]}
    kept = call(engine, library, "kept")
    assert [len(kept[part]) for part in ("favourites", "projects", "searches")] == [1, 1, 1]
    (sound,) = call(engine, library, "kept", project="Film")["sounds"]
    assert (sound["clip_id"], sound["start_s"], sound["note"]) == (clip, 0.1, "cue")
    text = call(engine, library, "export", kind="rpp", project="Film")["text"]
    assert text.startswith("<REAPER_PROJECT") and "SOFFS 0.1" in text
    assert call(engine, library, "unkeep", clip_id=clip, project="Film") == {"removed": 1}
    assert call(engine, library, "unkeep", clip_id=clip) == {"removed": 1}


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("keep", {"clip_id": "nothing"}, "no clip of this id"),
        ("keep", {"clip_id": "x", "note": "n"}, "name a project"),
        ("kept", {"project": "nothing"}, "no project 'nothing'"),
        ("export", {"kind": "zip"}, "expected one of m3u"),
        ("save_search", {"name": "", "text": "x"}, "expected one line"),
    ],
)
def test_wrong_calls_of_the_library(
    engine: SearchEngine, library: Callable[[], Any], tool: str, arguments: dict, says: str
) -> None:
    assert says in call(engine, library, tool, **arguments)
