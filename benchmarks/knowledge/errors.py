"""Whose captions a training scene gets: right ones, or those of another scene that is wrong in a known way.

All captions of a scene come from one other training scene, so no new text has to be encoded:

- exchanged: of any other scene (chosen scenes pass their captions on in a ring);
- similar: of a scene that shares a label, but not all of them;
- left out: of a scene that holds all of its labels but one;
- wrong: of a scene with as many labels, all but one the same.

The last three are what careless annotators write. `scenes/caption_errors.py` words such captions anew; here they
are taken from scenes where they are true.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

KINDS = ("exchanged", "similar", "left out", "wrong")


def givers(labels: list[list[str]], kind: str, share: float, seed: int) -> np.ndarray:
    """For each of n scenes the scene whose captions it gets (n,): itself, but for a share of the scenes.

    Where fewer scenes can be wrong in that way than the share asks for, all that can are.
    """
    n = len(labels)
    rng = np.random.default_rng([seed, 77])
    text_of = np.arange(n)
    if kind == "exchanged":
        chosen = rng.choice(n, int(share * n), replace=False)
        text_of[chosen] = np.roll(chosen, 1)
        return text_of
    scenes = [frozenset(row) for row in labels]
    holding: dict[frozenset[str], list[int]] = defaultdict(list)
    for k, of_scene in enumerate(scenes):
        for key in _keys(of_scene, kind):
            holding[key].append(k)
    wanted = int(share * n)
    for k in rng.permutation(n):
        others = sorted(j for key in _asks(scenes[k], kind) for j in holding.get(key, ()) if scenes[j] != scenes[k])
        if kind in ("left out", "wrong"):
            others = [j for j in others if len(scenes[j]) == len(scenes[k]) - (kind == "left out")]
        if others and wanted:
            text_of[k] = others[int(rng.integers(len(others)))]
            wanted -= 1
    return text_of


def _keys(scene: frozenset[str], kind: str) -> Iterator[frozenset[str]]:
    """Under what a scene can be found."""
    if kind == "similar":
        yield from (frozenset([label]) for label in scene)
    elif kind == "left out":
        yield scene
    else:
        yield from (scene - {label} for label in scene if len(scene) > 1)


def _asks(scene: frozenset[str], kind: str) -> Iterator[frozenset[str]]:
    """What a scene with such an error looks for."""
    if kind == "left out":
        yield from (scene - {label} for label in scene if len(scene) > 1)
    else:
        yield from _keys(scene, kind)
