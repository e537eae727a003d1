"""Make, check and clean captioned sound libraries.

A data set is named by one string:
  library/manifest.jsonl, captions.csv, FOLDER        your own sounds (sidecar .txt/.json, or names as captions)
  audiocaps:ROOT, clotho:ROOT                         official layouts; audiocaps:ROOT?version=v2&split=test
  hf:FOLDER, wds:FOLDER                               saved Hugging Face data sets or parquet, webdataset tars
Any of them takes ?split=train,val and ?list=FILE (keep the clips that a file names). Nothing is downloaded.

Examples:
  askaudio data scenes library                        make a library of scenes with captions
  askaudio data info audiocaps:/data/AudioCaps        clips, captions, missing files
  askaudio data check clotho:/data/clotho             errors, odd captions, leaks between splits
  askaudio data suspects my.csv --tower mn04_as.onnx  captions that probably belong to another sound
  askaudio data near-misses captions.csv              texts that are almost right, to test or train with
  askaudio data convert my.csv clean/manifest.jsonl --without no_clotho_test=clotho:/data/clotho

askaudio data VERB --help says more.
"""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType

HELP = "make, check and clean captioned sound libraries"
VERBS = ("scenes", "info", "check", "suspects", "near-misses", "convert")


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"askaudio.cli.data.{verb.replace('-', '_')}")


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
        # SUPPRESS: a sub-command without --json must not undo `askaudio data --json VERB`
        text = "print one JSON value to standard output"
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=text)
        module.add_arguments(sub)


def run(args: argparse.Namespace) -> int:
    """Run a verb."""
    return int(_module(args.verb).run(args))
