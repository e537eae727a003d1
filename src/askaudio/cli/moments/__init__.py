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

from askaudio.cli.verbs import add_verbs, module_of

HELP = "score moments: stretches of recordings that answer a query"
VERBS = ("evaluate",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command per verb."""
    add_verbs(parser, __name__, VERBS)


def run(args: argparse.Namespace) -> int:
    """Run a verb."""
    return int(module_of(__name__, args.verb).run(args))
