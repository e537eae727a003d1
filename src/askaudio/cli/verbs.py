"""Commands with verbs, such as ``askaudio data check``: a package with one module for each verb."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from types import ModuleType


def module_of(package: str, verb: str) -> ModuleType:
    """The module of a verb.

    Args:
        package: Of the command, such as ``askaudio.cli.data``.
        verb: Name of the verb.
    """
    return importlib.import_module(f"{package}.{verb.replace('-', '_')}")


def add_verbs(parser: argparse.ArgumentParser, package: str, verbs: Sequence[str]) -> None:
    """Add a sub-command for each verb; their modules import nothing heavy.

    Args:
        parser: Of the command.
        package: Of the command, such as ``askaudio.cli.data``.
        verbs: Names of the verbs.
    """
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in verbs:
        module = module_of(package, verb)
        sub = commands.add_parser(
            verb,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # SUPPRESS: a sub-command without --json must not undo `askaudio data --json VERB`
        text = "print one JSON value to standard output"
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=text)
        module.add_arguments(sub)
