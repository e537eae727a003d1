"""Two towers and two projections that meet in one space; what training trains and what a checkpoint holds.

A tower may be absent: then its features come in ready-made (frozen towers, cached on disk), and ``audio_source`` or
``text_source`` says which tower made them, so that the checkpoint can be exported as a whole.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from askaudio.audio.front_end import FrontEnd
from askaudio.core.errors import ModelError
from askaudio.core.files import atomic_path, read_json, sha256_file, write_json
from askaudio.core.types import Json
from askaudio.encoders.efficientat import FRONT_END
from askaudio.models.bridge import BridgeAudioProjection, BridgeTextProjection
from askaudio.models.ced import CedTower
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.cnn14 import Cnn14Tower
from askaudio.models.frame_head import SegmentProjection, TransformerProjection
from askaudio.models.hf_audio import HfAudioTower
from askaudio.models.hf_text import HfTextTower
from askaudio.models.minilm import MiniLMTower
from askaudio.models.mobilenet import MobileNetTower
from askaudio.models.projection import Projection
from askaudio.models.small_audio import SmallAudioTower
from askaudio.models.small_text import SmallTextTower
from askaudio.models.tower import AudioTower
from askaudio.models.tuning import freeze_statistics, plain_state
from askaudio.models.weights import fill

FORMAT = 1
WEIGHTS_FILE, SETTINGS_FILE = "weights.safetensors", "dual_encoder.json"
MAX_LOGIT_SCALE = 100.0
_TOWERS: tuple[Any, ...] = (
    CnnAudioTower, SmallAudioTower, MobileNetTower, Cnn14Tower, CedTower, HfAudioTower,
    MiniLMTower, SmallTextTower, HfTextTower,
)  # fmt: skip
TOWERS: dict[str, type[nn.Module]] = {tower.kind: tower for tower in _TOWERS}
FRAME_HEADS = (SegmentProjection, TransformerProjection)  # these take frames and lengths instead of a vector
NO_TOKEN = -1  # padding in a row of token ids
AnyProjection = Projection | SegmentProjection | TransformerProjection | BridgeAudioProjection | BridgeTextProjection
PROJECTIONS: dict[str, type[AnyProjection]] = {
    head.kind: head
    for head in (Projection, SegmentProjection, TransformerProjection, BridgeAudioProjection, BridgeTextProjection)
}

Inputs = torch.Tensor | tuple[torch.Tensor, ...]


class DualEncoder(nn.Module):
    """Audio and text to unit vectors (B, D) of one space.

    Args:
        audio_projection: From audio features to D; a head over frames takes ``(frames (B, A, T), lengths (B,))``.
        text_projection: From text features to D.
        audio_tower: ``(log_mel (B, F, T), frames (B,)) -> (B, A)``, or frames and their lengths where the projection
            takes these; None where features come in.
        text_tower: ``(ids (B, L), mask (B, L)) -> (B, C)``, with ``token_ids(texts)`` and ``tokenizer_json()``; None
            where features (B, C) come in.
        audio_source: Which frozen tower makes the features, for example ``"efficientat:PATH"``.
        text_source: Which frozen tower or tokenizer belongs to the text side, for example ``"minilm"``.
        front_end: How waveforms become log-mel; None for EfficientAT's.
        temperature: First value; the logit scale is its inverse.
        learn_temperature: Train the logit scale with the rest.
        audio_source_sha256: Checksum of the frozen audio tower's file; found here if the file is there.

    Raises:
        ModelError: The projections do not meet in one space or do not fit their towers.

    Example:
        >>> import torch
        >>> model = DualEncoder(Projection(384, 64), Projection(384, 64))  # over features of frozen towers
        >>> audio, text = model(torch.randn(2, 384), torch.randn(2, 384))
        >>> audio.shape, text.shape
        (torch.Size([2, 64]), torch.Size([2, 64]))
    """

    def __init__(
        self,
        audio_projection: AnyProjection,
        text_projection: AnyProjection,
        audio_tower: nn.Module | None = None,
        text_tower: nn.Module | None = None,
        *,
        audio_source: str = "",
        text_source: str = "minilm",
        front_end: FrontEnd | None = None,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        audio_source_sha256: str = "",
    ) -> None:
        super().__init__()
        self.embed_dim = audio_projection.embed_dim
        if text_projection.embed_dim != self.embed_dim:
            raise ModelError(f"audio meets text in {self.embed_dim} numbers, but text has {text_projection.embed_dim}")
        for side, tower, head in (("audio", audio_tower, audio_projection), ("text", text_tower, text_projection)):
            given = (
                None
                if tower is None
                else getattr(tower, "frame_dim", tower.dim)
                if isinstance(head, FRAME_HEADS)
                else tower.dim
            )
            if given is not None and given != head.in_dim:
                raise ModelError(f"the {side} tower gives {given} numbers, its projection takes {head.in_dim}")
        self.audio_projection, self.text_projection = audio_projection, text_projection
        self.audio_tower, self.text_tower = audio_tower, text_tower
        self.audio_source, self.text_source = audio_source, text_source
        self.audio_source_sha256 = audio_source_sha256 or _checksum(audio_source)
        self.front_end = front_end or FRONT_END
        # set while training, where a frozen tower's output was computed before: its input is not what comes in then
        self.audio_ready = self.text_ready = False
        start = torch.tensor(math.log(1.0 / temperature))
        self.log_logit_scale = nn.Parameter(start, requires_grad=learn_temperature)

    @property
    def logit_scale(self) -> torch.Tensor:
        """Inverse temperature, a scalar tensor between 1 and 100."""
        return self.log_logit_scale.clamp(0.0, math.log(MAX_LOGIT_SCALE)).exp()

    def encode_audio(self, inputs: Inputs) -> torch.Tensor:
        """Features (B, A) or (frames, lengths), or (log_mel, frames) for an audio tower -> (B, D) rows of length 1."""
        return encode(None if self.audio_ready else self.audio_tower, self.audio_projection, inputs)

    def encode_text(self, inputs: Inputs) -> torch.Tensor:
        """Features (B, C), or where there is a text tower (ids, mask), or ids alone -> (B, D) rows of length 1.

        Ids alone (B, L) have ``NO_TOKEN`` where a row has ended.
        """
        tower = None if self.text_ready else self.text_tower
        if tower is not None and isinstance(inputs, torch.Tensor):
            inputs = (inputs.clamp(min=0), (inputs != NO_TOKEN).long())
        return encode(tower, self.text_projection, inputs)

    def takes_like(self, other: DualEncoder) -> None:
        """Take what another model takes while it is trained: the same towers' output comes in."""
        self.audio_ready, self.text_ready = other.audio_ready, other.text_ready
        if isinstance(self.audio_tower, AudioTower) and isinstance(other.audio_tower, AudioTower):
            self.audio_tower.skip = other.audio_tower.skip

    def towers(self) -> list[nn.Module]:
        """The towers that run."""
        pairs = ((self.audio_tower, self.audio_ready), (self.text_tower, self.text_ready))
        return [tower for tower, ready in pairs if tower is not None and not ready]

    def train(self, mode: bool = True) -> DualEncoder:
        """As in torch, but frozen parts of towers stay in evaluation mode."""
        super().train(mode)
        for tower in (self.audio_tower, self.text_tower) if mode else ():
            if tower is not None:
                freeze_statistics(tower)
        return self

    def forward(self, audio: Inputs, text: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Both sides at once, as distributed training needs it: (B, D) and (B, D)."""
        return self.encode_audio(audio), self.encode_text(text)

    def settings(self) -> Json:
        """Everything but the weights, as a JSON object."""
        return {
            "format": FORMAT,
            "audio_projection": self.audio_projection.settings(),
            "text_projection": self.text_projection.settings(),
            "audio_tower": _tower_settings(self.audio_tower),
            "text_tower": _tower_settings(self.text_tower),
            "audio_source": self.audio_source,
            "audio_source_sha256": self.audio_source_sha256,
            "text_source": self.text_source,
            "front_end": self.front_end.to_json(),
            "learn_temperature": self.log_logit_scale.requires_grad,
        }

    def save(self, folder: Path | str) -> None:
        """Write ``weights.safetensors`` and ``dual_encoder.json`` into a folder, each in one atomic step.

        Adapters (LoRA) are added to the weights, so that the checkpoint is one of the same towers without adapters.
        """
        folder = Path(folder)
        # a copy: safetensors refuses tensors that share memory
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in plain_state(self).items()}
        with atomic_path(folder / WEIGHTS_FILE) as temporary:
            save_file(tensors, temporary)
        write_json(folder / SETTINGS_FILE, self.settings())

    @classmethod
    def load(cls, folder: Path | str) -> DualEncoder:
        """Read what ``save`` wrote; the result is in evaluation mode, on the CPU.

        Raises:
            ModelError: No checkpoint, from a newer version, or weights that do not fit the settings.
        """
        folder = Path(folder)
        if not (folder / SETTINGS_FILE).is_file() or not (folder / WEIGHTS_FILE).is_file():
            raise ModelError(
                f"{folder} is no checkpoint: expected {SETTINGS_FILE} and {WEIGHTS_FILE}; "
                "a training writes both into its run folder (askaudio train)"
            )
        model = cls._from_settings(read_json(folder / SETTINGS_FILE), str(folder / SETTINGS_FILE))
        try:
            tensors = load_file(folder / WEIGHTS_FILE)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{folder / WEIGHTS_FILE} is damaged ({error}); copy it again or train the model again"
            ) from error
        fill(model, tensors, str(folder / WEIGHTS_FILE))
        return model.eval()

    @classmethod
    def _from_settings(cls, settings: Json, name: str) -> DualEncoder:
        if settings.get("format") != FORMAT:
            raise ModelError(f"{name} has format {settings.get('format')!r}, expected {FORMAT}; update askaudio")
        try:
            return cls(
                _projection(settings["audio_projection"]),
                _projection(settings["text_projection"]),
                _tower(settings["audio_tower"]),
                _tower(settings["text_tower"]),
                audio_source=settings["audio_source"],
                text_source=settings["text_source"],
                front_end=FrontEnd.from_json(settings["front_end"]),
                learn_temperature=settings["learn_temperature"],
                audio_source_sha256=settings["audio_source_sha256"],
            )
        except (KeyError, TypeError) as error:
            raise ModelError(f"{name} is damaged or from a newer version: {error!r}") from error


def _checksum(source: str) -> str:
    path = Path(source.partition(":")[2])
    return sha256_file(path) if path.is_file() else ""


def encode(tower: Any, projection: nn.Module, inputs: Inputs) -> torch.Tensor:
    """One side of a dual encoder: tower, projection, scaling to length 1.

    Args:
        tower: None where its output comes in.
        projection: Takes the tower's vector, or its frames and their lengths.
        inputs: What the tower takes, or its output.

    Returns:
        (B, D).
    """
    taken = inputs if isinstance(inputs, tuple) else (inputs,)
    if tower is not None and isinstance(projection, FRAME_HEADS) and hasattr(tower, "frame_states"):
        states, mask = tower.frame_states(*taken)  # (B, T', C), (B, T')
        taken = (states.transpose(1, 2), *(() if mask is None else (mask.sum(1),)))
    elif tower is not None:
        features = tower(*taken)
        taken = features if isinstance(features, tuple) else (features,)
    return nn.functional.normalize(projection(*taken), dim=-1)  # (B, D)


def _tower_settings(tower: nn.Module | None) -> Json | None:
    return None if tower is None else {"kind": tower.kind, **tower.settings()}  # type: ignore[operator]


def _projection(settings: Json) -> AnyProjection:
    kind = settings.get("kind", Projection.kind)
    if kind not in PROJECTIONS:
        raise ModelError(f"unknown projection {kind!r}; this version has {', '.join(sorted(PROJECTIONS))}")
    return PROJECTIONS[kind](**{key: value for key, value in settings.items() if key != "kind"})


def _tower(settings: Json | None) -> nn.Module | None:
    if settings is None:
        return None
    kind = settings.get("kind")
    if kind not in TOWERS:
        raise ModelError(f"unknown tower {kind!r}; this version has {', '.join(sorted(TOWERS))}")
    return TOWERS[kind](**{key: value for key, value in settings.items() if key != "kind"})
