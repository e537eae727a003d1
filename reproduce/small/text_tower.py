"""Distil the text tower from MiniLM: its own tokenizer, a smaller transformer, the teacher's vectors as targets.

    python -m reproduce.small.text_tower --steps 4000
    python -m reproduce.small.text_tower --begin src/askaudio/encoders/small --peak-lr 5e-4   # from the shipped tower

Loss: one minus the cosine to the teacher's vector, plus the error of all cosines within the batch, by which retrieval
ranks. State is written to ``runs/small/text``, and an interrupted run continues from it. ``curve.jsonl`` has scores on
texts of another kind (Clotho's validation captions): the mean cosine, and the share of 1,045 texts whose nearest
teacher vector is their own.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from shutil import copyfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from askaudio.core.files import atomic_path, read_json, write_json
from askaudio.models.minilm import MiniLMTower, pad_tokens
from askaudio.models.small_text import MAX_TOKENS, SmallTextTower

from .shipped_weights import open_text_tower

VOCABULARY = 12_000
PEAK_LR, BATCH = 1e-3, 128


def make_tokenizer(texts: list[str]) -> Tokenizer:
    """WordPiece of lower-case words, trained on the texts."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=64))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def first_embeddings(tower: SmallTextTower) -> None:
    """Start each token's embedding from the teacher's own for the same letters, turned to its 256 main axes."""
    teacher = MiniLMTower()
    table = teacher.bert.embeddings.word_embeddings.weight.detach()  # (30522, 384)
    vocabulary = json.loads(tower.tokenizer_json())["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    rows = [teacher.token_ids([token.removeprefix("##")])[0][1:-1] or [100] for token in tokens]
    start = torch.stack([table[row].mean(0) for row in rows])
    start = start - start.mean(0)
    _, _, axes = torch.linalg.svd(start, full_matrices=False)
    start = start @ axes[:256].T
    with torch.no_grad():
        tower.bert.embeddings.word_embeddings.weight.copy_(0.05 * start / start.std())


@torch.inference_mode()
def judge(tower: SmallTextTower, texts: list[str], target: torch.Tensor) -> dict[str, float]:
    """Mean cosine to the teacher (n, 384), and share of texts whose nearest teacher vector is their own."""
    rows, out = tower.token_ids(texts), []
    for first in range(0, len(rows), 128):
        ids, mask = pad_tokens(rows[first : first + 128])
        out.append(tower(torch.from_numpy(ids), torch.from_numpy(mask)))
    got = torch.cat(out)
    own = (got @ target.T).argmax(1) == torch.arange(len(got))
    return {"cosine": round((got * target).sum(1).mean().item(), 4), "own": round(own.float().mean().item(), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, default=Path("runs/small/texts"))
    parser.add_argument("--out", type=Path, default=Path("runs/small/text"))
    parser.add_argument("--steps", type=int, default=4000, help="the learning rate falls to zero over these")
    parser.add_argument("--peak-lr", type=float, default=PEAK_LR, help="lower for a tower that begins trained")
    parser.add_argument("--begin", type=Path, help="folder of a shipped encoder whose text tower is trained further")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    texts = json.loads((args.texts / "texts.json").read_text())
    targets = np.load(args.texts / "targets.npy", mmap_mode="r")
    with np.load(args.texts / "check.npz", allow_pickle=False) as file:
        check, check_targets = json.loads(str(file["texts"])), torch.from_numpy(file["targets"].astype(np.float32))
    if args.begin:
        copyfile(args.begin / "tokenizer.json", args.out / "tokenizer.json")
    elif not (args.out / "tokenizer.json").is_file():
        make_tokenizer(texts).save(str(args.out / "tokenizer.json"))
    tower = SmallTextTower((args.out / "tokenizer.json").read_text())
    optimiser = torch.optim.AdamW(tower.parameters(), lr=PEAK_LR, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    step, seconds = 0, 0.0
    if (args.out / "state.json").is_file():
        about = read_json(args.out / "state.json")
        step, seconds = about["step"], about["seconds"]
        restore(tower, optimiser, load_file(args.out / "state.safetensors"))
    elif args.begin:
        tower.load_state_dict(open_text_tower(args.begin).state_dict())
    else:
        first_embeddings(tower)
    lengths = np.array([len(row) for row in tower.token_ids(texts)])
    began, total = time.time(), 0.0
    while step < args.steps:
        rng = np.random.default_rng([args.seed, step])
        some = rng.integers(0, len(texts), 8 * BATCH)  # texts of like length go together: little padding
        some = some[np.argsort(lengths[some], kind="stable")].reshape(8, BATCH)[rng.integers(8)]
        ids, mask = pad_tokens(tower.token_ids([texts[k] for k in some]))
        target = torch.from_numpy(targets[some].astype(np.float32))
        with torch.autocast("cpu", torch.bfloat16):
            got = tower(torch.from_numpy(ids), torch.from_numpy(mask)).float()
        loss = (1 - (got * target).sum(1)).mean() + 5 * (got @ got.T - target @ target.T).pow(2).mean()
        for group in optimiser.param_groups:
            group["lr"] = args.peak_lr * min(1, (step + 1) / 500) * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimiser.step()
        step, total = step + 1, total + loss.item()
        if step % 250 and step != args.steps:
            continue
        seconds, began = seconds + time.time() - began, time.time()
        row = {"step": step, "seconds": round(seconds), "loss": round(total / 250, 4)}
        tower.eval()
        row |= judge(tower, check, check_targets)
        tower.train()
        total = 0.0
        print(row, flush=True)
        with (args.out / "curve.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        keep(args.out, tower, optimiser, {"step": step, "seconds": seconds, "seed": args.seed})


def keep(folder: Path, tower: SmallTextTower, optimiser: torch.optim.Optimizer, about: dict) -> None:
    """State for resuming, and the tower's weights alone."""
    weights = {k: v.contiguous() for k, v in tower.state_dict().items()}
    slots = optimiser.state_dict()["state"].items()
    state = {f"tower.{k}": v for k, v in weights.items()}
    state |= {f"optimiser.{number}.{k}": v.contiguous() for number, slot in slots for k, v in slot.items()}
    for name, tensors in (("state.safetensors", state), ("text.safetensors", weights)):
        with atomic_path(folder / name) as temporary:
            save_file(tensors, temporary)
    write_json(folder / "state.json", about)


def restore(tower: SmallTextTower, optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    tower.load_state_dict({k.removeprefix("tower."): v for k, v in tensors.items() if k.startswith("tower.")})
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, slot = key.split(".")
            slots.setdefault(int(number), {})[slot] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})


if __name__ == "__main__":
    main()
