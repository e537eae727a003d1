"""Train a dual encoder from a recipe into a run folder that search and evaluate open at once.

The run folder holds the resolved recipe (recipe.yaml), the best epoch's weights by validation (weights.safetensors),
every epoch's scores (metrics.json), what a killed run resumes from (state/), and an encoder that needs no torch
(encoder/). Features of frozen towers are computed once and shared between runs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from askaudio.cli.output import emit_json, progress_bar, say

HELP = "train a dual encoder from a recipe"

EXAMPLES = """examples:
  askaudio train sounds data.manifest=../shared/data/sounds/manifest.jsonl \\
      model.audio_weights=../shared/models/efficientat_mn04/mn04_as.onnx
  askaudio train demo data.manifest=demo/library/manifest.jsonl train.epochs=5 --out runs/try
  askaudio train demo data.manifest=~/captioned knowledge=ask train.batch_size=24
  askaudio train runs/try --resume                go on after a kill, with the recipe it was begun with
  askaudio train my_recipe.yaml seed=1 --json     one JSON object at the end

Every key of a recipe can be set as key=value; askaudio train --keys lists them all.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLES
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign] # key=value before and after --out
    parser.add_argument("recipe", nargs="?", help="a shipped recipe (sounds, demo), a .yaml file, or a run folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="keys to set, for example train.lr=0.0005")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on from the run folder's state")
    parser.add_argument("--no-export", action="store_true", help="do not write encoder/, as for a search over settings")
    parser.add_argument("--keys", action="store_true", help="list all keys with their defaults and leave")


def run(args: argparse.Namespace) -> int:
    """Train, and say what to type next."""
    from askaudio.config.load import dump_recipe, load_recipe
    from askaudio.config.schema import Recipe
    from askaudio.core.errors import ConfigError

    if args.keys:
        say(dump_recipe(Recipe(), "all keys with their defaults").rstrip())
        return 0
    if not args.recipe:
        raise ConfigError("which recipe? For example: askaudio train sounds data.manifest=PATH; see --help")
    recipe = load_recipe(args.recipe, args.overrides)
    from askaudio.config.assemble import train  # after the recipe is known to be right: this imports torch

    folder = args.out or _default_folder(args.recipe, recipe.name)
    command = "askaudio train " + shlex.join([args.recipe, *args.overrides])
    with progress_bar(f"train {recipe.name}") as progress:
        result = train(
            recipe, folder, resume=args.resume, export_encoder=not args.no_export, command=command, progress=progress
        )
    if args.json:
        emit_json(
            {
                "run": str(folder),
                "best_epoch": result.best_epoch,
                "epochs": len(result.history),
                "validation": result.validation,
            }
        )
        return 0
    _show(folder, result.best_epoch, len(result.history), result.validation)
    return 0


def _default_folder(recipe: str, name: str) -> Path:
    """A run folder that is given as recipe is gone on with in place."""
    path = Path(recipe)
    return path if (path / "recipe.yaml").is_file() else Path("runs") / name


def _show(folder: Path, best: int, epochs: int, scores: dict[str, float]) -> None:
    say(f"{folder}: best of {epochs} epochs by validation is {best}")
    for direction, name in (("t2a", "text-to-audio"), ("a2t", "audio-to-text")):
        shares = "  ".join(f"{m} {100 * scores[f'{direction}/{m}']:5.1f}" for m in ("R@1", "R@5", "R@10", "mAP@10"))
        say(f"  {name}  {shares}  MedR {scores[f'{direction}/MedR']:.0f}")
    say("next:")
    say(f"  askaudio evaluate {folder}                    test split, with intervals")
    say(f"  askaudio index FOLDER --model {folder}        make a folder of sounds searchable with it")
    sys.stdout.flush()
