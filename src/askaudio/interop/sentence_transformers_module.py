"""A dual encoder as a sentence-transformers module: texts and sounds in, one embedding each.

``SentenceTransformer(FOLDER, trust_remote_code=True)`` loads the folder of ``save_sentence_transformer`` wherever
askaudio is installed (the flag allows a class from outside sentence-transformers). Sounds are paths, waveforms (S,) at
the model's sample rate, or ``{"array": (S,), "sampling_rate": hz}``. They are decoded, cut and averaged as ``askaudio
index`` does it, so that both give the same vectors. sentence-transformers takes paths that end in none of .wav, .mp3,
.flac, .ogg and .aac for text: write ``{"audio": PATH}``.

Its trainer trains the projections and a CNN audio tower. MiniLM is frozen unless
``model[0].model.text_tower.requires_grad_(True)`` is called; a frozen EfficientAT file is copied into the folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from askaudio.audio.decode import Source, Waveform, stream_windows
from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.frozen_encoder import audio_features
from askaudio.models.minilm import MiniLMTower, pad_tokens

_InputModule: Any = require("sentence_transformers.base.modules", "hf").InputModule
TOWER_FILE = "audio_tower.onnx"


class DualEncoderModule(_InputModule):
    """A dual encoder behind the interface of sentence-transformers.

    Args:
        model: The dual encoder; if it has no text tower, a frozen MiniLM is added.
    """

    save_in_root = False

    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        if model.text_tower is None:
            if model.text_source != "minilm":
                raise ModelError(f"unknown frozen text tower {model.text_source!r}; expected minilm")
            model.text_tower = MiniLMTower().requires_grad_(False)
        self.model = model
        self._frozen: Any = None

    def train(self, mode: bool = True) -> DualEncoderModule:
        """As ``nn.Module.train``; a frozen text tower stays in evaluation mode, without dropout."""
        super().train(mode)
        tower: Any = self.model.text_tower
        if not any(p.requires_grad for p in tower.parameters()):
            tower.eval()
        return self

    @property
    def modalities(self) -> list[str]:
        """Kinds of input."""
        return ["text", "audio"]

    def get_embedding_dimension(self) -> int:
        """D."""
        return self.model.embed_dim

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Texts as ids and mask (B, L), or sounds as the features of all their W windows and the owner of each.

        Raises:
            ModelError: Texts and sounds in one batch.
            AudioDecodeError: A sound cannot be read.
        """
        values = [_bare(value) for value in inputs]
        sounds = [_is_sound(value, given) for value, given in zip(values, inputs, strict=True)]
        if len(set(sounds)) > 1:
            raise ModelError("a batch holds texts or sounds, not both")
        return self._sounds(values) if sounds and sounds[0] else self._texts([(prompt or "") + v for v in values])

    def _texts(self, texts: list[str]) -> dict[str, Any]:
        tower: Any = self.model.text_tower
        ids, mask = pad_tokens(tower.token_ids(texts))
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}

    def _sounds(self, sounds: list[Any]) -> dict[str, Any]:
        front_end = self.model.front_end
        rate, window_s, hop_s = front_end.sample_rate_hz, front_end.window_s, front_end.hop_s
        cuts = [[w.samples for w in stream_windows(_source(s, rate), rate, window_s, hop_s)] for s in sounds]
        windows = [samples for cut in cuts for samples in cut]
        owner = torch.repeat_interleave(torch.arange(len(cuts)), torch.tensor([len(cut) for cut in cuts]))
        if self.model.audio_tower is None:
            features = torch.from_numpy(self._frozen_tower().features(windows))  # (W, A)
            return {"input_features": features, "owner": owner}
        mels = [front_end(samples) for samples in windows]
        frames = torch.tensor([mel.shape[1] for mel in mels])
        out = np.zeros((len(mels), mels[0].shape[0], int(frames.max())), dtype=np.float32)  # (W, F, T)
        for row, mel in zip(out, mels, strict=True):
            row[:, : mel.shape[1]] = mel
        return {"input_features": torch.from_numpy(out), "frames": frames, "owner": owner}

    def _frozen_tower(self) -> Any:
        if self._frozen is None:
            self._frozen = audio_features(self.model.audio_source, front_end=self.model.front_end)
        return self._frozen

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add ``sentence_embedding`` (B, D), rows of length 1."""
        if "input_ids" in features:
            rows = self.model.encode_text((features["input_ids"], features["attention_mask"]))
        else:
            inputs, owner = features["input_features"], features["owner"]
            of_windows = self.model.encode_audio((inputs, features["frames"]) if "frames" in features else inputs)
            total = of_windows.new_zeros(int(owner[-1]) + 1, of_windows.shape[1])
            rows = nn.functional.normalize(total.index_add_(0, owner, of_windows), dim=-1)
        features["sentence_embedding"] = rows
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the checkpoint (``weights.safetensors``, ``dual_encoder.json``) and a frozen audio tower's file."""
        folder = Path(output_path)
        if self.model.audio_tower is None:
            source = Path(self.model.audio_source.partition(":")[2]).expanduser()
            if source.resolve() != (folder / TOWER_FILE).resolve():
                shutil.copyfile(source, folder / TOWER_FILE)
        self.model.save(folder)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> DualEncoderModule:
        """Read what ``save`` wrote, from a folder or the Hub."""
        allowed = ("token", "cache_folder", "revision", "local_files_only")
        place = cls.load_dir_path(model_name_or_path, subfolder, **{k: v for k, v in kwargs.items() if k in allowed})
        if place is None:
            raise ModelError(f"{model_name_or_path}/{subfolder} is not there")
        model = DualEncoder.load(place)
        if model.audio_tower is None:
            model.audio_source = f"efficientat:{Path(place) / TOWER_FILE}"
        if model.text_tower is not None:
            model.text_tower.requires_grad_(False)
        return cls(model)


