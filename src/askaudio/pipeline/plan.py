"""What a recipe needs before anything is downloaded or decoded: parameters, memory, steps and arithmetic.

Towers are built on torch's ``meta`` device, which has shapes and no numbers, so no weights are needed and nothing is
computed. Memory of a batch is what autograd keeps of two pairs for the backward pass; arithmetic of a step is three
times the counted operations of the forward pass. Where the files of a tower are on this machine, its sizes are read
from them; of the towers that the shipped recipes name, they are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from askaudio.config.schema import HUB, ModelRecipe, Recipe
from askaudio.core.errors import AskAudioError
from askaudio.core.types import Json
from askaudio.encoders.huggingface import locate
from askaudio.models.by_name import audio_tower, text_tower
from askaudio.models.ced import CedTower
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.cnn14 import Cnn14Tower
from askaudio.models.hf_audio import HfAudioTower
from askaudio.models.hf_part import build_part, layers_of
from askaudio.models.minilm import MiniLMTower
from askaudio.models.mobilenet import MobileNetTower
from askaudio.models.tuning import tune
from askaudio.pipeline.clips import read_clips

PAIRS = {"audiocaps": 49_838, "clotho": 3_839 * 5}  # training pairs of the published sets, for recipes without data
TOKENS = 16  # of a caption
TFLOPS = 50.0  # sustained by one current GPU in bf16; a stated assumption, not a measurement
_BERT: Json = {"model_type": "bert"}
_ROBERTA: Json = {"model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
_LARGE: Json = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_SONAR: Json = {
    "model_type": "m2m_100", "vocab_size": 256206, "d_model": 1024, "encoder_layers": 24, "encoder_ffn_dim": 8192,
    "encoder_attention_heads": 16,
}  # fmt: skip
KNOWN: dict[str, tuple[str, Json]] = {  # towers of the shipped recipes -> class and configuration
    "google-bert/bert-base-uncased": ("BertModel", _BERT),
    "FacebookAI/roberta-base": ("RobertaModel", _ROBERTA),
    "FacebookAI/roberta-large": ("RobertaModel", _ROBERTA | _LARGE),
    "cointegrated/SONAR_200_text_encoder": ("M2M100Encoder", _SONAR),
    "laion/clap-htsat-unfused": ("ClapAudioModel", {"model_type": "clap_audio_model"}),
}
_CLAP_INPUT = (64, 1001)  # mel bands and frames of LAION-CLAP's front end
_CED: dict[str, Json] = {
    size: {"dim": dim, "depth": 12, "heads": dim // 64, "mlp": 4 * dim}
    for size, dim in (("tiny", 192), ("mini", 256), ("small", 384), ("base", 768))
}


@dataclass(frozen=True)
class Plan:
    """Sizes of a training.

    Attributes:
        audio_parameters: Of the audio tower; 0 where its output comes from a file.
        text_parameters: The same for the text tower.
        trained: Weights that are trained, projections included.
        weights_bytes: Weights, gradients and the optimizer's two moments.
        batch_bytes: Activations kept for the backward pass, of the pairs that are encoded at once.
        pairs: Training pairs of an epoch; 0 where the data set is not known.
        steps: Of the whole training.
        flops: Of the whole training.
    """

    audio_parameters: int
    text_parameters: int
    trained: int
    weights_bytes: int
    batch_bytes: int
    pairs: int
    steps: int
    flops: float

    @property
    def hours(self) -> float:
        """On one device that sustains ``TFLOPS``, if decoding keeps up."""
        return self.flops / (TFLOPS * 1e12) / 3600

    def to_json(self) -> Json:
        """All numbers."""
        return {**asdict(self), "hours": round(self.hours, 2), "assumed_tflops": TFLOPS}


def plan(recipe: Recipe) -> Plan:
    """Sizes of a recipe's training.

    Raises:
        ModelError: A tower whose sizes are not known here; the message says how to get it.
    """
    model, train = recipe.model, recipe.train
    audio, shape = _audio(model)
    text = _text(model)
    heads = _projections(model, audio, text)
    at_once = train.gradient_cache_chunk or train.batch_size
    kept, flops = 0.0, 0.0
    with torch.device("meta"):
        ids = torch.ones(2, TOKENS, dtype=torch.long)
        inputs: list[tuple[Any, tuple[Tensor, ...]]] = [
            (audio, (torch.zeros(2, *shape),)),
            (text, (ids, torch.ones_like(ids))),
        ]
    for tower, given in inputs:
        if tower is not None and any(p.requires_grad for p in tower.parameters()):
            one_kept, one_flops = _measure(tower, given)
            kept, flops = kept + one_kept, flops + one_flops
    if train.gradient_checkpointing:
        kept, flops = kept / 8, flops * 4 / 3  # about one layer of many is kept, and every layer runs once more
    if train.precision == "bf16-mixed":
        kept /= 2
    towers = [t for t in (audio, text, *heads) if t is not None]
    trained = sum(p.numel() for t in towers for p in t.parameters() if p.requires_grad)
    everything = sum(p.numel() for t in towers for p in t.parameters())
    pairs = _pairs(recipe)
    steps = train.epochs * (pairs // train.batch_size)
    return Plan(
        audio_parameters=_count(audio),
        text_parameters=_count(text),
        trained=trained,
        weights_bytes=4 * (everything * (2 if train.ema else 1) + 3 * trained),
        batch_bytes=round(kept * at_once),
        pairs=pairs,
        steps=steps,
        flops=3 * flops * steps * train.batch_size,
    )


def _measure(tower: nn.Module, given: tuple[Tensor, ...]) -> tuple[float, float]:
    """Bytes that autograd keeps, and floating point operations of the forward pass, of one pair."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {p.untyped_storage()._cdata for p in tower.parameters()}
    counter = FlopCounterMode(display=False)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), counter:
        tower.train()(*given)
    activations = sum(size for storage, size in kept.items() if storage not in weights)
    return activations / len(given[0]), counter.get_total_flops() / len(given[0])


