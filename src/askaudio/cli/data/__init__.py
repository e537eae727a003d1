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

from askaudio.cli.verbs import add_verbs, module_of

HELP = "make, check and clean captioned sound libraries"
VERBS = ("scenes", "info", "check", "suspects", "near-misses", "convert")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command per verb."""
    add_verbs(parser, __name__, VERBS)


def run(args: argparse.Namespace) -> int:
    """Run a verb."""
    return int(module_of(__name__, args.verb).run(args))
