"""Distil the audio tower from EfficientAT on random mixtures.

    python -m reproduce.small.audio_tower --teacher ../shared/models/efficientat_mn04/mn04_as.onnx --examples 200000
    python -m reproduce.small.audio_tower … --class-evidence runs/small/features/mn04_as_corpus.npz

The student matches the teacher's embedding, its class logits and, through layers that are discarded afterwards, its
inner maps. Every cell of a map is a target, so a small number of clips is enough. One core processes 40 to 75 examples
of 5 s a second. ``--begin src/askaudio/encoders/small/audio.onnx`` starts from the shipped tower.
State is written to ``runs/small/audio`` (safetensors and JSON), and an interrupted run continues from it.
``curve.jsonl`` has the losses and the scores on held-out recordings; ``audio.safetensors`` is the running mean of the
weights, which the later stages use.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from askaudio.core.files import atomic_path, read_json, write_json
from askaudio.models.small_audio import STAGES, SmallAudioTower

from .corpus import Corpus, open_corpus, rows_of
from .held_out import HeldOut
from .mixing import mixture, random_batch
from .shipped_weights import open_audio_tower
from .teacher import MAPS, Teacher

PEAK_LR, WARMUP = 2e-3, 4000
ALIKE = 0.7  # smallest cosine of two embeddings that count as the same kind of sound
MEAN_OVER = 4000  # examples over which the running mean of the weights looks back, at least


class Student(nn.Module):
    """The tower, with layers that map its channels to the teacher's."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = SmallAudioTower()
        widths = [channels for channels, _, _ in STAGES]
        self.bridges = nn.ModuleList(nn.Conv2d(a, b, 1) for a, (_, b) in zip(widths, MAPS[:-1], strict=True))

    def forward(self, log_mel: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        *maps, last = self.tower.maps(log_mel)
        embedding = last.float().mean((2, 3))
        logits = self.tower.classifier(embedding)
        return [b(m) for b, m in zip(self.bridges, maps, strict=True)] + [last], embedding, logits


class Scale:
    """Mean and spread of each channel of the teacher's answers, from its first batches: makes errors comparable."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors = tensors

    @classmethod
    def of(cls, answers: list[tuple[list[np.ndarray], np.ndarray, np.ndarray]]) -> Scale:
        found = {}
        for k in range(len(MAPS)):
            cells = np.concatenate([maps[k].transpose(0, 2, 3, 1).reshape(-1, MAPS[k][1]) for maps, _, _ in answers])
            found[f"std{k}"] = torch.from_numpy(cells.std(0) + 1e-3)
        for name, place in (("embedding", 1), ("logits", 2)):
            rows = np.concatenate([answer[place] for answer in answers])
            found[f"{name}.mean"] = torch.from_numpy(rows.mean(0))
            found[f"{name}.std"] = torch.from_numpy(rows.std(0) + 1e-3)
        return cls(found)

    def standard(self, rows: torch.Tensor, name: str) -> torch.Tensor:
        return (rows - self.tensors[f"{name}.mean"]) / self.tensors[f"{name}.std"]


def loss_parts(student: Student, x: torch.Tensor, answer: tuple, scale: Scale) -> dict[str, torch.Tensor]:
    """Errors of maps, embedding and logits on a batch of mixtures (B, 128, T)."""
    teacher_maps, teacher_embedding, teacher_logits = answer
    with torch.autocast("cpu", torch.bfloat16):
        maps, embedding, logits = student(x)
    parts = {}
    for k, (mine, theirs) in enumerate(zip(maps, teacher_maps, strict=True)):
        spread = scale.tensors[f"std{k}"][:, None, None]
        parts[f"map{k}"] = ((mine.float() - torch.from_numpy(theirs)) / spread).pow(2).mean()
    target = scale.standard(torch.from_numpy(teacher_embedding), "embedding")
    got = scale.standard(embedding, "embedding")
    parts["embedding"] = (target - got).pow(2).mean() + 2 * (1 - nn.functional.cosine_similarity(target, got).mean())
    theirs = torch.from_numpy(teacher_logits)
    logits = logits.float()
    parts["logits"] = ((logits - theirs) / scale.tensors["logits.std"]).pow(2).mean()
    parts["classes"] = class_divergence(logits, theirs)
    return parts


def class_divergence(mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of class probabilities from logits (B, 527), summed over classes; a scalar."""
    chance = torch.sigmoid(theirs)
    error = nn.functional.binary_cross_entropy_with_logits(mine, chance, reduction="none")
    own = nn.functional.binary_cross_entropy_with_logits(theirs, chance, reduction="none")
    return (error - own).sum(1).mean()


def total(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    """Weighted sum; the inner maps guide the training, the last three terms are the targets."""
    inner = sum(parts[f"map{k}"] for k in range(4))
    return 0.25 * inner + parts["map4"] + parts["embedding"] + 0.5 * parts["logits"] + 0.5 * parts["classes"]


def learning_rate(done: int, goal: int, peak: float = PEAK_LR) -> float:
    """Warm-up, then half a cosine to zero over the examples."""
    return peak * min(1.0, done / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(1.0, done / goal)))


def weights_of(folder: Path, corpus: Corpus, features: Path | None = None) -> np.ndarray:
    """Cumulative weights of the clips (n,): one of n clips of a kind counts as n ** -0.5.

    A kind is a group (takes of one sound) or, with the teacher's embeddings of the corpus (``audio_features``), all
    clips whose embeddings are close to each other.
    """
    rows = rows_of(folder, corpus)
    if features is None:
        groups = Counter(row["group"] or row["id"] for row in rows)
        weight = np.array([groups[row["group"] or row["id"]] ** -0.5 for row in rows])
    else:
        weight = how_many_alike(features, [row["id"] for row in rows]) ** -0.5
    return np.cumsum(weight / weight.sum())


def how_many_alike(features: Path, ids: list[str]) -> np.ndarray:
    """Number of clips whose embeddings are close to each clip's (n,), itself included; 1 for a clip without one."""
    with np.load(features, allow_pickle=False) as file:
        first = file["window"] == 0
        by_id = dict(zip(file["ids"][first].tolist(), count_alike(file["embedding"][first]).tolist(), strict=True))
    return np.array([by_id.get(clip_id, 1) for clip_id in ids], dtype=float)


def count_alike(embedding: np.ndarray) -> np.ndarray:
    """Number of rows close to each row of embeddings (n, 384): (n,), itself included."""
    unit = embedding - embedding.mean(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return np.concatenate([(unit[k : k + 1024] @ unit.T >= ALIKE).sum(1) for k in range(0, len(unit), 1024)])


class State:
    """Weights, their running mean, optimiser and counters, on disk without pickle."""

    def __init__(self, folder: Path, seed: int, begin: SmallAudioTower | None = None) -> None:
        torch.manual_seed(seed)
        self.folder, self.seed, self.done, self.seconds = folder, seed, 0, 0.0
        self.student = Student()
        if begin is not None:
            self.student.tower.load_state_dict(begin.state_dict())
        self.mean = {k: v.detach().clone() for k, v in self.student.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.student.parameters(), lr=PEAK_LR, weight_decay=1e-3, fused=True)
        self.scale: Scale | None = None
        if (folder / "state.json").is_file():
            self._read()

    def follow(self, examples: int) -> None:
        """Move the running mean of the weights."""
        keep = 1 - examples / max(MEAN_OVER, self.done * 0.05)
        for name, value in self.student.state_dict().items():
            if value.dtype.is_floating_point:
                self.mean[name].lerp_(value, 1 - keep)
            else:
                self.mean[name].copy_(value)

    def save(self) -> None:
        tensors = {f"student.{k}": v.contiguous() for k, v in self.student.state_dict().items()}
        tensors |= {f"mean.{k}": v.contiguous() for k, v in self.mean.items()}
        for number, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": v.contiguous() for k, v in slots.items()}
        assert self.scale is not None
        tensors |= {f"scale.{k}": v.contiguous() for k, v in self.scale.tensors.items()}
        with atomic_path(self.folder / "state.safetensors") as temporary:
            save_file(tensors, temporary)
        tower = {k.removeprefix("tower."): v.contiguous() for k, v in self.mean.items() if k.startswith("tower.")}
        with atomic_path(self.folder / "audio.safetensors") as temporary:
            save_file(tower, temporary)
        write_json(self.folder / "state.json", {"done": self.done, "seed": self.seed, "seconds": self.seconds})

    def _read(self) -> None:
        about = read_json(self.folder / "state.json")
        self.done, self.seconds = about["done"], about["seconds"]
        tensors = load_file(self.folder / "state.safetensors")

        def part(name: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}

        self.student.load_state_dict(part("student."))
        self.mean, self.scale = part("mean."), Scale(part("scale."))
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in part("optimiser.").items():
            number, slot = key.split(".")
            slots.setdefault(int(number), {})[slot] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, default=Path("runs/small/corpus"))
    parser.add_argument("--out", type=Path, default=Path("runs/small/audio"))
    parser.add_argument("--held-out", type=Path, help="folder made by held_out.py; without it only losses are logged")
    parser.add_argument("--examples", type=int, default=200_000, help="the learning rate falls to zero over these")
    parser.add_argument("--begin", type=Path, help="audio.onnx of a shipped tower, for a new training to start from")
    parser.add_argument("--peak-lr", type=float, default=PEAK_LR, help="lower for a tower that begins trained")
    parser.add_argument(
        "--class-evidence", type=Path, help="audio_features.py's file of the corpus, for the weights of the clips"
    )
    parser.add_argument("--log-every", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    corpus = open_corpus(args.corpus)
    weights = weights_of(args.corpus, corpus, args.class_evidence)
    begin = None
    if args.begin:
        rng = np.random.default_rng([args.seed, 1])
        some = np.stack([mixture(corpus, weights, 512, rng).T for _ in range(64)])
        begin = open_audio_tower(args.begin, torch.from_numpy(some))
    teacher, state = Teacher(args.teacher), State(args.out, args.seed, begin)
    held_out = HeldOut.read(args.held_out) if args.held_out else None
    sums: dict[str, float] = {}
    steps, began = 0, time.time()
    while state.done < args.examples:
        rng = np.random.default_rng([state.seed, state.done])
        batch = random_batch(corpus, weights, rng)
        if state.scale is None:
            more = [np.stack([mixture(corpus, weights, 512, rng).T for _ in range(32)]) for _ in range(6)]
            state.scale = Scale.of([teacher(x) for x in more])
        answer = teacher(batch)
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(state.done, args.examples, args.peak_lr)
        state.student.train()
        parts = loss_parts(state.student, torch.from_numpy(batch), answer, state.scale)
        state.optimiser.zero_grad(set_to_none=True)
        total(parts).backward()
        torch.nn.utils.clip_grad_norm_(state.student.parameters(), 5.0)
        state.optimiser.step()
        before = state.done
        state.done += len(batch)
        state.follow(len(batch))
        steps += 1
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        if state.done // args.log_every == before // args.log_every:
            continue
        state.seconds += time.time() - began
        row = {"done": state.done, "seconds": round(state.seconds), "clips": len(corpus)}
        row |= {name: round(value / steps, 4) for name, value in sums.items()}
        if held_out is not None and state.done // (4 * args.log_every) != before // (4 * args.log_every):
            tower = SmallAudioTower()
            tower.load_state_dict(
                {k.removeprefix("tower."): v for k, v in state.mean.items() if k.startswith("tower.")}
            )
            row |= held_out.judge(tower.eval())
        with (args.out / "curve.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
        sums, steps = {}, 0
        state.save()
        if len(open_corpus(args.corpus)) > len(corpus):
            corpus = open_corpus(args.corpus)
            weights = weights_of(args.corpus, corpus, args.class_evidence)
        began = time.time()


if __name__ == "__main__":
    main()