def _audio(model: ModelRecipe) -> tuple[Any, tuple[int, int]]:
    """The audio tower on the meta device, or None where its output comes from a file, and the shape of its input."""
    if model.init or (model.audio == "efficientat" and model.audio_train == "frozen"):
        return None, (1, 1)
    with _meta():
        tower, shape = _audio_of(model)
        if model.audio != "cnn":
            tune(tower, model.audio_train, model.audio_layers, model.lora_rank, model.lora_alpha)
    return tower.to("meta"), shape


def _audio_of(model: ModelRecipe) -> tuple[Any, tuple[int, int]]:
    if model.audio == "cnn":
        return CnnAudioTower(model.n_mels), (model.n_mels, round(model.window_s * 100))
    name = model.audio.removeprefix(HUB)
    if model.audio.startswith(HUB) and not _here(name):
        with torch.device("cpu"):  # the library reads numbers while it builds a Swin transformer
            return HfAudioTower(*_known(name)), _CLAP_INPUT
    weights = Path(model.audio_weights.removeprefix(HUB)).expanduser()
    if not model.audio.startswith(HUB) and not weights.exists() and not _here(model.audio_weights.removeprefix(HUB)):
        frames = round(model.window_s * 100)
        if model.audio == "efficientat":
            found = re.search(r"mn(\d\d)", weights.name)
            return MobileNetTower.of_width(int(found[1]) / 10 if found else 4.0), (128, frames)
        if model.audio == "cnn14":
            return Cnn14Tower(), (64, frames)
        size = next((size for size in _CED if size in weights.name), "base")
        return CedTower(**_CED[size]), (64, frames)
    with torch.device("cpu"):  # the files are here
        tower, front_end = audio_tower(model.audio, model.audio_weights, model.window_s)
        sound = torch.zeros(round(front_end.window_s * front_end.sample_rate_hz)).numpy()
        bands, frames = front_end(sound).shape
    return tower, (bands, frames)


def _text(model: ModelRecipe) -> Any:
    """The text tower on the meta device, or None where its output comes from a file."""
    if model.init or (model.text == "minilm" and model.text_train == "frozen"):
        return None
    name = model.text.removeprefix(HUB)
    with _meta():
        if model.text == "minilm":
            tower: Any = MiniLMTower(pretrained=False)
        elif not _here(name):
            tower = _Tokens(build_part(*_known(name)))
        else:
            with torch.device("cpu"):
                loaded: Any = text_tower(model.text, model.text_pooling, model.text_prefix)
            tower = _Tokens(loaded.model)
        tune(tower, model.text_train, model.text_layers, model.lora_rank, model.lora_alpha)
    return tower.to("meta")


class _Tokens(nn.Module):
    """A text tower without tokenizer and without a mask, whose numbers the library would look at."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.dim = int(getattr(model.config, "hidden_size", None) or model.config.d_model)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.model(input_ids=ids).last_hidden_state.mean(1)

    def layer_stack(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers, and the modules after them."""
        return layers_of(self.model)


def _known(name: str) -> tuple[str, Json]:
    if name not in KNOWN:
        locate(name)  # raises, with the command that gets it
    return KNOWN[name]


def _here(name: str) -> bool:
    try:
        return bool(name) and locate(name).is_dir()
    except AskAudioError:
        return False


def _projections(model: ModelRecipe, audio: Any, text: Any) -> list[nn.Module]:
    """Linear layers as large as the projections."""
    with torch.device("meta"):
        return [
            nn.Sequential(nn.Linear(dim, model.hidden_dim), nn.Linear(model.hidden_dim, model.embed_dim))
            for dim in (getattr(audio, "dim", 384), getattr(text, "dim", 384))
        ]


def _pairs(recipe: Recipe) -> int:
    """Training pairs of an epoch, from the data set where it is given, else from the recipe's name."""
    if recipe.data.manifest:
        clips = read_clips(recipe.data).split("train")
        return len(clips) if recipe.data.captions == "one" else sum(len(clip.captions) for clip in clips)
    return next((n for corpus, n in PAIRS.items() if recipe.name.startswith(corpus)), 0)


def _count(tower: nn.Module | None) -> int:
    return 0 if tower is None else sum(p.numel() for p in tower.parameters())


@contextmanager
def _meta() -> Iterator[None]:
    with torch.device("meta"):
        yield
