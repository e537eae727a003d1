"""What a recipe may say: one flat dataclass a section, every key with its type, its default and its limits.

This file is the whole list of options of ``askaudio train``; ``load.py`` checks a recipe against it. Configuration
ends at ``pipeline/assemble.py``: no class of a lower layer takes a recipe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

POSITIVE: dict[str, Any] = {"above": 0}
AT_LEAST_1: dict[str, Any] = {"min": 1}
AT_LEAST_0: dict[str, Any] = {"min": 0}
SHARE: dict[str, Any] = {"min": 0, "below": 1}
AUDIO_TOWERS, TEXT_TOWERS = ("efficientat", "cnn", "cnn14", "ced"), ("minilm",)
HUB = "hf:"  # before the name or folder of a model of the transformers library
How = Literal["frozen", "last", "lora", "whole"]


NEAR_MISS_KINDS = ("order", "attribute", "count", "negation", "label")
TILES_LEARNED = (
    "agreement",
    "overlap",
    "transport",
    "dual_softmax",
)  # reliabilities that are computed again at every refresh


@dataclass
class DataRecipe:
    """Which captioned sounds, and how they are divided and drawn."""

    manifest: str = ""  # anything that `askaudio data` reads: manifest.jsonl, folder, .csv, audiocaps:ROOT ...
    exclude: list[str] = field(default_factory=list)  # shell patterns over clip ids, for example urbansound8k/*
    skip_broken: bool = False  # leave sounds out that cannot be read, with a count; false: stop before the first step
    split: Literal["manifest", "group"] = "manifest"  # the manifest's own, or 70/10/20 dealt out by group
    split_seed: int = field(default=0, metadata=AT_LEAST_0)
    captions: Literal["one", "all"] = "one"  # of a clip with several: one drawn each epoch, or every one
    same_text: bool = True  # clips with equal captions: all are right for the text, or only the caption's own
    windows: Literal["random", "mean"] = "random"  # of a long clip in training: one window drawn, or the mean of all
    prompts: list[str] = field(
        default_factory=list
    )  # in training a caption is used alone or in one of these, drawn at random
    # phrases of training captions that the sound does not support, as raw features tell: keep them, or leave them out
    doubted_phrases: Literal["keep", "drop"] = "keep"
    near_misses: list[str] = field(default_factory=list)  # kinds of almost right texts to train against; []: none
    ontology: str = ""  # JSON file of sound classes as AudioSet's: near misses of kind label take sibling classes too
    cache: str = ""  # folder of computed features; default ~/.cache/askaudio/features
    # once: every sound is decoded before training, and kept; stream: decoded again each time, in train.workers
    # processes, with a window at a random place in training
    decode: Literal["once", "stream"] = "once"
    mask_time: float = field(default=0.0, metadata=SHARE)  # SpecAugment: longest stretch that is blanked out, twice
    mask_mels: float = field(default=0.0, metadata=SHARE)  # the same for mel bands
    mix: float = field(default=0.0, metadata=SHARE)  # share of pairs mixed with another clip, captions joined by "and"


@dataclass
class ModelRecipe:
    """The two towers and what joins them."""

    init: str = ""  # start from this encoder (small, efficientat, a folder): both its sides, frozen, under projections
    # efficientat, cnn14, ced: the authors' towers; cnn: a small one without pretraining; hf:OWNER/NAME or hf:FOLDER
    audio: str = field(default="efficientat", metadata={"one_of": AUDIO_TOWERS, "or": HUB})
    audio_weights: str = ""  # for efficientat, cnn14 and ced: the authors' file
    audio_train: How = "frozen"  # what of a pretrained tower is trained: nothing, its last layers, adapters, all of it
    audio_layers: int = field(default=2, metadata=AT_LEAST_1)  # for audio_train: last
    sample_rate_hz: int = field(default=32000, metadata={"min": 8000})  # for cnn
    n_mels: int = field(default=64, metadata={"min": 32})  # for cnn: a multiple of 32
    window_s: float = field(default=10.0, metadata=POSITIVE)  # length of the input in seconds, where a tower is free
    text: str = field(default="minilm", metadata={"one_of": TEXT_TOWERS, "or": HUB})
    text_train: How = "frozen"
    text_layers: int = field(default=2, metadata=AT_LEAST_1)  # for text_train: last
    text_pooling: Literal["mean", "cls", "attention"] = "mean"  # for hf: how tokens become one vector
    text_prefix: str = ""  # for hf: put before every text, as E5 needs it
    lora_rank: int = field(default=8, metadata=AT_LEAST_1)  # for lora, of both towers
    lora_alpha: float = field(default=16.0, metadata=POSITIVE)
    embed_dim: int = field(default=256, metadata=AT_LEAST_1)  # with init: the encoder's own
    hidden_dim: int = field(default=512, metadata=AT_LEAST_1)
    dropout: float = field(default=0.2, metadata=SHARE)
    residual: bool = True  # a straight line beside the hidden layer of each projection
    # what the audio side takes of the tower's frames (efficientat: 0.32 s each): the tower's own vector; the means of
    # equal parts of the time beside it (segments); or a transformer over single frames
    audio_head: Literal["mean", "segments", "transformer"] = "mean"
    segments: int = field(default=3, metadata=AT_LEAST_1)  # for audio_head: segments
    head_layers: int = field(default=1, metadata=AT_LEAST_1)  # for audio_head: transformer
    head_width: int = field(default=192, metadata={"min": 8})  # for audio_head: transformer; a multiple of 4


@dataclass
class LossRecipe:
    """The contrastive loss of a batch."""

    kind: Literal["ntxent", "sigmoid", "triplet", "transport"] = "ntxent"
    temperature: float = field(default=0.07, metadata=POSITIVE)  # of ntxent and sigmoid
    learn_temperature: bool = True
    margin: float = field(default=0.2, metadata=POSITIVE)  # of triplet
    near_miss_weight: float = field(default=1.0, metadata=AT_LEAST_0)  # of the near misses that data.near_misses names


@dataclass
class KnowledgeRecipe:
    """What the loss sees beside the batch: nothing, ASK, one part of it, or a null model that it must beat.

    ``text_similarity`` and ``offline`` put soft labels in the place of ``loss.kind``.
    """

    kind: Literal[
        "none", "ask", "static", "fine", "coarse", "blend", "random", "xbm", "queue", "text_similarity", "offline"
    ] = "none"  # fmt: skip
    fine_weight: float = field(default=1.0, metadata=AT_LEAST_0)
    coarse_weight: float = field(default=0.5, metadata=AT_LEAST_0)
    phrase_weight: float = field(
        default=0.0, metadata=AT_LEAST_0
    )  # of phrases against segments, with a base of their own
    neighbors: int = field(default=8, metadata=AT_LEAST_0)  # K of the fine grain
    prototypes: int = field(default=256, metadata=AT_LEAST_1)  # P of the coarse grain
    entries: Literal["caption", "clip"] = "caption"  # of the base: each caption, or each clip with its captions' mean
    candidates: int = field(default=0, metadata=AT_LEAST_0)  # entries drawn at each step; 0: the whole base
    read_every: int = field(default=1, metadata=AT_LEAST_1)  # each step reads every n-th entry, all in turn; 1: all
    # posterior: as estimated from raw features; cut: that at one half; the others look at the learned space
    reliability: Literal["none", "posterior", "cut", "agreement", "overlap", "transport", "dual_softmax"] = "none"
    refresh: Literal["epochs", "steps", "drift", "parts"] = "epochs"  # when the base is encoded again; parts: always
    refresh_epochs: int = field(default=1, metadata=AT_LEAST_1)
    refresh_early: int = field(
        default=0, metadata=AT_LEAST_0
    )  # first epoch: also after this step, then at each doubling
    refresh_steps: int = field(default=500, metadata=AT_LEAST_1)  # for steps; for parts: of one round over the base
    refresh_drift: float = field(default=0.05, metadata=POSITIVE)  # mean 1 - cosine that is too much
    refresh_by: Literal["model", "momentum"] = "model"  # who encodes the base: the model, or its slow copy
    write_through: bool = False  # a step's embeddings overwrite their own entries
    graph: Literal["none", "mean", "attention"] = "none"  # message passing after each refresh; attention is learned
    graph_alpha: float = field(default=0.2, metadata={"min": 0, "max": 1})  # share of the neighbors' message
    graph_depth: int = field(default=1, metadata=AT_LEAST_1)
    queue_size: int = field(default=2048, metadata=AT_LEAST_1)  # for xbm and queue
    momentum: float = field(default=0.995, metadata=SHARE)  # of the slow copy, for queue and refresh_by: momentum
    teacher: str = ""  # for offline: the run folder of a finished training with the same towers


@dataclass
class TrainRecipe:
    """The loop."""

    epochs: int = field(default=20, metadata=AT_LEAST_1)
    batch_size: int = field(default=64, metadata={"min": 2})
    lr: float = field(default=1e-3, metadata=POSITIVE)
    audio_lr: float = field(default=0.0, metadata=AT_LEAST_0)  # of the audio tower's last layer; 0: lr
    text_lr: float = field(default=0.0, metadata=AT_LEAST_0)
    layer_decay: float = field(default=1.0, metadata={"above": 0, "max": 1})  # factor from a layer to the one before it
    weight_decay: float = field(default=0.01, metadata=AT_LEAST_0)
    warmup_share: float = field(default=0.05, metadata=SHARE)  # of all steps; then half a cosine down to zero
    feature_dropout: float = field(default=0.0, metadata=SHARE)  # share of a frozen tower's features dropped
    gradient_cache_chunk: int = field(default=0, metadata=AT_LEAST_0)  # pairs encoded at once for a large batch; 0: all
    gradient_checkpointing: bool = False  # layers are computed again in the backward pass: less memory, more time
    ema: float = field(default=0.0, metadata=SHARE)  # decay of averaged weights, which are scored and kept; 0: none
    workers: int = field(default=0, metadata=AT_LEAST_0)  # processes that decode and make batches; 0: this one
    clip_grad: float = field(default=1.0, metadata=AT_LEAST_0)  # largest gradient norm; 0: not clipped
    patience: int = field(default=0, metadata=AT_LEAST_0)  # epochs without a better validation; 0: never stop early
    save_every_steps: int = field(default=0, metadata=AT_LEAST_0)  # state for resuming, besides each epoch's end
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = field(default=1, metadata=AT_LEAST_1)  # processes on this machine that share each batch
    precision: Literal["32-true", "bf16-mixed"] = "32-true"  # bf16-mixed: towers in bfloat16, for a GPU
    compile: bool = False  # towers through torch.compile: pays on a GPU after some hundred steps
    threads: int = field(default=0, metadata=AT_LEAST_0)  # torch threads; 0: torch's own choice


@dataclass
class Recipe:
    """Everything a run needs to be repeated."""

    name: str = "run"
    seed: int = field(default=0, metadata=AT_LEAST_0)
    data: DataRecipe = field(default_factory=DataRecipe)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    knowledge: KnowledgeRecipe = field(default_factory=KnowledgeRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)


def joint_faults(recipe: Recipe) -> list[str]:
    """Faults that no key shows alone, each as ``key: what``."""
    faults = []
    if not recipe.data.manifest:
        faults.append("data.manifest: nothing given; name the captioned sounds, for example data.manifest=PATH")
    if recipe.model.audio == "cnn" and recipe.model.n_mels % 32:
        faults.append(f"model.n_mels: got {recipe.model.n_mels}, expected a multiple of 32")
    if recipe.knowledge.kind in ("xbm", "queue") and recipe.knowledge.queue_size < recipe.train.batch_size:
        faults.append("knowledge.queue_size: must be at least train.batch_size")
    if recipe.model.audio_head != "mean" and (recipe.model.init or recipe.model.audio == "cnn"):
        faults.append("model.audio_head: segments and transformer need the frames of a pretrained tower, without init")
    if recipe.model.head_width % 4:
        faults.append(f"model.head_width: got {recipe.model.head_width}, expected a multiple of 4")
    faults += [
        f"data.near_misses: {kind!r} is none of {', '.join(NEAR_MISS_KINDS)}"
        for kind in recipe.data.near_misses
        if kind not in NEAR_MISS_KINDS
    ]
    faults += _knowledge_faults(recipe.knowledge)
    if recipe.knowledge.phrase_weight and recipe.train.devices > 1:
        faults.append("knowledge.phrase_weight: phrases of a batch cannot be shared by processes; take train.devices=1")
    if recipe.train.batch_size % recipe.train.devices:
        faults.append("train.batch_size: must be a multiple of train.devices, which share each batch")
    faults += _tower_faults(recipe)
    for prompt in recipe.data.prompts:
        if "{text}" not in prompt:
            faults.append(f"data.prompts: {prompt!r} has no {{text}} in it")
    return faults


def _tower_faults(recipe: Recipe) -> list[str]:
    """Faults of towers and of what is done to their inputs."""
    model, data, faults = recipe.model, recipe.data, []
    if model.audio in ("efficientat", "cnn14", "ced") and not model.audio_weights and not model.init:
        faults.append(
            f"model.audio_weights: {model.audio} needs the authors' file, for example model.audio_weights=PATH"
        )
    if model.init and (model.audio_train != "frozen" or model.text_train != "frozen"):
        faults.append("model.init: keeps both sides frozen; name towers instead: model.audio=... model.text=...")
    trained_audio = model.audio == "cnn" or model.audio_train != "frozen"
    for key, given in (
        ("decode", data.decode == "stream"),
        ("mask_time", data.mask_time),
        ("mask_mels", data.mask_mels),
    ):
        if given and not trained_audio:
            faults.append(f"data.{key}: the audio tower is frozen and its output kept; set model.audio_train")
    if data.decode == "stream" and data.windows == "mean":
        faults.append("data.windows: stream takes one window a clip; leave mean out")
    if data.mix and (data.decode != "stream" or model.text_train == "frozen"):
        faults.append("data.mix: needs waveforms and words: data.decode=stream, and model.text_train other than frozen")
    if recipe.knowledge.kind == "text_similarity" and model.text_train != "frozen":
        faults.append("knowledge.kind: text_similarity compares the vectors of a frozen text tower")
    return faults


def _knowledge_faults(knowledge: KnowledgeRecipe) -> list[str]:
    """Faults within the knowledge section."""
    faults = []
    if knowledge.phrase_weight and (knowledge.refresh == "parts" or knowledge.graph != "none"):
        faults.append("knowledge.phrase_weight: the base of phrases is refreshed whole and without a graph")
    if knowledge.kind == "offline" and not knowledge.teacher:
        faults.append("knowledge.teacher: offline needs a finished training, for example knowledge.teacher=runs/plain")
    if knowledge.refresh == "parts" and (knowledge.graph != "none" or knowledge.reliability in TILES_LEARNED):
        faults.append(
            "knowledge.refresh: parts keeps no whole fresh base, which graph and learned reliabilities need; take steps"
        )
    if (knowledge.candidates or knowledge.read_every > 1) and knowledge.kind == "blend":
        faults.append("knowledge.candidates: blend contrasts with no base; leave candidates and read_every out")
    if knowledge.candidates and knowledge.read_every > 1:
        faults.append("knowledge.candidates: draws of a large base, or knowledge.read_every of a small one: give one")
    return faults
