r"""Collect the texts on which the text tower is distilled, and compute the teacher's vectors; ten minutes.

    python -m reproduce.small.text_corpus --captions ../shared/data/captions \
        --sounds ../shared/data/sounds/manifest.jsonl --wordnet /usr/share/wordnet \
        --classes ../shared/models/efficientat_mn04/class_labels_indices.csv

Only texts whose licences allow it: AudioCaps training captions (MIT) and their clauses, the AudioSet ontology (CC BY
4.0), titles of the training recordings, words and glosses of WordNet 3.0 (its own free licence; Debian package
wordnet-base), and short templates over those words. Clotho's captions are for research only: its validation part is
used to score the tower on texts of another kind, and is not trained on.
Written to ``runs/small/texts``: ``texts.json``, ``targets.npy`` (n, 384) float16, ``check.npz``.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np
import torch

from askaudio.cli.output import progress_bar
from askaudio.data.manifest import read_manifest, split_by_group
from askaudio.encoders.efficientat import class_names
from askaudio.models.minilm import MiniLMTower, pad_tokens

CLAUSES = re.compile(r",| and then | followed by | while | as | with | and | then ")
# lexicographer files of WordNet of audible things and actions, and of places
NOUNS = {"04", "05", "06", "08", "10", "11", "13", "15", "17", "18", "19", "20", "22", "27"}
TEMPLATES = (
    "{}", "{}", "the sound of {}", "{} sound effect", "{} in the distance", "a loud {}", "{} in a large hall",
    "{} outdoors", "a recording of {}", "someone hears {}", "soft {}", "close-up of {}", "{} at night",
    "several {} at once",
)  # fmt: skip


def captions(path: Path, columns: list[str]) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row[c].strip() for row in csv.DictReader(file) for c in columns if row[c].strip()]


def clauses(texts: list[str]) -> list[str]:
    parts = {part.strip(" .") for text in texts for part in CLAUSES.split(text)}
    return sorted(part for part in parts if len(part) > 3)


def wordnet(folder: Path) -> tuple[list[str], list[str]]:
    """Words, and glosses cut at their first semicolon, of synsets about audible things."""
    words, glosses = set(), set()
    for name in ("data.noun", "data.verb", "data.adj"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue
            fields, _, gloss = line.partition(" | ")
            parts = fields.split()
            if name == "data.noun" and parts[1] not in NOUNS:
                continue
            words |= {parts[4 + 2 * k].replace("_", " ") for k in range(int(parts[3], 16))}
            glosses.add(re.sub(r"\([^)]*\)", "", gloss.partition(";")[0]).strip())
    return sorted(w for w in words if len(w) < 40), sorted(g for g in glosses if 8 < len(g) < 90)


def collect(args: argparse.Namespace) -> list[str]:
    rng = np.random.default_rng(0)
    audiocaps = captions(args.captions / "audiocaps/v1/train.csv", ["caption"])
    parts = clauses(audiocaps)
    ontology = json.loads((args.captions / "audioset_ontology/ontology.json").read_text())
    names = [row["name"] for row in ontology] + class_names(args.classes)
    about = [row["description"] for row in ontology if row["description"]]
    sounds = read_manifest(args.sounds)
    sounds = sounds.where([not clip.clip_id.startswith("urbansound8k/") for clip in sounds])
    train = split_by_group(sounds).split("train")
    titles = sorted({clip.captions[0].text for clip in train if clip.captions})
    words, glosses = wordnet(args.wordnet)
    words = list(rng.permutation(words)[:45_000])
    glosses = list(rng.permutation(glosses)[:30_000])
    short = names * 12 + titles * 2 + parts[::4] + words[:12_000]
    templated = [TEMPLATES[rng.integers(len(TEMPLATES))].format(text.lower()) for text in short]
    some = rng.permutation(names * 8 + titles + parts[::3])
    joins = (" and ", " then ", ", ", " while ", " with ", " followed by ")
    pairs = [
        str(a).lower() + joins[rng.integers(len(joins))] + str(b).lower()
        for a, b in zip(some, rng.permutation(some), strict=True)
    ]
    kept = set(audiocaps) | set(parts) | set(names) | set(about) | set(titles) | set(words) | set(glosses)
    return sorted(kept | set(templated) | set(pairs))


def targets(texts: list[str]) -> np.ndarray:
    """The teacher's vectors (n, 384) float16; bfloat16 matrices move them by less than 1e-4 of a cosine."""
    tower = MiniLMTower().eval()
    rows = tower.token_ids(texts)
    order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
    out = np.zeros((len(texts), 384), np.float16)
    with progress_bar("teacher", "texts") as progress, torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for first in range(0, len(order), 128):
            some = order[first : first + 128]
            ids, mask = pad_tokens([rows[k] for k in some])
            out[some] = tower(torch.from_numpy(ids), torch.from_numpy(mask)).float().numpy()
            progress(first + len(some), len(order))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--classes", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/small/texts"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    texts = collect(args)
    print(f"{len(texts)} texts")
    columns = [f"caption_{k}" for k in range(1, 6)]
    check = captions(args.captions / "clotho/clotho_captions_validation.csv", columns)[::5]
    np.savez(args.out / "check.npz", texts=json.dumps(check), targets=targets(check))
    np.save(args.out / "targets.npy", targets(texts))
    (args.out / "texts.json").write_text(json.dumps(texts))


if __name__ == "__main__":
    main()
