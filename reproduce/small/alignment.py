"""Train the projections that bring audio features and text vectors into one space; three minutes of one core a seed.

    python -m reproduce.small.alignment --tower mn04_as    # needs audio_features, text_tower and paired_mixtures

The score of a pair has two parts. The bridge needs no training: class probabilities times the text vectors of the class
names. The trained part learns from titles of recordings with ASK: the training groups of ``sounds/`` without
urbansound8k and, with a low weight, the clips of ``gather`` (whose titles are file names). It is also distilled from
the bridge's ranking of random texts for random sounds, so that it covers words that no title contains.

The share of the two parts is chosen on the validation groups and on kitchen labels (from a second run without any
kitchen recording). The test groups and the street sounds are scored once, at the end.
Writes ``runs/small/heads/TOWER/`` (safetensors and JSON). ``audio_fine_tuning`` starts from these projections.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from askaudio.ask.objective import ASK
from askaudio.core.files import read_json, write_json
from askaudio.data.manifest import read_manifest, split_by_group
from askaudio.encoders.efficientat import class_names
from askaudio.knowledge.base.knowledge_base import KnowledgeBase
from askaudio.losses.ntxent import NTXent
from askaudio.models.bridge import EMBEDDING, BridgeAudioProjection, BridgeTextProjection, teach_names
from askaudio.models.minilm import MiniLMFeatures, pad_tokens
from askaudio.models.small_text import SmallTextTower

from .audio_features import open_tower, read
from .audio_tower import count_alike

Head = TypeVar("Head", BridgeAudioProjection, BridgeTextProjection)
EPOCHS, BATCH, TEMPERATURE, LR, FEATURE_DROPOUT = 8, 256, 0.07, 1e-3, 0.3
JOINED = 0.25  # weight of the mixtures and sentences of paired_mixtures.py
GATHERED = 0.1  # weight of a gathered title against one of sounds/
RANKING_TEXTS, RANKING_TEMPERATURE = 40_000, 0.1
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0)


@dataclass(frozen=True)
class Sounds:
    """Windows of recordings: features (n, 911), and for each its clip, title, split, set and label."""

    features: Tensor
    clip: np.ndarray
    title: np.ndarray
    split: np.ndarray
    part: np.ndarray
    label: np.ndarray

    def where(self, keep: np.ndarray) -> Sounds:
        return Sounds(self.features[torch.from_numpy(keep)], *(x[keep] for x in self.columns()))

    def columns(self) -> tuple[np.ndarray, ...]:
        return self.clip, self.title, self.split, self.part, self.label


def load_sounds(features: list[Path], sounds: Path, gathered: Path) -> Sounds:
    """Windows with a title. Street sounds have the split "street"; gathered sounds are for training."""
    manifest = read_manifest(sounds)
    clean = manifest.where([not c.clip_id.startswith("urbansound8k/") for c in manifest])
    split = {c.clip_id: str(c.split) for c in split_by_group(clean)}
    about = {c.clip_id: (c.captions[0].text, c.clip_id.split("/")[0], c.label) for c in manifest if c.captions}
    if gathered.is_file():
        for clip in read_manifest(gathered):
            split[clip.clip_id] = "train"
            about[clip.clip_id] = (clip.captions[0].text if clip.captions else "", "gathered", "")
    rows, kept, encoded = [], [], set()
    for path in features:
        arrays = read(path)
        ids = arrays["ids"].tolist()
        for k, clip_id in enumerate(ids):
            if clip_id in about and about[clip_id][0] and clip_id not in encoded:
                title, part, label = about[clip_id]
                rows.append((clip_id, title.lower(), split.get(clip_id, "street"), part, label))
                kept.append(np.concatenate([arrays["embedding"][k], arrays["logits"][k].astype(np.float32)]))
        encoded |= set(ids)
    return Sounds(torch.from_numpy(np.stack(kept)), *(np.array(column) for column in zip(*rows, strict=True)))


class Texts:
    """Text vectors (n, 384), each text encoded once."""

    def __init__(self, source: Path | None) -> None:
        self._known: dict[str, np.ndarray] = {}
        self._tower = None
        if source is not None:
            self._tower = SmallTextTower((source / "tokenizer.json").read_text()).eval()
            self._tower.load_state_dict(load_file(source / "text.safetensors"))

    @torch.inference_mode()
    def _encode(self, texts: list[str]) -> np.ndarray:
        if self._tower is None:
            return MiniLMFeatures().features(texts)
        out = []
        for first in range(0, len(texts), 64):
            ids, mask = pad_tokens(self._tower.token_ids(texts[first : first + 64]))
            out.append(self._tower(torch.from_numpy(ids), torch.from_numpy(mask)).numpy())
        return np.concatenate(out)

    def __call__(self, texts: list[str]) -> Tensor:
        new = sorted(set(texts) - self._known.keys(), key=len)
        if new:
            self._known |= dict(zip(new, self._encode(new), strict=True))
        return torch.from_numpy(np.stack([self._known[text] for text in texts]))


class BridgeRanking:
    """Distils the ranking of random texts for random sounds, and of random sounds for random texts, by the bridge.

    Args:
        sounds: Windows; rare sounds are drawn more often, as in ``audio_tower.weights_of``.
        texts: Text vectors (n, 384).
        audio: Projection whose bridge is the teacher.
        text: The text projection.
    """

    @torch.no_grad()
    def __init__(self, sounds: Sounds, texts: Tensor, audio: BridgeAudioProjection, text: BridgeTextProjection) -> None:
        self.features, self.texts, self._heads = sounds.features, texts, (audio, text)
        alike = count_alike(sounds.features[:, :EMBEDDING].numpy())
        self._chance = torch.from_numpy(alike).float() ** -0.5
        share, audio.share, text.share = audio.share, 1.0, 1.0  # the untrained parts only
        self._audio = torch.cat([audio(part) for part in sounds.features.split(4096)])
        self._text = torch.cat([text(part) for part in texts.split(4096)])
        audio.share = text.share = share

    def loss(self) -> Tensor:
        """Divergence of both rankings in a batch, a scalar."""
        audio, text = self._heads
        encoded, read = torch.multinomial(self._chance, BATCH), torch.randint(len(self.texts), (BATCH,))
        target = self._text[read] @ self._audio[encoded].T / RANKING_TEMPERATURE
        got = text.learned(self.texts[read]) @ audio.learned(dropped(audio, self.features[encoded])).T / TEMPERATURE
        return (divergence(target, got) + divergence(target.T, got.T)) / 2


@dataclass(frozen=True)
class Joined:
    """Mixtures of ``paired_mixtures``: features (n, 911), vectors of their sentences (n, 384), both titles of each."""

    features: Tensor
    vectors: Tensor
    titles: np.ndarray

    @classmethod
    def read(cls, path: Path, texts: Texts) -> Joined:
        with np.load(path, allow_pickle=False) as file:
            features = np.concatenate([file["embedding"], file["logits"].astype(np.float32)], 1)
            titles = np.array(json.loads(str(file["titles"])))
            return cls(torch.from_numpy(features), texts(json.loads(str(file["sentences"]))), titles)

    def without(self, titles: np.ndarray) -> Joined:
        """Mixtures that contain none of the given titles."""
        keep = torch.from_numpy(~np.isin(self.titles, titles).any(1))
        return Joined(self.features[keep], self.vectors[keep], self.titles[keep.numpy()])

    def loss(self, audio: BridgeAudioProjection, text: BridgeTextProjection) -> Tensor:
        """Contrast of mixtures and sentences in a batch, a scalar."""
        rows = torch.randint(len(self.vectors), (BATCH // 2,))
        encoded, read = audio.learned(dropped(audio, self.features[rows])), text.learned(self.vectors[rows])
        return NTXent(TEMPERATURE)(encoded, read)


def divergence(target: Tensor, got: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the rows' softmax, a scalar."""
    log_target = torch.log_softmax(target, 1)
    return (log_target.exp() * (log_target - torch.log_softmax(got, 1))).sum(1).mean()


