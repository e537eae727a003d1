"""What recipes need: ``askaudio train --list`` for all that ship, ``askaudio train RECIPE --plan`` for one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, say

if TYPE_CHECKING:
    from askaudio.config.schema import Recipe
    from askaudio.core.types import Json

_FREE = ("data.manifest", "model.audio_weights")  # a plan needs neither the data nor the weights


def list_recipes(as_json: bool) -> int:
    """Print every shipped recipe: towers, batch, published score, and what it needs."""
    from askaudio.config.load import shipped_recipes
    from askaudio.pipeline.plan import plan

    rows: list[Json] = []
    for name, path in shipped_recipes().items():
        recipe = _without_data(name, [])
        head = path.read_text(encoding="utf-8").split("\nname:")[0]
        rows.append(
            {
                "recipe": name,
                "audio": f"{recipe.model.init or recipe.model.audio} ({recipe.model.audio_train})",
                "text": f"{recipe.model.init or recipe.model.text} ({recipe.model.text_train})",
                "batch_size": recipe.train.batch_size,
                "published": _line(head, "Published"),
                "source": _line(head, "Source"),
                **plan(recipe).to_json(),
            }
        )
    if as_json:
        emit_json(rows)
        return 0
    for row in rows:
        say(f"{row['recipe']}")
        say(f"  {row['audio']} + {row['text']}, batch of {row['batch_size']}")
        say(f"  {_needs(row)}")
        if row["published"]:
            say(f"  published: {row['published']}")
    say()
    say("one of them with other keys: askaudio train RECIPE --plan key=value; what it is: the head of the file")
    return 0


def show_plan(name: str, overrides: Sequence[str], as_json: bool) -> int:
    """Print what one recipe needs."""
    from askaudio.pipeline.plan import plan

    found = plan(_without_data(name, overrides)).to_json()
    if as_json:
        emit_json(found)
        return 0
    towers = [f"{side} tower: {found[f'{side}_parameters'] / 1e6:.1f} M parameters" for side in ("audio", "text")]
    say(f"{', '.join(towers)} (0: its output is computed once)")
    say(f"trained: {found['trained'] / 1e6:.1f} M")
    weights, batch = _gb(found["weights_bytes"]), _gb(found["batch_bytes"])
    say(f"memory: {weights} for weights, gradients and optimizer, {batch} for a batch")
    say("  less: train.gradient_cache_chunk, train.gradient_checkpointing=true, train.precision=bf16-mixed")
    known = (
        f"{found['steps']:,}, {found['pairs']:,} pairs an epoch" if found["pairs"] else "unknown without data.manifest"
    )
    say(f"steps: {known}")
    say(f"arithmetic: {found['flops']:.2e} operations, {found['hours']:g} h at {found['assumed_tflops']:g} TFLOP/s")
    return 0


def _without_data(name: str, overrides: Sequence[str]) -> Recipe:
    """A checked recipe, whose data set and files may be missing."""
    from askaudio.config.load import load_recipe, shipped_recipes

    given = {override.partition("=")[0] for override in overrides}
    free = [f"{key}=none" for key in _FREE if key not in given] if name in shipped_recipes() else []
    recipe = load_recipe(name, [*_unless_named(name, free), *overrides])
    if recipe.data.manifest == "none":
        recipe.data.manifest = ""
    return recipe


def _unless_named(name: str, free: list[str]) -> list[str]:
    """Without the weights where the recipe names them itself."""
    from askaudio.config.load import shipped_recipes

    named = name in shipped_recipes() and "audio_weights: hf:" in shipped_recipes()[name].read_text(encoding="utf-8")
    return [key for key in free if not (named and key.startswith("model."))]


def _needs(row: Json) -> str:
    time = f", {row['steps']:,} steps, {row['hours']:g} h at {row['assumed_tflops']:g} TFLOP/s" if row["pairs"] else ""
    memory = f"{_gb(row['weights_bytes'])} + {_gb(row['batch_bytes'])} a batch"
    return f"{row['trained'] / 1e6:.1f} M weights trained, {memory}{time}"


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def _line(head: str, label: str) -> str:
    """The comment that begins with a label, up to the next label."""
    found = re.search(rf"# {label}: ((?:.|\n)*?)(?:\n# [A-Z][a-z ]+:|$)", head)
    return re.sub(r"\n# ", " ", found[1]).strip() if found else ""
