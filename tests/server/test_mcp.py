"""The MCP tools, called by the package's own client: in this process, and over HTTP through the guard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from askaudio.search.engine import SearchEngine
from askaudio.server.settings import ServerSettings

mcp = pytest.importorskip("mcp", reason="needs the extra mcp: pip install 'askaudio[mcp]'")

from askaudio.server.mcp_tools import make_mcp  # noqa: E402


def with_client(engine: SearchEngine, talk: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with mcp.Client(make_mcp(engine)) as client:
            return await talk(client)

    return asyncio.run(run())


def test_the_three_tools_are_described(engine: SearchEngine) -> None:
    tools = with_client(engine, lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == ["search", "similar", "clip"]
    assert all(tool.description for tool in tools)
    assert set(tools[0].input_schema["properties"]) == {"text", "avoid", "where", "top_k"}
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
    assert (found[0]["path"], found[0]["start_s"], found[0]["match"]) == (first.path, first.start_s, first.match)
    assert first.clip_id not in {hit["clip_id"] for hit in near.structured_content["result"]}
    known = clip.structured_content
    assert known.get("result", known)["metadata"]["duration_s"] == 30.0


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
