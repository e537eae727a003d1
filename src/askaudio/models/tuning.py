"""What of a tower is trained, and how fast: nothing, its last layers, adapters (LoRA), or all of it.

A tower is a row of stages: what comes before its layers, each layer, and what comes after the last one, which counts
with it. Towers train slower the nearer a stage is to the input, by ``layer_decay`` a stage.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021; Howard and Ruder, "Universal Language
    Model Fine-tuning for Text Classification", 2018 (rates that fall towards the input).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.models.tower import AudioTower

How = Literal["frozen", "last", "lora", "whole"]
# the library multiplies by these weights without calling the modules, so an adapter in them would have no effect
_CALLED_BY_WEIGHT = {"WavLMModel": ("q_proj", "k_proj", "v_proj", "out_proj")}


def tune(tower: nn.Module, how: How, layers: int = 2, rank: int = 8, alpha: float = 16.0) -> None:
    """Set which weights of a tower are trained.

    Args:
        tower: Changed in place; weights that are never trained (``requires_grad`` is False) stay so.
        how: ``"frozen"``, ``"last"`` (its last layers), ``"lora"`` (adapters in its linear layers) or ``"whole"``.
        layers: For ``"last"``: how many.
        rank: For ``"lora"``: width of an adapter.
        alpha: For ``"lora"``: an adapter's output is multiplied by ``alpha / rank``.

    Raises:
        ModelError: For LoRA, a tower without linear layers.
        MissingExtraError: LoRA needs ``peft``.
    """
    if how == "whole":
        return
    if how == "lora":
        _add_adapters(tower, rank, alpha)
        return
    for stage in stages(tower)[: -layers if how == "last" else None]:
        for parameter in stage:
            parameter.requires_grad_(False)


def stages(tower: Any) -> list[list[nn.Parameter]]:
    """Parameters of each stage, from input to output; each parameter is in one."""
    if isinstance(tower, AudioTower):
        groups = [list(stage.parameters()) for stage in tower.stages()]
    elif hasattr(tower, "layer_stack"):
        layers, after = tower.layer_stack()
        groups = [[], *([p for p in layer.parameters()] for layer in layers)]
        groups[-1] += [p for module in after for p in module.parameters()]
    else:
        return [list(tower.parameters())]
    known = {id(p) for group in groups for p in group}
    rest = [p for p in tower.parameters() if id(p) not in known]
    groups[-1 if isinstance(tower, AudioTower) else 0] += rest  # a classifier; embeddings
    return groups


def frozen_stages(tower: nn.Module) -> int:
    """Number of stages at the input without a trained weight."""
    number = 0
    for stage in stages(tower):
        if any(p.requires_grad for p in stage):
            break
        number += 1
    return number


def rates(tower: nn.Module, rate: float, decay: float) -> dict[int, float]:
    """Learning rate of each trained parameter, by ``id``.

    Args:
        tower: Audio or text tower.
        rate: Of the last stage.
        decay: Factor from a stage to the one before it.
    """
    found = stages(tower)
    return {id(p): rate * decay ** (len(found) - 1 - k) for k, stage in enumerate(found) for p in stage}


def freeze_statistics(tower: nn.Module) -> None:
    """Put frozen modules into evaluation mode: their batch statistics stay, and nothing is dropped in them."""
    for module in _frozen(tower):
        module.eval()


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """State of a model with its adapters added to the weights: the keys of a model without adapters."""
    state = model.state_dict()
    adapted: dict[str, Any] = {
        name: m for name, m in model.named_modules() if hasattr(m, "base_layer") and hasattr(m, "get_delta_weight")
    }
    for name, module in adapted.items():
        own = {key: state.pop(key) for key in list(state) if key.startswith(f"{name}.")}
        for key, value in own.items():
            if key.startswith(f"{name}.base_layer."):
                state[f"{name}.{key.removeprefix(f'{name}.base_layer.')}"] = value
        with torch.no_grad():
            weight = state[f"{name}.weight"]
            state[f"{name}.weight"] = weight + module.get_delta_weight("default").to(weight.dtype)
    return state


def _frozen(module: nn.Module) -> Iterator[nn.Module]:
    parameters = list(module.parameters())
    if not parameters:
        return
    if not any(p.requires_grad for p in parameters):
        yield module
        return
    for child in module.children():
        yield from _frozen(child)


def _add_adapters(tower: nn.Module, rank: int, alpha: float) -> None:
    peft = require("peft", "lora")
    library: Any = getattr(tower, "model", tower)
    left_out = _CALLED_BY_WEIGHT.get(type(library).__name__, ())
    names = [
        name
        for name, module in tower.named_modules()
        if isinstance(module, nn.Linear) and name.split(".")[-1] not in (*left_out, "attend")
    ]
    if not any(name.split(".")[0] not in ("classifier", "fc1") for name in names):
        raise ModelError(
            "LoRA needs linear layers, which this tower lacks; train its last layers: model.audio_train=last"
        )
    own = [p for p in tower.parameters() if p.requires_grad and any(p is q for q in _pooling(tower))]
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=names, lora_dropout=0.0)
    peft.inject_adapter_in_model(config, tower)
    for parameter in own:  # an attention pooling is new, so it is trained whole
        parameter.requires_grad_(True)


def _pooling(tower: Any) -> list[nn.Parameter]:
    attend = getattr(tower, "attend", None)
    return [] if attend is None else list(attend.parameters())
