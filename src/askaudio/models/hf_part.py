"""One side of a model of the transformers library: loading it from a folder, and rebuilding it from its settings.

Only safetensors weights are read and only classes of the library itself are built, so no code of a model's folder runs.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from askaudio.core.errors import DataError, ModelError
from askaudio.core.extras import require
from askaudio.core.files import read_json
from askaudio.core.types import Json

EXTRA = "hf"


@dataclass(frozen=True)
class Part:
    """Where a tower is in a model of the library.

    Attributes:
        whole: Class of the saved model.
        path: Attributes from it to the tower; empty for the model itself.
        tower: Class of the tower.
        module: Module of the library that defines both.
    """

    whole: str
    path: str
    tower: str
    module: str


AUDIO = {
    "clap": Part("ClapModel", "audio_model", "ClapAudioModel", "clap"),
    "clap_audio_model": Part("ClapAudioModel", "", "ClapAudioModel", "clap"),
    "audio-spectrogram-transformer": Part("ASTModel", "", "ASTModel", "audio_spectrogram_transformer"),
    "whisper": Part("WhisperModel", "encoder", "WhisperEncoder", "whisper"),
    "wavlm": Part("WavLMModel", "", "WavLMModel", "wavlm"),
    "hubert": Part("HubertModel", "", "HubertModel", "hubert"),
    "wav2vec2": Part("Wav2Vec2Model", "", "Wav2Vec2Model", "wav2vec2"),
    "data2vec-audio": Part("Data2VecAudioModel", "", "Data2VecAudioModel", "data2vec"),
    "pe_audio": Part("PeAudioModel", "audio_encoder", "PeAudioEncoder", "pe_audio"),
    "pe_audio_encoder": Part("PeAudioEncoder", "", "PeAudioEncoder", "pe_audio"),
    "pe_audio_video": Part("PeAudioVideoModel", "audio_model.audio_encoder", "PeAudioEncoder", "pe_audio_video"),
}
TEXT = {
    "bert": Part("BertModel", "", "BertModel", "bert"),
    "roberta": Part("RobertaModel", "", "RobertaModel", "roberta"),
    "xlm-roberta": Part("XLMRobertaModel", "", "XLMRobertaModel", "xlm_roberta"),
    "mpnet": Part("MPNetModel", "", "MPNetModel", "mpnet"),
    "modernbert": Part("ModernBertModel", "", "ModernBertModel", "modernbert"),
    "distilbert": Part("DistilBertModel", "", "DistilBertModel", "distilbert"),
    "deberta-v2": Part("DebertaV2Model", "", "DebertaV2Model", "deberta_v2"),
    "electra": Part("ElectraModel", "", "ElectraModel", "electra"),
    "clap": Part("ClapModel", "text_model", "ClapTextModel", "clap"),
    "clap_text_model": Part("ClapTextModel", "", "ClapTextModel", "clap"),
    "m2m_100": Part("M2M100Model", "encoder", "M2M100Encoder", "m2m_100"),
    "t5": Part("T5EncoderModel", "", "T5EncoderModel", "t5"),
}
# drawn at random in training by the library itself; a resumed run must draw what the first one drew, and a layer that
# is left out has no gradient, which data parallel training does not allow
_NO_DRAWS = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")


def load_part(folder: Path, parts: dict[str, Part]) -> nn.Module:
    """The tower in a saved model, in evaluation mode.

    Args:
        folder: Holds ``config.json`` and safetensors weights.
        parts: ``AUDIO`` or ``TEXT``.

    Raises:
        ModelError: Another architecture, or weights that are missing or damaged.
        MissingExtraError: transformers is not installed.
    """
    require("transformers.utils.logging", EXTRA).disable_progress_bar()  # the command line has its own
    config = config_of(folder)
    kind = str(config.get("model_type", ""))
    if kind not in parts:
        raise ModelError(f"{folder} has model_type {kind!r}; as a tower this version takes {', '.join(sorted(parts))}")
    part = parts[kind]
    saved = (config.get("architectures") or [part.whole])[0]
    direct = saved == part.tower or not part.path
    cls = _class(part, part.tower if direct else part.whole)
    try:
        model = cls.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, attn_implementation="eager", dtype="float32"
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder} holds no {kind} that can be read: {str(error).splitlines()[0]}") from error
    for name in [] if direct else part.path.split("."):
        model = getattr(model, name)
    return _settled(model)


def build_part(tower: str, config: Json) -> nn.Module:
    """The tower with random weights, which a checkpoint's will replace.

    Args:
        tower: Class name, as ``settings_of`` gives it.
        config: Its configuration.

    Raises:
        ModelError: A class that is no tower of this version.
    """
    transformers = require("transformers", EXTRA)
    part = next((p for p in (*AUDIO.values(), *TEXT.values()) if p.tower == tower), None)
    if part is None:
        raise ModelError(f"unknown tower {tower!r} of the transformers library; update askaudio")
    kind = str(config["model_type"])
    loaded = transformers.CONFIG_MAPPING[kind].from_dict(config)
    loaded._attn_implementation = "eager"
    return _settled(_class(part, tower)(loaded))


def settings_of(model: nn.Module) -> Json:
    """What ``build_part`` takes."""
    config: Any = model.config
    return {"tower": type(model).__name__, "config": json.loads(config.to_json_string(use_diff=False))}


def config_of(folder: Path) -> Json:
    """``config.json`` of a saved model; empty where there is none."""
    try:
        config = read_json(folder / "config.json")
    except DataError:
        return {}
    return config if isinstance(config, dict) else {}


def layers_of(model: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """The transformer layers of a model, and the modules after them."""
    owner: Any = model
    for name in ("audio_encoder", "encoder", "transformer"):
        owner = getattr(owner, name, owner)
    layers = next(getattr(owner, name) for name in ("layers", "layer", "block") if hasattr(owner, name))
    after = {id(m): m for place in (owner, model) for m in _norms(place)}
    return list(layers), list(after.values())


def is_checkpointing(model: nn.Module) -> bool:
    """Whether layers are computed again in the backward pass."""
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def set_checkpointing(model: Any, on: bool) -> None:
    """Compute layers again in the backward pass instead of keeping their activations, or keep them.

    Raises:
        ModelError: The library has no checkpointing for this model.
    """
    if on and not model.supports_gradient_checkpointing:
        raise ModelError(
            f"{type(model).__name__} has no gradient checkpointing; leave train.gradient_checkpointing out, and save "
            "memory with train.gradient_cache_chunk"
        )
    # newer versions of the library have the first name, older ones the second
    name = next(n for n in ("activation_checkpointing", "gradient_checkpointing") if hasattr(model, f"{n}_enable"))
    if on:
        getattr(model, f"{name}_enable")({"use_reentrant": False})
    else:
        getattr(model, f"{name}_disable")()


def _norms(place: nn.Module) -> Iterator[nn.Module]:
    names = ("norm", "final_norm", "layer_norm", "layernorm", "final_layer_norm", "output")
    return (module for name, module in place.named_children() if name in names)


def _class(part: Part, name: str) -> Any:
    """A class of the library; some towers are not among its public names."""
    place = "pe_audio" if name == "PeAudioEncoder" else part.module
    kind = {"data2vec": "data2vec_audio"}.get(place, place)
    return getattr(importlib.import_module(f"transformers.models.{place}.modeling_{kind}"), name)


def _settled(model: Any) -> nn.Module:
    """Without what this project does itself or does not use: random layers, masks, poolers without a use."""
    for name in _NO_DRAWS:
        if hasattr(model.config, name):
            setattr(model.config, name, 0.0)
    if hasattr(model, "layerdrop"):
        model.layerdrop = 0.0
    if type(model).__name__ == "ClapTextModel":
        model.pooler.requires_grad_(False)  # its output is not used, but the library computes it
    elif getattr(model, "pooler", None) is not None:
        model.pooler = None
    if getattr(model, "masked_spec_embed", None) is not None:
        model.config.apply_spec_augment = False
        model.masked_spec_embed.requires_grad_(False)
    return model.eval()
