"""Measure the categories that `askaudio tag` proposes, on recordings that no model was trained on; and fit its weights.

    python benchmarks/tagging/run.py ../shared/data/sounds/manifest.jsonl                 measure; writes results.json
    python benchmarks/tagging/run.py ../shared/data/sounds/manifest.jsonl --fit           also write calibration.json

Recordings: the validation and test groups of all sets but urbansound8k (the split of the training, by group), and up
to 40 clips a label of urbansound8k, which is not used in training. Their categories were assigned by hand from labels
and titles (`labels.tsv`); several may be right. Half of the groups fit the weights, the other half is measured. The
names of the files are not used, except in the last row: kitchen recordings with the titles of their authors.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from askaudio.cli.output import progress_bar
from askaudio.core.files import read_json, sha256_file, write_json
from askaudio.data.manifest import Clip, read_manifest, split_by_group
from askaudio.encoders.load import load_encoder
from askaudio.engines.open import open_store
from askaudio.tagging.categories import categories
from askaudio.tagging.propose import LEAST_SURE
from askaudio.tagging.vectors import file_vectors
from askaudio.tagging.zero_shot import Calibration, ZeroShot, softmax

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "src/askaudio/tagging/calibration.json"
STREET = 40
SCALES = np.arange(4.0, 80.0, 2.0)


@dataclass(frozen=True)
class Set:
    """Labelled recordings: vectors (N, D), titles, and right categories as (N, C) booleans."""

    clips: list[Clip]
    vectors: np.ndarray
    right: np.ndarray

    def where(self, keep: list[bool]) -> Set:
        rows = np.flatnonzero(keep)
        return Set([self.clips[k] for k in rows], self.vectors[rows], self.right[rows])

    @property
    def weights(self) -> np.ndarray:
        """(N,) so that labels with many clips do not decide alone: 1 / sqrt(clips of the label)."""
        keys = [key_of(clip) for clip in self.clips]
        count = Counter(keys)
        return np.array([count[key] ** -0.5 for key in keys])


def key_of(clip: Clip) -> str:
    labelled = clip.clip_id.startswith(("kitchen20", "urbansound8k"))
    return f"label:{clip.label}" if labelled else clip.captions[0].text


def chosen_clips(manifest) -> list[Clip]:
    """Held-out recordings with a category, in order of their ids."""
    labels = read_labels()
    trained = replace(manifest, clips=tuple(c for c in manifest if not c.clip_id.startswith("urbansound8k")))
    held_out = [clip for clip in split_by_group(trained) if clip.split != "train"]
    street: dict[str, list[Clip]] = {}
    for clip in sorted(manifest, key=lambda c: hashlib.sha256(c.clip_id.encode()).hexdigest()):
        if clip.clip_id.startswith("urbansound8k"):
            street.setdefault(clip.label, []).append(clip)
    every = held_out + [clip for clips in street.values() for clip in clips[:STREET]]
    return sorted((clip for clip in every if key_of(clip) in labels), key=lambda clip: clip.clip_id)


def read_labels() -> dict[str, list[str]]:
    known = {one.cat_id for one in categories()}
    rows = [line.split("\t") for line in (HERE / "labels.tsv").read_text().splitlines() if not line.startswith("#")]
    labels = {text: ids.split(",") for text, ids in rows}
    assert all(cat_id in known for ids in labels.values() for cat_id in ids), "unknown CatID in labels.tsv"
    return labels


def is_for_fit(clip: Clip) -> bool:
    return hashlib.sha256(f"tag {clip.group or clip.clip_id}".encode()).digest()[0] < 128


def loss(logits: np.ndarray, data: Set) -> float:
    """Mean negative logarithm of the probability of any right category."""
    probability = (softmax(logits) * data.right).sum(axis=1)
    return float(np.average(-np.log(np.maximum(probability, 1e-6)), weights=data.weights))


def fit(zero_shot: ZeroShot, data: Set) -> Calibration:
    """Weights with the smallest loss; that of the names from recordings with titles of their authors."""
    audio = zero_shot.scores(data.vectors)
    scale = min(SCALES, key=lambda s: loss(s * audio, data))
    titled = data.where([clip.clip_id.startswith("kitchen20") for clip in data.clips])
    sound = scale * zero_shot.scores(titled.vectors)
    said = zero_shot.name_scores([clip.captions[0].text for clip in titled.clips])
    name = min(np.arange(0.0, 40.0, 1.0), key=lambda s: loss(sound + s * said, titled))
    shares = softmax(scale * audio)
    rows, top = np.arange(len(shares)), shares.argmax(axis=1)
    share, right = shares[rows, top], data.right[rows, top]

    def surprise(curve: tuple[float, float]) -> float:
        stated = Calibration(slope=curve[0], offset=curve[1]).probability(share)
        return float(-np.log(np.where(right, stated, 1 - stated)).mean())

    curves = [(float(a), float(b)) for a in np.arange(0.5, 2.05, 0.1) for b in np.arange(-1.0, 2.05, 0.1)]
    slope, offset = min(curves, key=surprise)
    return Calibration(float(scale), float(name), round(slope, 2), round(offset, 2), known=True)


def measure(probabilities: np.ndarray, data: Set) -> dict[str, object]:
    """Accuracy, share unsure and calibration."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    rows = np.arange(len(order))
    hit = data.right[rows[:, None], order]  # (N, C) right, by rank
    groups = np.array([one.category for one in categories()])
    right_groups = [set(groups[row]) for row in data.right]
    group_hit = np.array([[groups[k] in ok for k in top] for top, ok in zip(order[:, :3], right_groups, strict=True)])
    top, first = probabilities[rows, order[:, 0]], hit[:, 0]
    sure = top >= LEAST_SURE
    bins = np.minimum((top * 5).astype(int), 4)
    table = {
        f"{b / 5:.1f}-{(b + 1) / 5:.1f}": [int(here.sum()), float(top[here].mean()), float(first[here].mean())]
        for b in range(5)
        if (here := bins == b).any()
    }
    error = sum(n * abs(stated - true) for n, stated, true in table.values()) / len(top)
    return {
        "recordings": len(top), "groups": len({clip.group for clip in data.clips}),
        "top-1 CatID": float(first.mean()), "top-3 CatID": float(hit[:, :3].any(axis=1).mean()),
        "top-1 category": float(group_hit[:, 0].mean()), "top-3 category": float(group_hit.any(axis=1).mean()),
        "unsure": float(1 - sure.mean()), "right if sure": float(first[sure].mean()) if sure.any() else None,
        "calibration error": float(error), "stated and true by bin": table,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest")
    parser.add_argument("--model", default="small")
    parser.add_argument("--collection", help="collection with vectors of the recordings, to save time")
    parser.add_argument("--fit", action="store_true", help="fit the weights and write them into the package")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    args = parser.parse_args()
    manifest = read_manifest(args.manifest)
    clips = chosen_clips(manifest)
    encoder = load_encoder(args.model)
    store = open_store(args.collection) if args.collection else None
    paths = [str(Path(clip.path).absolute()) for clip in clips]
    with progress_bar("vectors", "recordings") as bar:
        vectors, broken = file_vectors(list(dict.fromkeys(paths)), encoder, store, bar)
    labels, ids = read_labels(), [one.cat_id for one in categories()]
    clips = [clip for clip in clips if str(Path(clip.path).absolute()) in vectors]
    data = Set(
        clips,
        np.stack([vectors[str(Path(clip.path).absolute())] for clip in clips]),
        np.array([[cat_id in labels[key_of(clip)] for cat_id in ids] for clip in clips]),
    )
    calibration = None
    if args.fit:
        plain = ZeroShot(encoder, calibration=Calibration())
        calibration = fit(plain, data.where([is_for_fit(clip) for clip in clips]))
        shipped = read_json(SHIPPED) if SHIPPED.exists() else {"models": {}}
        shipped["models"][encoder.fingerprint] = {
            "model": args.model, "audio": calibration.audio, "name": calibration.name,
            "slope": calibration.slope, "offset": calibration.offset,
        }  # fmt: skip
        write_json(SHIPPED, shipped)
    zero_shot = ZeroShot(encoder, calibration=calibration)
    test = data.where([not is_for_fit(clip) for clip in clips])
    sets = {"all": test}
    for name in ("debian", "kitchen20", "moodist", "urbansound8k"):
        sets[name] = test.where([clip.clip_id.startswith(name) for clip in test.clips])
    rows = {name: measure(zero_shot.probabilities(one.vectors), one) for name, one in sets.items() if one.clips}
    kitchen = sets["kitchen20"]
    titles = [clip.captions[0].text for clip in kitchen.clips]
    rows["kitchen20 with titles"] = measure(zero_shot.probabilities(kitchen.vectors, titles), kitchen)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False)
    write_json(args.out, {
        "command": f"python benchmarks/tagging/run.py MANIFEST --model {args.model}", "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}", "seed": "none: halves by a hash",
        "data": {"manifest_sha256": sha256_file(args.manifest), "labels_sha256": sha256_file(HERE / "labels.tsv"),
                 "not read": len(broken)},
        "model": args.model, "fingerprint": encoder.fingerprint, "categories": len(ids),
        "calibration": asdict(zero_shot.calibration), "measured": rows,
    })  # fmt: skip
    for name, row in rows.items():
        print(name, {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