def dropped(audio: BridgeAudioProjection, features: Tensor) -> Tensor:
    """Features (B, 911), some of them replaced by their mean."""
    kept = (torch.rand(len(features), audio.in_dim) > FEATURE_DROPOUT) / (1 - FEATURE_DROPOUT)
    return audio.mean + kept * (features - audio.mean)


def fit(
    sounds: Sounds,
    texts: Texts,
    audio: BridgeAudioProjection,
    text: BridgeTextProjection,
    seed: int,
    epochs: int,
    ranking: BridgeRanking | None,
    joined: Joined | None,
    knowledge: bool = True,
) -> None:
    """Train the learned parts on titled windows, in place; clips of one title belong together."""
    torch.manual_seed(seed)
    _, group = np.unique(sounds.title, return_inverse=True)
    vectors = texts(sounds.title.tolist())
    ids = torch.from_numpy(group)
    sizes = torch.bincount(ids)
    chance = (1.0 / sizes[ids].float()).sqrt()  # drawn less than a hundred times as often with a hundred clips
    chance[torch.from_numpy(sounds.part == "gathered")] *= GATHERED

    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        return audio.learned(sounds.features[rows]), text.learned(vectors[rows])

    audio.eval()
    with torch.no_grad():
        base = KnowledgeBase.encoded(ids, encode) if knowledge else None
    ask = ASK(base, NTXent(TEMPERATURE), encode=encode)
    parameters = [*audio.parameters(), *text.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.05)
    in_epoch = len(ids) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=epochs * in_epoch, pct_start=0.1)
    for _ in range(epochs):
        audio.train()
        for _ in range(in_epoch):
            rows = torch.multinomial(chance, BATCH)
            encoded = audio.learned(dropped(audio, sounds.features[rows]))
            loss = ask(encoded, text.learned(vectors[rows]), ids[rows]).total
            if ranking is not None:
                loss = loss + ranking.loss()
            if joined is not None:
                loss = loss + JOINED * joined.loss(audio, text)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            ask.step_ended()
        audio.eval()
        ask.epoch_ended()


