"""Build the held-out set on which the audio tower is scored during distillation.

    python -m reproduce.small.held_out --sounds ../shared/data/sounds/manifest.jsonl --teacher FOLDER_OF_THE_TOWER

Two sets of real recordings: ten street sounds (urbansound8k, never used in training) and the kitchen sounds of groups
that the distillation excludes. Two scores for each: zero-shot labels by the bridge (class probabilities times the text
vectors of the class names, nearest label text), and labels of the nearest neighbor from another recording.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from askaudio.audio.decode import decode
from askaudio.core.files import atomic_path
from askaudio.data.manifest import read_manifest, split_by_group
from askaudio.encoders.efficientat import FRONT_END, class_names
from askaudio.models.minilm import MiniLMFeatures
from askaudio.models.small_audio import SmallAudioTower

from .evaluate import street
from .teacher import Teacher

STREET_CLIPS_A_LABEL = 24


def bridge(probabilities: np.ndarray, class_texts: np.ndarray) -> np.ndarray:
    """Unit vectors (B, C) in text space from class probabilities (B, 527) and class names' vectors (527, C)."""
    vectors = probabilities @ class_texts
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def nearest_label(vectors: np.ndarray, labels: list[str], groups: list[str]) -> float:
    """Share of rows (n, D) whose nearest row of another group has the same label."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit.T
    names, where = np.array(labels), np.array(groups)
    scores[where[:, None] == where[None]] = -2
    return float((names[scores.argmax(1)] == names).mean())


@dataclass(frozen=True)
class HeldOut:
    """Spectrograms (n, 128, 1000), the teacher's embeddings of them, and the metadata of each clip."""

    mels: np.ndarray
    teacher: np.ndarray
    class_texts: np.ndarray
    rows: list[dict]
    label_texts: dict[str, np.ndarray]

    @classmethod
    def read(cls, folder: Path) -> HeldOut:
        with np.load(folder / "held_out.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        rows = json.loads(str(arrays["rows"]))
        names = json.loads(str(arrays["labels"]))
        texts = dict(zip(names, arrays["label_texts"], strict=True))
        return cls(arrays["mels"], arrays["teacher"], arrays["class_texts"], rows, texts)

    @torch.inference_mode()
    def judge(self, tower: SmallAudioTower) -> dict[str, float]:
        """Scores of a tower."""
        outputs = [tower.outputs(torch.from_numpy(mel[None].astype(np.float32))) for mel in self.mels]
        embedding = torch.cat([e for e, _ in outputs]).numpy()
        logits = torch.cat([x for _, x in outputs]).numpy()
        return self.figures(embedding, logits)

    def figures(self, embedding: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        """Scores of embeddings (n, 384) and logits (n, 527)."""
        mean = self.teacher.mean(0)
        a, b = embedding - mean, self.teacher - mean
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        out = {"cosine": round(float(cosine.mean()), 4)}
        semantic = bridge(1 / (1 + np.exp(-logits)), self.class_texts)
        for part in ("street", "kitchen"):
            mine = [k for k, row in enumerate(self.rows) if row["set"] == part]
            labels = [self.rows[k]["label"] for k in mine]
            names = sorted(set(labels))
            scores = semantic[mine] @ np.stack([self.label_texts[name] for name in names]).T
            right = [names[k] == label for k, label in zip(scores.argmax(1), labels, strict=True)]
            out[f"{part}.bridge"] = round(float(np.mean(right)), 4)
            out[f"{part}.nearest"] = round(
                nearest_label(embedding[mine] - mean, labels, [self.rows[k]["group"] for k in mine]), 4
            )
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, required=True, help="manifest")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the published tower")
    parser.add_argument("--out", type=Path, default=Path("runs/small/held_out"))
    args = parser.parse_args()
    manifest = read_manifest(args.sounds)
    outside = [c for c in manifest if c.clip_id.startswith("urbansound8k/")]
    chosen = [("street", clip) for clip in street(outside, STREET_CLIPS_A_LABEL)]
    # the split is that of all clips without the street sounds, as in corpus.py --hold-out
    clean = manifest.where([not c.clip_id.startswith("urbansound8k/") for c in manifest])
    held = [c for c in split_by_group(clean) if c.split != "train" and c.clip_id.startswith("kitchen20/")]
    chosen += [("kitchen", clip) for clip in held]
    teacher = Teacher(next(args.teacher.glob("*.onnx")))
    mels = np.zeros((len(chosen), 128, 1000), np.float16)
    embeddings = np.zeros((len(chosen), 384), np.float32)
    logits = np.zeros((len(chosen), 527), np.float32)
    for k, (_, clip) in enumerate(chosen):
        mel = FRONT_END(decode(Path(clip.path), FRONT_END.sample_rate_hz)[:320_000])
        mels[k] = mel[:, :1000]
        _, embeddings[k : k + 1], logits[k : k + 1] = teacher(mel[None])
    texts = MiniLMFeatures()
    labels = sorted({clip.label for _, clip in chosen})
    rows = [{"set": part, "label": clip.label, "group": clip.group, "id": clip.clip_id} for part, clip in chosen]
    class_texts = texts.features(class_names(args.teacher / "class_labels_indices.csv"))
    label_texts = texts.features(labels)
    args.out.mkdir(parents=True, exist_ok=True)
    with atomic_path(args.out / "held_out.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            mels=mels,
            teacher=embeddings,
            class_texts=class_texts,
            label_texts=label_texts,
            rows=json.dumps(rows),
            labels=json.dumps(labels),
        )
    own = HeldOut.read(args.out)
    print(f"{len(chosen)} clips; the teacher itself: {own.figures(embeddings, logits)}")


if __name__ == "__main__":
    main()
