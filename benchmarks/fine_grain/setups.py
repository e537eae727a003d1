"""The rows of the benchmark: which recipe keys each changes, and which caption errors its training data has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from askaudio.config.load import load_recipe
from askaudio.config.schema import Recipe

RECIPE = Path(__file__).parent / "recipe.yaml"
KINDS = "data.near_misses=[order,attribute,count,negation]"


@dataclass(frozen=True)
class Setup:
    """One row of a table.

    Attributes:
        keys: Overrides of ``recipe.yaml``, ``section.key=value`` each; a later one wins.
        without: "same": entries with the same sounds as another pair's are kept out of that pair's contrast.
        errors: Kind of caption errors in the training split, see ``scenes.ERRORS``; empty: none.
        share: Share of the captions with such an error.
    """

    keys: tuple[str, ...] = ()
    without: str = ""
    errors: str = ""
    share: float = 0.0

    def __add__(self, keys: str) -> Setup:
        """The same with further overrides, separated by spaces."""
        return Setup((*self.keys, *keys.split()), self.without, self.errors, self.share)

    def recipe(self, seed: int) -> Recipe:
        """The checked recipe."""
        return load_recipe(str(RECIPE), [*self.keys, f"seed={seed}"])


PLAIN = Setup()
LARGE = PLAIN + "train.batch_size=512 train.lr=0.003 train.epochs=20"
XBM = PLAIN + "knowledge=xbm"
ASK = PLAIN + "knowledge=ask knowledge.refresh_early=16"
CLAIM = {"plain B=24": PLAIN, "plain B=512": LARGE, "XBM 2048": XBM, "ASK": ASK}  # at least five seeds
OWN_TUNING = Path(__file__).parent / "tuning.json"


def rows() -> dict[str, Setup]:
    """Every row by name."""
    found = {
        **CLAIM,
        "ASK, static base": ASK + "knowledge=static",
        "ASK, without same sounds": Setup(ASK.keys, without="same"),
        "ASK, without as many others": Setup(ASK.keys, without="others"),
        "ASK, one entry a caption": ASK + "knowledge.entries=caption knowledge.read_every=5",
        "plain B=24, 20 epochs": PLAIN + "train.epochs=20",
        "ASK, 20 epochs": ASK + "train.epochs=20",
    }
    for name, setup in CLAIM.items():
        found[f"{name}, near misses"] = setup + KINDS
        found[f"{name}, near misses at .3"] = setup + KINDS + "loss.near_miss_weight=0.3"
        found[f"{name}, mean only"] = setup + "model.audio_head=mean"
        found[f"{name}, mean only, near misses"] = setup + KINDS + "model.audio_head=mean"
        found[f"{name}, transformer, near misses"] = setup + KINDS + "model.audio_head=transformer"
    return found