def scores(audio: nn.Module, text: nn.Module, features: Tensor, queries: Tensor) -> Tensor:
    with torch.no_grad():
        return nn.functional.normalize(text(queries), dim=1) @ nn.functional.normalize(audio(features), dim=1).T


def title_recall(audio: nn.Module, text: nn.Module, sounds: Sounds, texts: Texts, k: int = 10) -> float:
    """Share of the titles of which a clip is among the first k clips; a clip scores as its best window."""
    titles = np.unique(sounds.title)
    clips, place = np.unique(sounds.clip, return_inverse=True)
    by_window = scores(audio, text, sounds.features, texts(titles.tolist()))
    by_clip = torch.full((len(titles), len(clips)), -2.0)
    by_clip.scatter_reduce_(1, torch.from_numpy(place).expand(len(titles), -1), by_window, "amax")
    title_of = np.empty(len(clips), object)
    title_of[place] = sounds.title
    best = by_clip.topk(k, 1).indices.numpy()
    return float(np.mean([title in title_of[row] for title, row in zip(titles, best, strict=True)]))


def zero_shot(audio: nn.Module, text: nn.Module, sounds: Sounds, texts: Texts) -> float:
    """Share of the first windows of clips whose nearest label text is their own."""
    _, first = np.unique(sounds.clip, return_index=True)
    names = np.unique(sounds.label)
    found = scores(audio, text, sounds.features[torch.from_numpy(first)], texts(names.tolist())).argmax(0)
    return float((names[found.numpy()] == sounds.label[first]).mean())


@dataclass(frozen=True)
class Mixtures:
    """Held-out mixtures of held_out_mixtures.py: features (n, 911) and two captions of each."""

    features: Tensor
    captions: list[list[str]]

    @classmethod
    def read(cls, path: Path, tower: str) -> Mixtures:
        with np.load(path, allow_pickle=False) as file:
            captions = json.loads(str(file["captions"]))
            if tower.startswith("mn04"):
                return cls(torch.from_numpy(np.concatenate([file["embedding"], file["logits"]], 1)), captions)
            encode_mel = open_tower(Path("runs/small") / tower)
            encoded = [np.concatenate(encode_mel(mel[None].astype(np.float32)), 1) for mel in file["mels"]]
            return cls(torch.from_numpy(np.concatenate(encoded)), captions)

    def recall(self, audio: nn.Module, text: nn.Module, texts: Texts, k: int = 10) -> float:
        """Share of captions whose mixture is among the first k."""
        queries = [captions[turn] for turn in (0, 1) for captions in self.captions]
        found = scores(audio, text, self.features, texts(queries))
        own = found.gather(1, (torch.arange(len(queries)) % len(self.captions))[:, None])
        return float(((found > own).sum(1) < k).float().mean())


def heads(sounds: Sounds, texts: Texts, classes: list[str], learned_dim: int, hidden: int, dropout: float) -> tuple:
    """Untrained projections with standardised input and the class names."""
    audio = BridgeAudioProjection(learned_dim, hidden, dropout)
    text = BridgeTextProjection(learned_dim)
    audio.standardise(sounds.features)
    teach_names(audio, text, texts([name.lower() for name in classes]))
    return audio, text


def set_share(audio: BridgeAudioProjection, text: BridgeTextProjection, share: float) -> None:
    audio.share = text.share = share


