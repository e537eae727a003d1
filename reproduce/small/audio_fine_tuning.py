"""Fine-tune the distilled audio tower on the vector that search uses: the output of the aligned projection.

    python -m reproduce.small.audio_fine_tuning --teacher ../shared/models/efficientat_mn04/mn04_as.onnx

The student and a copy of the teacher's audio projection are trained together to match the teacher's projected vector of
the same mixture. The losses on embedding and class logits remain, those on the inner maps are dropped. The projection
is that of ``alignment`` or, with ``--heads src/askaudio/encoders/efficientat_head/head.onnx``, the shipped one.
An interrupted run continues from ``runs/small/finish``, where the result is too (``audio.safetensors`` and ``heads/``).
30 to 75 examples a second.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from askaudio.core.files import atomic_path, read_json, write_json
from askaudio.models.bridge import BridgeAudioProjection
from askaudio.models.small_audio import SmallAudioTower

from .alignment import read_head, save_head
from .audio_tower import Scale, class_divergence, weights_of
from .corpus import open_corpus
from .mixing import random_batch
from .shipped_weights import open_audio_head
from .teacher import Teacher

PEAK_LR, WARMUP = 8e-4, 1000


def open_head(path: Path, share: float) -> BridgeAudioProjection:
    """The audio head of alignment.py's folder, or of a shipped graph."""
    if path.suffix == ".onnx":
        return open_audio_head(path, share)
    return read_head(path, "audio", BridgeAudioProjection, share)


def loss_parts(
    tower: SmallAudioTower,
    mine: BridgeAudioProjection,
    theirs: BridgeAudioProjection,
    x: np.ndarray,
    answer: tuple,
    scale: Scale,
) -> dict[str, torch.Tensor]:
    """Errors of the vector, the embedding and the classes on mixtures (B, 128, T)."""
    _, embedding, logits = (torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in answer)
    with torch.autocast("cpu", torch.bfloat16):
        last = tower.maps(torch.from_numpy(x))[-1]
    got = last.float().mean((2, 3))
    got_logits = tower.classifier(got)
    with torch.no_grad():
        target = theirs(torch.cat([embedding, logits], 1))
    vector = mine(torch.cat([got, got_logits], 1))
    parts = {"vector": 1 - nn.functional.cosine_similarity(vector, target).mean()}
    error = scale.standard(embedding, "embedding") - scale.standard(got, "embedding")
    parts["embedding"] = error.pow(2).mean()
    parts["logits"] = ((got_logits - logits) / scale.tensors["logits.std"]).pow(2).mean()
    parts["classes"] = class_divergence(got_logits, logits)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--heads", type=Path, default=Path("runs/small/heads/mn04_as"))
    parser.add_argument("--share", type=float, default=0.4)
    parser.add_argument("--begin", type=Path, default=Path("runs/small/audio"))
    parser.add_argument("--corpus", type=Path, default=Path("runs/small/corpus"))
    parser.add_argument("--class-evidence", type=Path, help="as for audio_tower.py")
    parser.add_argument("--out", type=Path, default=Path("runs/small/finish"))
    parser.add_argument("--examples", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    teacher, theirs = Teacher(args.teacher), open_head(args.heads, args.share)
    tower, mine = SmallAudioTower(), open_head(args.heads, args.share)
    state = load_file(args.begin / "state.safetensors")
    scale = Scale({k.removeprefix("scale."): v for k, v in state.items() if k.startswith("scale.")})
    tower.load_state_dict(load_file(args.begin / "audio.safetensors"))
    parameters = [*tower.parameters(), *mine.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=PEAK_LR, weight_decay=1e-3, fused=True)
    done, seconds = 0, 0.0
    if (args.out / "state.json").is_file():
        about = read_json(args.out / "state.json")
        done, seconds = about["done"], about["seconds"]
        tower.load_state_dict(load_file(args.out / "audio.safetensors"))
        mine.load_state_dict(load_file(args.out / "heads/audio.safetensors"))
    corpus = open_corpus(args.corpus)
    weights = weights_of(args.corpus, corpus, args.class_evidence)
    sums: dict[str, float] = {}
    steps, began = 0, time.time()
    while done < args.examples:
        rng = np.random.default_rng([args.seed + 1000, done])
        x = random_batch(corpus, weights, rng)
        tower.train()
        mine.train()
        parts = loss_parts(tower, mine, theirs, x, teacher(x), scale)
        for group in optimiser.param_groups:
            warm = min(1.0, (done + 1) / WARMUP)
            group["lr"] = PEAK_LR * warm * 0.5 * (1 + math.cos(math.pi * done / args.examples))
        optimiser.zero_grad(set_to_none=True)
        (4 * parts["vector"] + parts["embedding"] + 0.5 * parts["logits"] + 0.5 * parts["classes"]).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        before, done, steps = done, done + len(x), steps + 1
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        if done // 2048 == before // 2048 and done < args.examples:
            continue
        seconds, began = seconds + time.time() - began, time.time()
        row = {"done": done, "seconds": round(seconds), **{k: round(v / steps, 4) for k, v in sums.items()}}
        print(row, flush=True)
        with (args.out / "curve.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        with atomic_path(args.out / "audio.safetensors") as temporary:
            save_file({k: v.contiguous() for k, v in tower.state_dict().items()}, temporary)
        save_head(args.out / "heads", "audio", mine)
        write_json(args.out / "state.json", {"done": done, "seconds": seconds, "seed": args.seed})
        sums, steps = {}, 0


if __name__ == "__main__":
    main()
