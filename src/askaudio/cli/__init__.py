"""The command line: one file a subcommand, loaded only when it is called, so that ``--help`` is instant.

A command module has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(args) -> int``.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from askaudio import __version__
from askaudio.cli.output import emit_json, prepare_streams, warn
from askaudio.core.errors import AskAudioError, CollectionNotFoundError, MissingExtraError

# name -> one line for the top-level help; the module of the same name is imported only when it is called.
COMMANDS = {
    "demo": "make sounds, index, search, train and evaluate, with nothing but this package",
    "index": "add the sounds of folders to a collection",
    "search": "find sounds by words or by a sound",
    "keep": "keep favourites, projects, notes and searches",
    "deliver": "take sounds out: copies, ZIP, playlist, table, timeline, REAPER, credits",
    "serve": "open the search page and the API",
    "mcp": "offer the search as tools to programs that speak MCP",
    "train": "train a dual encoder from a recipe",
    "table": "train recipes with and without ASK, score and compare them",
    "evaluate": "score a model, embeddings or a run file",
    "compare": "compare runs with paired intervals",
    "moments": "score moments: stretches of recordings that answer a query",
    "data": "make, check and clean captioned sound libraries",
    "collection": "show, check, repair or snapshot a collection",
    "tag": "propose UCS categories and key words, write them and rename files",
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


class _Parser(argparse.ArgumentParser):
    """A parser that names the nearest command, option or choice for one that it does not know."""

    def error(self, message: str) -> NoReturn:
        known = [*self._option_string_actions, *(str(c) for action in self._actions for c in action.choices or ())]
        unknown = re.findall(r"invalid choice: '([^']*)'|(?<!\S)(--?[a-zA-Z][\w-]*)", message.partition("(choose")[0])
        near = [get_close_matches(word or option, known, 1) for word, option in unknown]
        names = ", ".join(dict.fromkeys(name for found in near for name in found if name not in message.split()))
        super().error(message + (f"; did you mean {names}?" if names else ""))


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS)) + 2
    lines = "\n".join(f"  {name:<{width}}{text}" for name, text in COMMANDS.items())
    parser = _Parser(
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
    parser = _Parser(
        prog=f"askaudio {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON value to standard output")
    module.add_arguments(parser)
    return parser, module


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 failed check, 2 wrong input, 130 interrupted)."""
    prepare_streams()
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
        return _report(name, error, args.json)
    except ImportError as error:
        return _report(name, _missing_extra(error), args.json)
    except KeyboardInterrupt:
        warn(f"askaudio {name}: interrupted")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _report(name: str, error: AskAudioError, as_json: bool) -> int:
    message = str(error)
    if isinstance(error, CollectionNotFoundError) and (near := _nearest_collection(error.url)):
        message += f"; did you mean --collection {near}?"
    if as_json:
        emit_json({"error": type(error).__name__, "message": message})
    warn(f"askaudio {name}: {message}")
    return 2


def _missing_extra(error: ImportError) -> MissingExtraError:
    """The error with the pip line for a package of an extra that is not installed; any other fault is a bug."""
    from askaudio.cli.doctor import EXTRAS

    package = (error.name or "").partition(".")[0]
    extra = next((name for name, (modules, _) in EXTRAS.items() if package in modules), None)
    if extra is None:
        raise error
    return MissingExtraError(f"{package} is needed here ({error}). Install it with: pip install 'askaudio[{extra}]'")


def _nearest_collection(url: str) -> Path | None:
    """A collection beside the folder that a user named, with a similar name."""
    folder = Path(url.removeprefix("lance:").removeprefix("exact:")).expanduser()
    try:
        beside = [path.parent.name for path in folder.parent.glob("*/collection.json")]
    except OSError:
        return None
    near = get_close_matches(folder.name, beside, 1)
    return folder.with_name(near[0]) if near else None
