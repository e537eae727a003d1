"""Do titles that were learnt in some packs carry over to a pack that was not in training?

    python -m reproduce.small.audio_features --manifest ../shared/data/sounds/manifest.jsonl --tower TOWER.onnx
    python benchmarks/everyday/packs.py --features runs/small/features/mn04_as.npz      # a minute

Light heads over the frozen features of a tower (embedding and class logits), three seeds, on the held-out recordings
of each family of packs in turn:

- **by recording**: trained on the other recordings of all packs.
- **by pack**: trained on the other packs alone.

Three heads: the *bridge* needs no pairs (class evidence times the text vectors of the class names); the *trained* head
is ridge regression from the features, and random features of them, to the text vectors of titles; the *mixture* adds
both scores. The gallery is the family's held-out clips, so both protocols answer the same queries. Writes
``packs.json``. Titles R@10; intervals over recordings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from gallery import HERE
from vectors import SOUNDS, group_of, pack_of, source_of, split_of

from askaudio.core.files import write_json
from askaudio.data.manifest import Clip, read_manifest
from askaudio.encoders.efficientat import class_names
from askaudio.encoders.load import load
from askaudio.evaluation.significance import bootstrap, interval, unit_rows

FAMILIES = {
    "kitchen20": {"kitchen20"},
    "0ad": {"0ad-data"},
    "strategy": {"megaglest-data", "boswars-data", "widelands-data", "lincity-ng-data"},
    "fantasy": {"wesnoth-1.16-data", "flare-game", "freedroidrpg-data", "minetest-data"},
    "science fiction": {"ufoai-sound", "endless-sky-data", "searchandrescue-data", "openarena-data"},
    "music": {"lmms-common", "sonic-pi-samples"},
}
CLASSES = Path("../shared/models/efficientat_mn04/class_labels_indices.csv")
SEEDS, HIDDEN, RIDGE, SHARE = 3, 1024, 300.0, 0.3
SHARPNESS, POWER = 0.25, 1.75


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


def pooled(path: Path, clips: list[Clip]) -> np.ndarray:
    """(N, 911) mean over windows of the features of each clip."""
    with np.load(path) as file:
        ids, rows = file["ids"], np.concatenate([file["embedding"], file["logits"].astype(np.float32)], 1)
    names, place = np.unique(ids, return_inverse=True)
    sums = np.zeros((len(names), rows.shape[1]), np.float64)
    np.add.at(sums, place, rows)
    mean = dict(zip(names.tolist(), sums / np.bincount(place)[:, None], strict=True))
    return np.stack([mean[clip.clip_id] for clip in clips])


def bridge(logits: np.ndarray, over: np.ndarray, class_texts: np.ndarray) -> np.ndarray:
    """(N, D) class evidence times the text vectors of class names; see ``models/bridge.py``.

    Args:
        logits: (N, 527).
        over: (M, 527) logits whose mean and spread standardise them.
        class_texts: (527, D).
    """
    stands_out = np.maximum((logits - over.mean(0)) / over.std(0), 0) ** POWER
    return unit((stands_out * (1 / (1 + np.exp(-logits))) ** SHARPNESS) @ (class_texts - class_texts.mean(0)))


def trained(train: np.ndarray, texts: np.ndarray, weight: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """(N, D) vectors of ``test`` (N, F) by ridge regression on features and random features.

    Args:
        train: (M, F) features.
        texts: (M, D) text vectors of the titles.
        weight: (M,).
        test: (N, F) features.
        seed: Of the random features.
    """
    mean, scale = train.mean(0), train.std(0) + 1e-6
    rng = np.random.default_rng(seed)
    w, b = rng.standard_normal((train.shape[1], HIDDEN)) / np.sqrt(train.shape[1]), rng.standard_normal(HIDDEN)

    def inputs(rows: np.ndarray) -> np.ndarray:
        x = (rows - mean) / scale
        return np.concatenate([x, 3 * np.maximum(x @ w + b, 0), np.ones((len(x), 1))], 1)

    a = inputs(train)
    weighted = a * weight[:, None]
    return unit(inputs(test) @ np.linalg.solve(weighted.T @ a + RIDGE * np.eye(a.shape[1]), weighted.T @ texts))


def recall(audio: np.ndarray, queries: np.ndarray, names: list[str], own: np.ndarray) -> np.ndarray:
    """(Q,) whether a clip of the title is among the first ten."""
    best = np.argsort(-(queries @ audio.T), axis=1, kind="stable")[:, :10]
    return np.array([name in own[row] for name, row in zip(names, best, strict=True)], float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True, help="file of reproduce.small.audio_features")
    parser.add_argument("--text", default="small", help="model whose text tower is used")
    parser.add_argument("--out", type=Path, default=HERE / "packs.json")
    args = parser.parse_args()
    clips = [c for c in read_manifest(SOUNDS) if source_of(c) != "urbansound8k" and c.captions]
    with np.load(args.features) as file:
        known = set(file["ids"].tolist())
    clips = [clip for clip in clips if clip.clip_id in known]
    features, split = pooled(args.features, clips), split_of(clips)
    titles = np.array([clip.captions[0].text.lower() for clip in clips])
    names, place = np.unique(titles, return_inverse=True)
    encoder = load(args.text)
    vectors = encoder.encode_text(names.tolist())
    class_texts = encoder.encode_text([name.lower() for name in class_names(CLASSES)])
    pack = np.array([pack_of(clip) for clip in clips])
    weight = 1 / np.sqrt(np.bincount(place)[place])
    values: dict[str, list] = {}
    groups: list[str] = []
    for family, packs in FAMILIES.items():
        inside = np.isin(pack, sorted(packs))
        test = np.flatnonzero(inside & (split != "train"))
        asked = sorted(set(titles[test]))
        queries = vectors[np.searchsorted(names, asked)]
        groups += [group_of(clips[test[np.flatnonzero(titles[test] == name)[0]]]) for name in asked]
        found = {
            "bridge": [
                recall(bridge(features[test, 384:], features[:, 384:], class_texts), queries, asked, titles[test])
            ]
        }
        for protocol, train in (("by recording", split == "train"), ("by pack", (split == "train") & ~inside)):
            for seed in range(SEEDS):
                head = trained(features[train], vectors[place[train]], weight[train], features[test], seed)
                both = np.concatenate(
                    [
                        np.sqrt(1 - SHARE) * head,
                        np.sqrt(SHARE) * bridge(features[test, 384:], features[train, 384:], class_texts),
                    ],
                    1,
                )
                asked_both = np.concatenate([np.sqrt(1 - SHARE) * queries, np.sqrt(SHARE) * queries], 1)
                found.setdefault(f"trained, {protocol}", []).append(recall(head, queries, asked, titles[test]))
                found.setdefault(f"mixture, {protocol}", []).append(recall(both, asked_both, asked, titles[test]))
        for name, seeds in found.items():
            values.setdefault(name, []).append(np.mean(seeds, axis=0))
        chance = 10 / len(test)
        print(
            family,
            len(test),
            "clips",
            {n: round(float(v[-1].mean()), 3) for n, v in values.items()},
            f"chance about {chance:.3f}",
        )
    results = {}
    for name, parts in values.items():
        every = np.concatenate(parts)
        low, high = interval(bootstrap([every], unit_rows(groups), resamples=1000)[:, 0])
        by_family = {f: round(float(p.mean()), 4) for f, p in zip(FAMILIES, parts, strict=True)}
        results[name] = {
            "value": round(float(every.mean()), 4),
            "low": round(low, 4),
            "high": round(high, 4),
            **by_family,
        }
        print(name, results[name])
    write_json(
        args.out,
        {
            "features": args.features.stem,
            "text": args.text,
            "clips": len(clips),
            "titles": len(groups),
            "R@10": results,
        },
    )


if __name__ == "__main__":
    main()
