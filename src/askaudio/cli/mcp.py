"""Offer the search as tools of the Model Context Protocol, over standard input and output.

The program that starts this command (an editor, a chat client) calls the tools search, similar and clip. Needs the
extra mcp: pip install 'askaudio[mcp]'. Over HTTP the same tools are at /v1/mcp: askaudio serve --mcp.

Examples:
  askaudio mcp                                the default collection
  askaudio mcp --collection ~/fx
  {"command": "askaudio", "args": ["mcp", "--collection", "/home/me/fx"]}
                                              the entry that most clients need in their settings
"""

from __future__ import annotations

import argparse
import contextlib

HELP = "offer the search as tools to programs that speak MCP"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio mcp``."""
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")


def run(args: argparse.Namespace) -> int:
    """Answer until the caller closes standard input."""
    from askaudio.engines.open import default_collection
    from askaudio.search.engine import SearchEngine
    from askaudio.server.mcp_tools import make_mcp

    with contextlib.closing(SearchEngine.open(args.collection or default_collection())) as engine:
        make_mcp(engine).run("stdio")
    return 0
