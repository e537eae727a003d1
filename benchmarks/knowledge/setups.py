"""The rows of the benchmark: which recipe keys each changes, and which caption errors its training data has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from askaudio.config.load import load_recipe
from askaudio.config.schema import Recipe

HERE = Path(__file__).parent
RECIPE, TUNING = HERE / "recipe.yaml", HERE / "tuning.json"


@dataclass(frozen=True)
class Setup:
    """One row of a table.

    Attributes:
        keys: Overrides of ``recipe.yaml``, ``section.key=value`` each; a later one wins.
        errors: Kind of caption errors in the training split, see ``scenes.ERRORS``; empty: none.
        share: Share of the captions with such an error.
    """

    keys: tuple[str, ...] = ()
    errors: str = ""
    share: float = 0.0

    def __add__(self, keys: str) -> Setup:
        """The same with further overrides, separated by spaces."""
        return Setup((*self.keys, *keys.split()), self.errors, self.share)

    def with_errors(self, kind: str, share: float) -> Setup:
        """The same with caption errors.

        The base then has an entry for each caption, since single captions are wrong; a step reads as many as before.
        """
        fit = ("knowledge.entries=caption", "knowledge.read_every=40") if "knowledge=ask" in self.keys else ()
        return Setup((*self.keys, *fit), kind, share)

    def recipe(self, seed: int) -> Recipe:
        """The checked recipe."""
        return load_recipe(str(RECIPE), [*self.keys, f"seed={seed}"])


PLAIN = Setup()
LARGE = PLAIN + "train.batch_size=512 train.lr=0.003 train.epochs=20"
ASK = PLAIN + "knowledge=ask knowledge.refresh_early=16 knowledge.read_every=8"
RELIABLE = "knowledge.reliability=cut"
CNN = "model.audio=cnn"
UNTUNED: dict[str, Setup] = {
    "plain B=24": PLAIN,
    "plain B=512": LARGE,
    "ASK": ASK,
    "XBM 2048": PLAIN + "knowledge=xbm",
}


def read_tuning() -> dict[str, dict]:
    """Tuned row -> {"scores", "confirmed", "chosen"}; empty before ``tune.py`` has run."""
    return json.loads(TUNING.read_text()) if TUNING.exists() else {}


def rows() -> dict[str, Setup]:
    """Every row: the tuned ones with the values that ``tune.py`` chose, the others derived from them."""
    tuned = read_tuning()
    own = {
        name: setup + " ".join(f"{key}={value}" for key, value in tuned.get(name, {}).get("chosen", {}).items())
        for name, setup in UNTUNED.items()
    }
    plain, large, ask, xbm = own.values()
    found = {
        **own,
        "ASK, static base": ask + "knowledge=static",
        "momentum queue 2048": xbm + "knowledge=queue",
        "plain B=8": plain + "train.batch_size=8 train.lr=0.0005",
        "plain B=128": large + "train.batch_size=128 train.lr=0.002 train.epochs=15",
        "plain B=512, 10 epochs": large + "train.epochs=10",
        "plain B=24, 20 epochs": plain + "train.epochs=20",
        "ASK, 20 epochs": ask + "train.epochs=20",
        "ASK, the whole base at each step": ask + "knowledge.read_every=1",
        "ASK, one in 32 at each step": ask + "knowledge.read_every=32",
        "ASK, first refresh after an epoch": ask + "knowledge.refresh_early=0",
        "ASK, fine only": ask + "knowledge=fine",
        "ASK, coarse only": ask + "knowledge=coarse knowledge.coarse_weight=1.0",
        "ASK, 8 neighbors": ask + "knowledge.neighbors=8",
        "ASK, random base": ask + "knowledge=random",
        "ASK, refresh 4 times an epoch": ask + "knowledge.refresh=steps knowledge.refresh_steps=73",
        "ASK, refresh every 2 epochs": ask + "knowledge.refresh_epochs=2",
        "ASK, refresh every 5 epochs": ask + "knowledge.refresh_epochs=5",
        "ASK, an entry for each caption": ask + "knowledge.entries=caption knowledge.read_every=40",
        "ASK, graph refinement, mean": ask + "knowledge.graph=mean",
        "ASK, graph refinement, learned": ask + "knowledge.graph=attention",
        "ASK, write-through": ask + "knowledge.write_through=true",
        "ASK, momentum base": ask + "knowledge.refresh_by=momentum",
        "ASK, refresh on drift": ask + "knowledge.refresh=drift",
        "ASK, reliability, clean": ask + RELIABLE,
        "ASK, blend": plain + "knowledge=blend knowledge.neighbors=8",
        "text-similarity soft labels": plain + "knowledge=text_similarity",
        "offline soft targets": plain + "knowledge=offline",
        "trained tower: plain B=24": plain + CNN,
        "trained tower: ASK": ask + CNN,
    }
    for share in (0.2, 0.4, 0.6):
        name = f"{share:.0%}".replace("%", " %")
        found[f"{name}: plain B=24"] = plain.with_errors("exchanged", share)
        found[f"{name}: plain B=512"] = large.with_errors("exchanged", share)
        found[f"{name}: ASK, uniform weights"] = ask.with_errors("exchanged", share)
        found[f"{name}: ASK, reliability"] = ask.with_errors("exchanged", share) + RELIABLE
    # "exchanged" draws single captions; here all captions of a scene are replaced together, as in earlier/
    found["40 % by clip: plain B=24"] = plain.with_errors("by clip", 0.4)
    found["40 % by clip: ASK, reliability"] = ask.with_errors("by clip", 0.4) + RELIABLE
    for kind in ("similar", "left out", "wrong"):
        found[f"40 % {kind}: plain B=24"] = plain.with_errors(kind, 0.4)
        found[f"40 % {kind}: ASK, reliability"] = ask.with_errors(kind, 0.4) + RELIABLE
    found["trained tower, 40 %: plain B=24"] = plain.with_errors("exchanged", 0.4) + CNN
    found["trained tower, 40 %: ASK, reliability"] = ask.with_errors("exchanged", 0.4) + f"{RELIABLE} {CNN}"
    return found
