"""Offer the search as tools of the Model Context Protocol, over standard input and output.

The program that starts this command (an editor, a chat client) calls the tools search, similar and clip, and keep,
unkeep, kept, save_search and export, which write to the library of projects and never to sound files. Needs the extra
mcp: pip install 'askaudio[mcp]'. Over HTTP the same tools are at /v1/mcp: askaudio serve --mcp.

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
    parser.add_argument("--person", default="", help="whose favourites and projects the tools keep")
    parser.add_argument("--collection", help="folder or address; default: $ASKAUDIO_COLLECTION or ~/.askaudio/...")


def run(args: argparse.Namespace) -> int:
    """Answer until the caller closes standard input."""
    from askaudio.engines.open import default_collection
    from askaudio.search.engine import SearchEngine
    from askaudio.server.kept_files import KeptFiles
    from askaudio.server.mcp_tools import make_mcp

    with contextlib.closing(SearchEngine.open(args.collection or default_collection())) as engine:
        files = KeptFiles()
        make_mcp(engine, library=lambda: files.kept(engine, args.person)).run("stdio")
        files.close()
    return 0
