"""The command line: one file a subcommand, loaded only when it is called, so that ``--help`` is instant.

A command module has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(args) -> int``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from askaudio import __version__
from askaudio.core.errors import AskAudioError

# name -> one line for the top-level help; the module of the same name is imported only when it is called.
COMMANDS = {
    "demo": "make sounds, train, evaluate, index and search, with nothing but this package",
    "index": "add the sounds of folders to a collection",
    "search": "find sounds by words or by a sound",
    "serve": "open the search page and the API",
    "mcp": "offer the search as tools to programs that speak MCP",
    "train": "train a dual encoder from a recipe",
    "evaluate": "score a model, embeddings or a run file",
    "compare": "compare runs with paired intervals",
    "data": "make, check and clean captioned sound libraries",
    "collection": "show, check, repair or snapshot a collection",
    "copy": "copy a collection to another store",
    "models": "list models, show their cards, fetch the ones that are not shipped",
    "export": "write a checkpoint as ONNX for search without torch",
    "diagnose": "measure whether batch size limits training on your data",
    "bench": "measure speed on this machine",
    "doctor": "check this machine and say how to fix what is missing",
}

EXAMPLES = """examples:
  askaudio demo                                   the whole product in five minutes, offline
  askaudio index ~/sounds                         make ~/sounds searchable
  askaudio search "metal door slams in a hall"    ask for a sound
  askaudio serve                                  the same in a browser
"""


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS)) + 2
    lines = "\n".join(f"  {name:<{width}}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="askaudio",
        description="Find any sound by describing it.",
        epilog=f"commands:\n{lines}\n\n{EXAMPLES}\nRun askaudio COMMAND --help for more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"askaudio {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    return parser


def _command_parser(name: str) -> tuple[argparse.ArgumentParser, object]:
    module = importlib.import_module(f"askaudio.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"askaudio {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON value to standard output")
    module.add_arguments(parser)
    return parser, module


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 failed check, 2 wrong input, 130 interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    top = _top_parser()
    if not arguments:
        top.print_help()
        return 0
    name = top.parse_args(arguments[:1]).command
    parser, module = _command_parser(name)
    args = parser.parse_args(arguments[1:])
    try:
        return int(module.run(args))  # type: ignore[attr-defined]
    except AskAudioError as error:
        if args.json:
            sys.stdout.write(json.dumps({"error": type(error).__name__, "message": str(error)}) + "\n")
        sys.stderr.write(f"askaudio {name}: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"askaudio {name}: interrupted\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
