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
    near_misses: list[str] = field(default_factory=list)  # kinds of almost right texts to train against; []: none
    ontology: str = ""  # JSON file of sound classes as AudioSet's: near misses of kind label take sibling classes too
    cache: str = ""  # folder of computed features; default ~/.cache/askaudio/features


@dataclass
class ModelRecipe:
    """The two towers and what joins them."""

    init: str = ""  # start from this encoder (small, efficientat, a folder): both its sides, frozen, under projections
    audio: Literal["efficientat", "cnn"] = "efficientat"
    audio_weights: str = ""  # for efficientat: its ONNX file
    sample_rate_hz: int = field(default=32000, metadata={"min": 8000})  # for cnn
    n_mels: int = field(default=64, metadata={"min": 32})  # for cnn: a multiple of 32
    window_s: float = field(default=10.0, metadata=POSITIVE)  # for cnn: length of its input in seconds
    text: Literal["minilm"] = "minilm"
    embed_dim: int = field(default=256, metadata=AT_LEAST_1)  # with init: the encoder's own
    hidden_dim: int = field(default=512, metadata=AT_LEAST_1)
    dropout: float = field(default=0.2, metadata=SHARE)
    residual: bool = True  # a straight line beside the hidden layer of each projection
    # what the audio side takes of efficientat's frames (0.32 s each): their mean; that and the means of equal parts of
    # the time (segments); or a transformer over single frames
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
    weight_decay: float = field(default=0.01, metadata=AT_LEAST_0)
    warmup_share: float = field(default=0.05, metadata=SHARE)  # of all steps; then half a cosine down to zero
    feature_dropout: float = field(default=0.0, metadata=SHARE)  # share of a frozen tower's features dropped
    gradient_cache_chunk: int = field(default=0, metadata=AT_LEAST_0)  # pairs encoded at once for a large batch; 0: all
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
    if recipe.model.audio_head != "mean" and (recipe.model.init or recipe.model.audio != "efficientat"):
        faults.append(
            "model.audio_head: segments and transformer need the frames of model.audio=efficientat, without init"
        )
    if recipe.model.head_width % 4:
        faults.append(f"model.head_width: got {recipe.model.head_width}, expected a multiple of 4")
    faults += [
        f"data.near_misses: {kind!r} is none of {', '.join(NEAR_MISS_KINDS)}"
        for kind in recipe.data.near_misses
        if kind not in NEAR_MISS_KINDS
    ]
    faults += _knowledge_faults(recipe.knowledge)
    if recipe.train.batch_size % recipe.train.devices:
        faults.append("train.batch_size: must be a multiple of train.devices, which share each batch")
    if recipe.model.audio == "efficientat" and not recipe.model.audio_weights and not recipe.model.init:
        faults.append("model.audio_weights: efficientat needs its ONNX file, for example model.audio_weights=PATH")
    for prompt in recipe.data.prompts:
        if "{text}" not in prompt:
            faults.append(f"data.prompts: {prompt!r} has no {{text}} in it")
    return faults


def _knowledge_faults(knowledge: KnowledgeRecipe) -> list[str]:
    """Faults within the knowledge section."""
    faults = []
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