def sentence_transformer(model: DualEncoder) -> Any:
    """A ``SentenceTransformer`` around a dual encoder; the two share their weights."""
    return require("sentence_transformers", "hf").SentenceTransformer(modules=[DualEncoderModule(model)])


def save_sentence_transformer(model: DualEncoder, folder: Path | str, audio_source: str | None = None) -> None:
    """Write a folder that ``SentenceTransformer(folder, trust_remote_code=True)`` loads.

    Args:
        model: What to write.
        folder: Target, new or empty.
        audio_source: Where the frozen audio tower is now, if it moved since training.

    Raises:
        ModelError: The folder is not empty, or the frozen tower's file is not there or another.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} exists and is not empty; name a new folder")
    if model.audio_tower is None:
        model.audio_source = audio_source or model.audio_source
        found = audio_features(model.audio_source, front_end=model.front_end).checksum
        if model.audio_source_sha256 not in ("", found):
            raise ModelError(
                f"{model.audio_source} is not the audio tower of this checkpoint (its checksum is another)"
            )
    sentence_transformer(model.eval()).save_pretrained(str(folder), create_model_card=False)


def _bare(value: Any) -> Any:
    """``{"audio": x}`` and ``{"text": x}`` -> x."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("audio", "text"):
        return next(iter(value.values()))
    return value


def _is_sound(value: Any, given: Any) -> bool:
    if isinstance(given, dict) and ("audio" in given or "array" in given):
        return True
    if not isinstance(value, str):
        return True
    modality = require("sentence_transformers.base.modality", "hf")
    return modality.infer_modality(value, ["text", "audio"]) == "audio"


def _source(sound: Any, rate_hz: int) -> Source:
    """Path, waveform at ``rate_hz``, or array with its rate, as ``audio.decode`` reads it."""
    if isinstance(sound, (str, Path)):
        return sound
    source_hz = rate_hz
    if isinstance(sound, dict):
        sound, source_hz = sound["array"], int(sound["sampling_rate"])
    if isinstance(sound, Tensor):
        sound = sound.cpu().numpy()
    samples = np.asarray(sound, dtype=np.float32)
    if samples.ndim == 2 and samples.shape[0] > samples.shape[1]:  # (S, C): channels are the shorter side
        samples = samples.T
    return Waveform(samples, source_hz)
