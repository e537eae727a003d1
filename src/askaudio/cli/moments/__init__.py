"""Score moments that any system found.

A moment is a stretch of a recording that answers a query. To find moments in a collection: askaudio search --moments

Examples:
  askaudio moments evaluate run.jsonl --truth castella/en/test.json     CASTELLA's own file
  askaudio moments evaluate run.jsonl --truth test_release.jsonl        JSON lines of the DCASE task
  askaudio moments evaluate run.jsonl --truth moments.jsonl --json      generated recordings, by length and level

askaudio moments VERB --help says more.
"""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType

HELP = "score moments: stretches of recordings that answer a query"
VERBS = ("evaluate",)


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"askaudio.cli.moments.{verb}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command per verb; their modules import nothing heavy."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        module = _module(verb)
        sub = verbs.add_parser(
            verb,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        text = "print one JSON value to standard output"
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=text)
        module.add_arguments(sub)


def run(args: argparse.Namespace) -> int:
    """Run a verb."""
    return int(_module(args.verb).run(args))