def table(audio: nn.Module, text: nn.Module, sets: dict[str, Sounds], texts: Texts) -> dict[str, float]:
    """Scores of one pair of projections."""
    out = {}
    for name, some in sets.items():
        measure = zero_shot if name in ("street", "kitchen") else title_recall
        out[name] = round(measure(audio, text, some, texts), 4)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tower", default="mn04_as", help="name of a features file")
    parser.add_argument("--sounds", type=Path, default=Path("../shared/data/sounds/manifest.jsonl"))
    parser.add_argument("--gathered", type=Path, default=Path("runs/small/gathered/manifest.jsonl"))
    parser.add_argument(
        "--classes", type=Path, default=Path("../shared/models/efficientat_mn04/class_labels_indices.csv")
    )
    parser.add_argument(
        "--text", type=Path, default=Path("runs/small/text"), help="folder of text_tower.py, or 'minilm'"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/small/heads"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="without ASK, to compare")
    parser.add_argument("--learned-dim", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--dropout", type=float, default=0.4)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--no-ranking", action="store_true", help="on titles alone, to compare")
    parser.add_argument("--no-joined", action="store_true", help="without mixtures of two sounds, to compare")
    parser.add_argument("--texts", type=Path, default=Path("runs/small/texts/texts.json"), help="of text_corpus.py")
    parser.add_argument("--quick", action="store_true", help="seed 0 on all training clips only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path("runs/small/features")
    files = [path for path in (folder / f"{args.tower}.npz", folder / f"{args.tower}_corpus.npz") if path.is_file()]
    everything = load_sounds(files, args.sounds, args.gathered)
    texts = Texts(None if str(args.text) == "minilm" else args.text)
    classes = class_names(args.classes)
    train = everything.where(everything.split == "train")
    sets = {
        "val": everything.where(everything.split == "val"),
        "kitchen": everything.where(everything.part == "kitchen20"),
        "test": everything.where(everything.split == "test"),
        "street": everything.where(everything.split == "street"),
    }
    print({name: len(np.unique(some.clip)) for name, some in {"train": train, **sets}.items()})
    mixtures = Mixtures.read(Path("runs/small/held_out/mixtures.npz"), args.tower)
    results: dict[str, list] = {}
    joined = Joined.read(folder / f"joined_{args.tower}.npz", texts)
    some_texts = np.random.default_rng(0).permutation(json.loads(args.texts.read_text()))[:RANKING_TEXTS].tolist()
    for seed in range(args.seeds):
        for without in ("",) if args.quick else ("kitchen20", ""):
            torch.manual_seed(seed)
            audio, text = heads(train, texts, classes, args.learned_dim, args.hidden, args.dropout)
            some = train.where(train.part != without)
            ranking = None if args.no_ranking else BridgeRanking(some, texts(some_texts), audio, text)
            pairs = None if args.no_joined else joined.without(train.title[train.part == without])
            fit(some, texts, audio, text, seed, args.epochs, ranking, pairs, not args.plain)
            for share in SHARES:
                set_share(audio, text, share)
                found = table(audio, text, sets, texts)
                found["mixtures"] = round(mixtures.recall(audio, text, texts), 4)
                results.setdefault(f"{without or 'all'} {share}", []).append(found)
            if not without and seed == 0:
                save_head(args.out / args.tower, "audio", audio)
                save_head(args.out / args.tower, "text", text)
    summary = {
        name: {key: round(float(np.mean([r[key] for r in rows])), 4) for key in rows[0]}
        for name, rows in results.items()
    }
    for name, row in summary.items():
        print(f"{name:16s}", row)
    left_out = {"_plain": args.plain, "_no_lesson": args.no_ranking, "_no_joined": args.no_joined}
    kind = "".join(name for name, is_so in left_out.items() if is_so)
    write_json(args.out / f"{args.tower}{kind}.json", summary)


def save_head(folder: Path, name: str, head: BridgeAudioProjection | BridgeTextProjection) -> None:
    """Weights and settings of one side."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in head.state_dict().items()}, folder / f"{name}.safetensors")
    write_json(folder / f"{name}.json", head.settings())


def read_head(folder: Path, name: str, kind: type[Head], share: float) -> Head:
    """One side as ``save_head`` wrote it, with the share that was chosen on validation."""
    settings = {key: value for key, value in read_json(folder / f"{name}.json").items() if key != "kind"}
    head = kind(**{**settings, "share": share})
    head.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return head.eval()


if __name__ == "__main__":
    main()
