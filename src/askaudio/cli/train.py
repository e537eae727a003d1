"""Train a dual encoder from a recipe, or fine-tune a model, into a run folder that search and evaluate open at once.

The run folder holds the resolved recipe (recipe.yaml), the best epoch's weights by validation (weights.safetensors),
every epoch's scores (metrics.json), what a killed run resumes from (state/), and an encoder that needs no torch
(encoder/). Features of frozen towers are computed once and shared between runs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, progress_bar, say
from askaudio.core.types import silent

if TYPE_CHECKING:
    from askaudio.core.types import Json
    from askaudio.data.summary import DatasetSummary
    from askaudio.training.fit import FitResult

HELP = "train a dual encoder from a recipe"

EXAMPLES = """examples:
  askaudio train --init small ~/captioned         fine-tune a model on your captioned folder (the recipe finetune)
  askaudio train --init efficientat captions.csv train.epochs=40 --out runs/mine
  askaudio train sounds data.manifest=sounds/manifest.jsonl model.audio_weights=mn04_as.onnx
  askaudio train demo data.manifest=demo/library/manifest.jsonl train.epochs=5 --out runs/try
  askaudio train demo data.manifest=~/captioned knowledge=ask train.batch_size=24
  askaudio train runs/try --resume                continue after a kill, with the recipe of the run
  askaudio train my_recipe.yaml seed=1 --json     one JSON object at the end
  askaudio train --list                           the shipped recipes, with parameters, memory and time
  askaudio train clotho_htsat_roberta --plan train.batch_size=64      the same for one, with keys
  askaudio train demo devices=2                   two processes (GPUs) share each batch and the knowledge
  torchrun --nnodes 2 --nproc-per-node 8 -m askaudio.cli train my_recipe.yaml       on two machines

Every key of a recipe can be set as key=value; askaudio train --keys lists them all.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLES
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign] # key=value before and after --out
    parser.add_argument("recipe", nargs="?", help="a shipped recipe (sounds, demo), a .yaml file, or a run folder")
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="fine-tune small, efficientat, clap, an encoder or run folder; takes your sounds",
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="keys to set, for example train.lr=0.0005")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on from the run folder's state")
    parser.add_argument("--no-export", action="store_true", help="do not write encoder/, as for a search over settings")
    parser.add_argument("--keys", action="store_true", help="list all keys with their defaults and leave")
    parser.add_argument("--list", action="store_true", help="list the shipped recipes with what they need, and leave")
    parser.add_argument("--plan", action="store_true", help="say parameters, memory and steps; train nothing")


def run(args: argparse.Namespace) -> int:
    """Train, and say what to type next."""
    from askaudio.config.load import dump_recipe, load_recipe
    from askaudio.config.schema import Recipe
    from askaudio.core.errors import ConfigError

    if args.keys:
        say(dump_recipe(Recipe(), "all keys with their defaults").rstrip())
        return 0
    if args.list:
        from askaudio.cli.train_plan import list_recipes

        return list_recipes(args.json)
    if args.init:
        args.recipe, args.overrides = _fine_tuning(args.init, args.recipe, args.overrides)
    if not args.recipe:
        raise ConfigError("which recipe? For example: askaudio train sounds data.manifest=PATH; see --help")
    if args.plan:
        from askaudio.cli.train_plan import show_plan

        return show_plan(args.recipe, args.overrides, args.json)
    recipe = load_recipe(args.recipe, args.overrides)
    if recipe.train.devices > 1 and "RANK" not in os.environ:
        from askaudio.training.processes import launch

        return launch(recipe.train.devices, _again(args))
    from askaudio.pipeline.assemble import train  # after the recipe is known to be right: this imports torch

    folder = args.out or _default_folder(args.recipe, recipe.name)
    command = "askaudio train " + shlex.join([args.recipe, *args.overrides])
    first = os.environ.get("RANK", "0") == "0"  # one of several processes speaks
    pool: Json = {}

    def on_data(counts: DatasetSummary) -> None:
        pool.update(counts.to_json())
        if not args.json:
            say(str(counts))

    with progress_bar(f"train {recipe.name}") if first else nullcontext(silent) as progress:
        result = train(
            recipe,
            folder,
            resume=args.resume,
            export_encoder=not args.no_export,
            command=command,
            progress=progress,
            on_data=on_data,
        )
    if not first:
        return 0
    if args.json:
        emit_json(
            {
                "run": str(folder),
                "pool": pool,
                "best_epoch": result.best_epoch,
                "epochs": result.history[-1]["epoch"],
                "validation": result.validation,
                **({"start": result.history[0]["validation"]} if result.history[0]["epoch"] == 0 else {}),
            }
        )
        return 0
    _show(folder, result)
    return 0


def _fine_tuning(model: str, first: str | None, overrides: list[str]) -> tuple[str, list[str]]:
    """Recipe and overrides of ``--init``: what stands first may be a recipe, the sounds, or an override already."""
    from askaudio.config.load import find_recipe
    from askaudio.core.errors import ConfigError

    init = f"model.init={model}"
    if first is None or ("=" in first and not Path(first).exists()):
        return "finetune", [init, *([first] if first else []), *overrides]
    try:
        if Path(first).suffix in (".csv", ".jsonl"):
            raise ConfigError("captions, not a recipe")
        find_recipe(first)
    except ConfigError:
        return "finetune", [init, f"data.manifest={first}", *overrides]
    return first, [init, *overrides]


def _again(args: argparse.Namespace) -> list[str]:
    """The command line of this run, for the processes that share it."""
    flags = [flag for flag, given in (("--resume", args.resume), ("--no-export", args.no_export)) if given]
    out = ["--out", str(args.out)] if args.out else []
    return ["train", args.recipe, *args.overrides, *out, *flags, *(["--json"] if args.json else [])]


def _default_folder(recipe: str, name: str) -> Path:
    """A run folder that is given as recipe is gone on with in place."""
    path = Path(recipe)
    return path if (path / "recipe.yaml").is_file() else Path("runs") / name


def _show(folder: Path, result: FitResult) -> None:
    from askaudio.export.dual_encoder import too_large

    first, last = result.history[0], result.history[-1]
    if first["epoch"] == 0:
        say("before fine-tuning, on the validation split:")
        _scores(first["validation"])
        if result.best_epoch == 0:
            say("no epoch was better, so the result is the model that it began with")
    say(f"{folder}: best of {last['epoch']} epochs by validation is {result.best_epoch}")
    _scores(result.validation)
    if too_large(result.model):
        say(
            "encoder/ was not written: a tower is larger than 2 GB, the limit of an ONNX file; askaudio table scores it"
        )
    say("next:")
    say(f"  askaudio evaluate {folder}                    test split, with intervals")
    say(f"  askaudio index FOLDER --model {folder}        make a folder of sounds searchable with it")
    sys.stdout.flush()


def _scores(scores: dict[str, float]) -> None:
    for direction, name in (("t2a", "text-to-audio"), ("a2t", "audio-to-text")):
        shares = "  ".join(f"{m} {100 * scores[f'{direction}/{m}']:5.1f}" for m in ("R@1", "R@5", "R@10", "mAP@10"))
        say(f"  {name}  {shares}  MedR {scores[f'{direction}/MedR']:.0f}")
