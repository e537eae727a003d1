"""Labels in nine languages: how many clips find their own label among the translations.

    python benchmarks/everyday/languages.py --models small efficientat      # after vectors.py; extra languages

The labels of street sounds (10) and kitchen sounds (20) of unheard recordings, translated in ``translations.json``.
``texts``: how often a translation is nearest to its own English text among all 46 texts. Writes ``languages.json`` and
``languages.md``. English itself is encoded by the text tower, and is the upper bound.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from gallery import HERE
from tune import by_clip
from vectors import Encoded, encoded, source_of, split_of

from askaudio.core.files import read_json, write_json
from askaudio.encoders.load import load
from askaudio.encoders.onnx import OnnxEncoder
from askaudio.search.reading import TextReader

TRANSLATIONS = HERE / "translations.json"


def accuracy(some: Encoded, vectors: np.ndarray, names: list[str]) -> float:
    """Share of clips whose nearest label vector is their own, in percent."""
    nearest = by_clip(vectors @ some.vectors.T, some).argmax(0)
    return 100 * float(np.mean([names[k] == clip.label for k, clip in zip(nearest, some.clips, strict=True)]))


def measured(encoder: OnnxEncoder) -> dict[str, dict[str, float]]:
    """Set -> language -> percent."""
    content = json.loads(TRANSLATIONS.read_text(encoding="utf-8"))
    reader = TextReader(encoder)
    everything = encoded(encoder)
    source = np.array([source_of(clip) for clip in everything.clips])
    unheard = split_of(everything.clips) != "train"
    sets = {name: everything.where((source == pack) & unheard) for name, pack in PACKS.items()}
    every = sorted(content["labels"])

    def vectors(texts: list[str], language: str) -> np.ndarray:
        words = texts if language == "en" else [content["labels"][text][language] for text in texts]
        return np.stack([reader.read(text, language).vector for text in words])

    english = vectors(every, "en")
    found: dict[str, dict[str, float]] = {name: {} for name in (*sets, "texts")}
    for language in content["languages"]:
        for name, some in sets.items():
            names = sorted({clip.label for clip in some.clips})
            found[name][language] = round(accuracy(some, vectors(names, language), names), 1)
        nearest = (vectors(every, language) @ english.T).argmax(1)
        found["texts"][language] = round(100 * float((nearest == np.arange(len(every))).mean()), 1)
    return found


PACKS = {"street": "urbansound8k", "kitchen": "kitchen20"}


def table(results: dict) -> str:
    """Markdown."""
    languages = list(next(iter(results.values()))["street"])
    lines = ["# Labels in other languages, percent", "", "`python benchmarks/everyday/languages.py`", ""]
    lines += ["| model | set | " + " | ".join(languages) + " | mean of nine |", "|---" * (len(languages) + 3) + "|"]
    for model, sets in results.items():
        for name, row in sets.items():
            mean = np.mean([value for language, value in row.items() if language != "en"])
            values = " | ".join(f"{value:.1f}" for value in row.values())
            lines.append(f"| {model} | {name} | {values} | {mean:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["small", "efficientat"], help="names or encoder folders")
    parser.add_argument("--out", type=Path, default=HERE / "languages.json")
    args = parser.parse_args()
    results = read_json(args.out) if args.out.is_file() else {}
    for name in args.models:
        results[name] = measured(load(name))
        print(name, results[name])
    write_json(args.out, results)
    args.out.with_suffix(".md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
