"""Build captioned mixtures of two held-out recordings; the alignment is scored on them.

    python -m reproduce.small.held_out_mixtures --teacher ../shared/models/efficientat_mn04/mn04_as.onnx

Titles are short and name one thing, while queries often describe several. 400 mixtures of two recordings with different
labels (street and kitchen sounds of ``held_out``), each with two captions that no training uses. Writes
``runs/small/held_out/mixtures.npz`` with the teacher's features and the spectrograms.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from askaudio.core.files import atomic_path

from .held_out import HeldOut
from .mixing import decibel, energy, to_log_mel
from .teacher import Teacher

WORDS = {
    "air conditioner": ("an air conditioner hums", "a steady mechanical drone of a fan unit"),
    "blender": ("a blender whirs loudly", "someone blends food with an electric mixer"),
    "boiling water": ("water boils in a pot", "bubbling hot water"),
    "book": ("pages of a book are turned", "someone leafs through paper"),
    "car horn": ("a car honks its horn", "a vehicle beeps in traffic"),
    "children playing": ("children shout and play", "kids are laughing at a playground"),
    "chopping": ("a knife chops vegetables on a board", "someone cuts food with rapid strokes"),
    "clean dishes": ("someone washes the dishes", "dishes are scrubbed in a sink"),
    "cupboard": ("a cupboard door opens and closes", "a wooden cabinet is shut"),
    "cutlery": ("forks and knives clatter", "silverware is rattling"),
    "dishwasher": ("a dishwasher runs", "water sprays inside a washing machine"),
    "dog bark": ("a dog barks", "a hound is yapping"),
    "drawer": ("a drawer slides open", "someone pulls and pushes a drawer"),
    "drilling": ("a power drill is running", "someone drills into a wall"),
    "eat": ("a person chews food", "someone is eating something crunchy"),
    "engine idling": ("an engine idles", "a motor is running in place"),
    "fridge": ("a refrigerator hums", "a low electric buzz of a fridge"),
    "frying pan": ("food sizzles in a frying pan", "oil is crackling while something fries"),
    "gun shot": ("a gun is fired", "shots ring out"),
    "jackhammer": ("a jackhammer pounds the pavement", "rapid pneumatic hammering at a construction site"),
    "juicer": ("an electric juicer is running", "someone squeezes fruit with a machine"),
    "microwave": ("a microwave oven hums and beeps", "food is heated in a microwave"),
    "peel": ("someone peels a vegetable", "the scraping of a peeler"),
    "plates": ("plates are stacked and clink", "porcelain dishes are put down"),
    "siren": ("a siren wails", "an ambulance drives by with its alarm on"),
    "stove burner": ("a gas stove is lit", "a burner clicks and ignites"),
    "stove fan": ("a kitchen fan blows air", "an extractor hood is whirring"),
    "street music": ("a band plays music in the street", "musicians perform outdoors"),
    "sweep": ("a broom sweeps the floor", "someone is sweeping"),
    "water flowing": ("water flows from a tap", "a faucet is running"),
}
JOINS = ("{} while {}", "{} and {}", "{} as {}", "{}, and in the background {}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, default=Path("runs/small/held_out"))
    args = parser.parse_args()
    held = HeldOut.read(args.held_out)
    rng = np.random.default_rng(7)
    mels, captions, labels = [], [], []
    while len(mels) < 400:
        first, second = rng.choice(len(held.rows), 2, replace=False)
        names = [held.rows[first]["label"], held.rows[second]["label"]]
        if names[0] == names[1]:
            continue
        a, b = (energy(held.mels[k].T) for k in (first, second))
        b = np.roll(b, int(rng.integers(0, 400)), axis=0) * a.mean() / max(b.mean(), 1e-9) * decibel(rng.uniform(-6, 3))
        mels.append(to_log_mel(a + b).T.astype(np.float16))
        sentences = [JOINS[rng.integers(4)].format(*(WORDS[name][k] for name in names)) for k in (0, 1)]
        captions.append(sentences)
        labels.append(names)
    teacher = Teacher(args.teacher)
    answers = [teacher(mel[None].astype(np.float32))[1:] for mel in mels]
    with atomic_path(args.held_out / "mixtures.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file, mels=np.stack(mels), captions=json.dumps(captions), labels=json.dumps(labels),
            embedding=np.concatenate([a for a, _ in answers]), logits=np.concatenate([b for _, b in answers]),
        )  # fmt: skip


if __name__ == "__main__":
    main()
