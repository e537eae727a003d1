"""The search as four tools of the Model Context Protocol, so that language models and other programs can call it.

Optional (extra ``mcp``). ``askaudio serve --mcp`` offers them at ``/v1/mcp`` behind the same token, limits and line as
the rest of the API; ``askaudio mcp`` speaks over standard input and output to the program that started it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread

from askaudio import __version__
from askaudio.core.errors import AskAudioError
from askaudio.core.extras import require
from askaudio.core.types import Json
from askaudio.projects.kept import Kept
from askaudio.search.engine import SearchEngine
from askaudio.search.hits import ClipInfo, Hit
from askaudio.search.moments import ClipReader, read_clip
from askaudio.search.query import in_language, make_parts
from askaudio.server.duplicate_search import last_result
from askaudio.server.mcp_library import add_library_tools
from askaudio.server.problems import Problem, from_error
from askaudio.server.schemas import MAX_TEXT, MAX_TOP_K, MAX_WHERE, json_safe

PATH = "/v1/mcp"
MAX_MOMENTS_S = 600.0
_FACTS = ("duration_s", "sample_rate_hz", "channels", "format", "tags", "caption", "title", "description")
_INSTRUCTIONS = (
    "Search a collection of sounds by describing them. Filters look like: duration<3 and channels=2 and tag=rain. "
    "match is the probability in percent that a hit is right: 60 is strong; if all are under 20, nothing fits well."
)
Runner = Callable[[Callable[[], Any]], Awaitable[Any]]


def make_mcp(
    engine: SearchEngine,
    run: Runner = anyio.to_thread.run_sync,
    library: Callable[[], Kept] | None = None,
    read: ClipReader = read_clip,
) -> Any:
    """The tools ``search``, ``similar``, ``moments`` and ``clip`` over an open engine, and those of a library.

    Args:
        engine: Open engine; the caller closes it.
        run: How blocking work is run, such as ``Gate.run`` of the service.
        library: What a person keeps; None leaves those tools out.
        read: How moments read recordings.

    Returns:
        An ``mcp.server.MCPServer``: ``.run("stdio")``, or routes through ``streamable_http_app``.

    Raises:
        MissingExtraError: The package ``mcp`` is not installed.
    """
    tool_error = require("mcp.server.mcpserver.exceptions", "mcp").ToolError
    server = require("mcp.server", "mcp").MCPServer("askaudio", instructions=_INSTRUCTIONS, version=__version__)

    async def answer(work: Callable[[], Any]) -> Any:
        try:
            return await run(work)
        except Problem as problem:
            raise tool_error(problem.detail) from problem
        except AskAudioError as error:  # the message of the API; other exceptions are hidden by the package
            raise tool_error(from_error(error).detail) from error

    @server.tool()
    async def search(text: str, avoid: str = "", where: str = "", top_k: int = 10, language: str = "") -> list[Json]:
        """Find sounds by words. ``avoid`` names what hits should not sound like; ``where`` is a filter.

        ``language`` is a code such as "de"; without it, the language is found by the script and the words.
        """
        given = _short(text, MAX_TEXT), _short(avoid, MAX_TEXT) if avoid.strip() else None
        top_k, where = _bounded(top_k), _short(where, MAX_WHERE)

        def work() -> list[Hit]:
            parts = in_language(make_parts(given[0], avoid=given[1]), language)
            return engine.search(more=parts, top_k=top_k, where=where)

        return [hit_facts(hit) for hit in await answer(work)]

    @server.tool()
    async def similar(clip_id: str, where: str = "", top_k: int = 10) -> list[Json]:
        """Find sounds that sound like a stored one, by the clip_id of a hit."""
        work = functools.partial(engine.similar, clip_id, top_k=_bounded(top_k), where=_short(where, MAX_WHERE))
        return [hit_facts(hit) for hit in await answer(work)]

    @server.tool()
    async def moments(clip_id: str, text: str, longest_s: float = 60.0) -> Json:
        """Find the exact seconds inside a stored sound that match words, by the clip_id of a hit, best first."""
        seconds = max(1.0, min(MAX_MOMENTS_S, longest_s))
        work = functools.partial(engine.moments, [clip_id], _short(text, MAX_TEXT), longest_s=seconds, read=read)
        found: Json = (await answer(work))[0].to_json()
        return dict(json_safe({name: value for name, value in found.items() if name != "curve"}))

    @server.tool()
    async def duplicates(offset: int = 0, limit: int = 20) -> Json:
        """Groups of copies from the last search for duplicates: the file to keep, and its copies with reasons.

        A search is started on the page or with ``askaudio collection duplicates``. Nothing is deleted.
        """
        found = await answer(functools.partial(last_result, engine.store))
        if not found:
            raise tool_error("no search for duplicates yet; run: askaudio collection duplicates")
        first, most = max(0, offset), max(1, min(limit, 100))
        facts = {name: found.get(name) for name in ("found_at", "files", "copies", "copies_bytes")}
        groups = found["groups"]
        return dict(json_safe({**facts, "total_groups": len(groups), "groups": groups[first : first + most]}))

    @server.tool()
    async def clip(clip_id: str) -> Json:
        """Everything that is stored about a sound, by the clip_id of a hit."""
        found: ClipInfo = await answer(functools.partial(engine.clip, clip_id))
        return dict(json_safe(found.to_json()))

    if library is not None:
        add_library_tools(server, answer, library)
    return server


def mcp_app(server: Any) -> Any:
    """The tools over HTTP, without sessions: every request is independent, as in the rest of the API.

    ``Guard`` checks host, origin and token, so the check of the package is switched off.
    """
    security = require("mcp.server.transport_security", "mcp").TransportSecuritySettings
    return server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        transport_security=security(enable_dns_rebinding_protection=False),
    )


def hit_facts(hit: Hit) -> Json:
    """A hit as everywhere, but with the most useful facts only: a language model reads, and pays for, all of them."""
    facts = {name: hit.metadata[name] for name in _FACTS if name in hit.metadata}
    return dict(json_safe({**hit.to_json(), "metadata": facts}))


def _short(text: str, most: int) -> str:
    if len(text) > most:
        raise require("mcp.server.mcpserver.exceptions", "mcp").ToolError(
            f"a text of {len(text)} characters is too long; at most {most}"
        )
    return text


def _bounded(top_k: int) -> int:
    return max(1, min(MAX_TOP_K, top_k))
