"""What a training needs besides model, data and folder: its settings, and the loss with what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from askaudio.ask.objective import ASK
from askaudio.knowledge.injection.queue import MomentumEncoder
from askaudio.training.collate import Batch
from askaudio.training.phrase_grain import PhraseGrain


@dataclass(frozen=True)
class TrainSettings:
    """Settings of ``fit``.

    Attributes:
        epochs: Passes over the pairs.
        batch_size: Pairs in a batch, of all processes together.
        lr: Highest learning rate.
        audio_lr: The same for the audio tower's last layer; 0: ``lr``.
        text_lr: The same for the text tower's.
        layer_decay: Factor of the rate from a tower's layer to the one before it.
        weight_decay: Of matrices; vectors and scalars (biases, norms, temperature) have none.
        warmup_share: Share of the steps over which the rate rises; then it falls to 0 by half a cosine.
        clip_grad: Largest norm of the gradient; 0: not clipped.
        feature_dropout: Share of a frozen tower's features dropped from each input.
        mask_time: Longest stretch of a spectrogram that is blanked out, as a share of its frames; twice a clip.
        mask_mels: The same for mel bands.
        gradient_checkpointing: Towers compute their layers again in the backward pass.
        ema: Decay of an average of the weights, which is scored and kept instead of them; 0: none.
        workers: Processes that make batches; 0: this one.
        gradient_cache_chunk: Pairs encoded at once, so that memory does not grow with the batch; 0: all.
        patience: Epochs without a better validation after which training stops; 0: it never stops early.
        save_every_steps: Steps between two writes of the state, besides each epoch's end; 0: only then.
        seed: Of order, draws and dropout.
        device: ``auto``, ``cpu`` or ``cuda``; of several processes each takes one device.
        precision: ``bf16-mixed`` runs towers and projections in bfloat16; losses stay in float32.
        compile: Compile towers and projections with torch.compile; the first step waits for it.
        score_start: Validate the model before the first step, as epoch 0; it is kept if no epoch is better.
    """

    epochs: int = 20
    batch_size: int = 64
    lr: float = 1e-3
    audio_lr: float = 0.0
    text_lr: float = 0.0
    layer_decay: float = 1.0
    mask_time: float = 0.0
    mask_mels: float = 0.0
    gradient_checkpointing: bool = False
    ema: float = 0.0
    workers: int = 0
    weight_decay: float = 0.01
    warmup_share: float = 0.05
    clip_grad: float = 1.0
    feature_dropout: float = 0.0
    gradient_cache_chunk: int = 0
    patience: int = 0
    save_every_steps: int = 0
    seed: int = 0
    device: str = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    score_start: bool = False


@dataclass(frozen=True)
class Objective:
    """The loss of a training, and what must be kept or computed for it.

    Attributes:
        ask: The loss, with or without knowledge; its own parameters (a learned temperature) are trained too.
        momentum: A slowly following copy of the model, for a momentum queue or to encode the base.
        extra: Batch -> further keyword arguments of the base loss (``extra`` of ``ASK.forward``), for soft labels.
        caption_entries: The base has an entry for each caption; else one for each clip.
        phrases: The grain of events beside it, or None.
    """

    ask: ASK
    momentum: MomentumEncoder | None = None
    extra: Callable[[Batch], Mapping[str, Tensor]] | None = None
    caption_entries: bool = True
    phrases: PhraseGrain | None = None
