"""GLAP-class dual encoders from a saved folder: Dasheng on log-mel beside the SONAR text encoder, two projections.

No code of the folder is run: the audio side is written here from the paper, the text side is the library's M2M100
encoder. Tensors are found by their names, with the prefixes and in the two naming schemes (fairseq2, transformers) in
which such models are published. Needs torch and transformers.

Source: Dinkel et al., "GLAP: General contrastive audio-text pretraining across domains and languages", 2025; Dinkel et
    al., "Scaling up masked audio encoder learning for general audio classification", 2024 (Dasheng).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from askaudio.audio.mel import MelSpectrogram
from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray, Json

MEL = MelSpectrogram(depth=120.0)
WINDOW_S = 10.0
HEAD_DIM = 64
_FLOOR = 1e-6  # of the layer norms
_PREFIX = re.compile(r"^(model_impl\.|glap\.|model\.)*")
# names of fairseq2 -> names of the transformers library
_SONAR_NAMES = (
    (r"^encoder_frontend\.embed\.", "embed_tokens."), (r"^encoder\.", ""),
    (r"\.self_attn\.output_proj\.", ".self_attn.out_proj."),
    (r"\.ffn\.inner_proj\.", ".fc1."), (r"\.ffn\.output_proj\.", ".fc2."),
    (r"\.ffn_layer_norm\.", ".final_layer_norm."),
)  # fmt: skip


def holds_glap(tensors: dict[str, Any]) -> bool:
    """Whether these are the tensors of such a model."""
    names = {_PREFIX.sub("", name) for name in tensors}
    return {"audio_proj.0.weight", "text_proj.0.weight"} <= names


class Glap:
    """The model in a folder.

    Args:
        folder: Holds ``config.json``, safetensors weights and a tokenizer.

    Raises:
        ModelError: Weights or tokenizer are missing, or are not of this architecture.
        MissingExtraError: torch or transformers is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.torch: Any = require("torch", "hf")
        tensors = _tensors(folder)
        self.audio = _under(tensors, "audio_encoder.")
        self.heads = {side: _under(tensors, f"{side}_proj.") for side in ("audio", "text")}
        self.text = _text_encoder(_under(tensors, "text_encoder."))
        auto = require("transformers", "hf").AutoTokenizer
        try:
            self.tokenizer = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} has no tokenizer that can be read: {str(error).splitlines()[0]}") from error

    def sound(self, samples: FloatArray) -> FloatArray:
        """Vector (D,) of a waveform (S,) at 16 kHz of at most 10 s."""
        with self.torch.inference_mode():
            log_mel = self.torch.from_numpy(MEL(samples))[None]
            return self._projected(self._dasheng(log_mel), "audio")

    def words(self, text: str) -> FloatArray:
        """Vector (D,) of a text."""
        tokens = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
        with self.torch.inference_mode():
            states = self.text(input_ids=tokens["input_ids"]).last_hidden_state
            return self._projected(states.mean(1), "text")

    def _projected(self, vector: Any, side: str) -> FloatArray:
        linear, head = self.torch.nn.functional.linear, self.heads[side]
        hidden = linear(vector, head["0.weight"], head["0.bias"]).relu()
        return linear(hidden, head["2.weight"], head["2.bias"])[0].numpy()

    def _dasheng(self, log_mel: Any) -> Any:
        """Mean state (1, C) of a log-mel (1, F, T): norm of the mel bins, patches, transformer."""
        f, w = self.torch.nn.functional, self.audio
        x = f.batch_norm(
            log_mel, w["init_bn.running_mean"], w["init_bn.running_var"], w["init_bn.weight"], w["init_bn.bias"]
        )
        patch = w["patch_embed.weight"]
        x = f.conv2d(x[:, None], patch, w["patch_embed.bias"], stride=patch.shape[2:])  # (1, C, rows, T')
        x = x[..., : w["time_pos_embed"].shape[-1]]
        x = (x + w["time_pos_embed"][..., : x.shape[-1]] + w["freq_pos_embed"]).flatten(2).transpose(1, 2)  # (1, L, C)
        for block in range(1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks."))):
            x = self._block(x, f"blocks.{block}.")
        return self._norm(x, "norm.").mean(1)

    def _block(self, x: Any, at: str) -> Any:
        f, w = self.torch.nn.functional, self.audio
        qkv = f.linear(self._norm(x, f"{at}norm1."), w[f"{at}attn.qkv.weight"], w.get(f"{at}attn.qkv.bias"))
        q, k, v = qkv.unflatten(2, (3, -1, min(HEAD_DIM, x.shape[2]))).permute(2, 0, 3, 1, 4)
        attended = f.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + f.linear(attended, w[f"{at}attn.proj.weight"], w[f"{at}attn.proj.bias"])
        inner = f.gelu(f.linear(self._norm(x, f"{at}norm2."), w[f"{at}mlp.fc1.weight"], w[f"{at}mlp.fc1.bias"]))
        return x + f.linear(inner, w[f"{at}mlp.fc2.weight"], w[f"{at}mlp.fc2.bias"])

    def _norm(self, x: Any, at: str) -> Any:
        w = self.audio
        return self.torch.nn.functional.layer_norm(x, x.shape[-1:], w[f"{at}weight"], w[f"{at}bias"], _FLOOR)


def _tensors(folder: Path) -> dict[str, Any]:
    load = require("safetensors.torch", "hf").load_file
    tensors: dict[str, Any] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load(file)
    found = {_PREFIX.sub("", name): value.float() for name, value in tensors.items()}
    if not holds_glap(found):
        raise ModelError(f"{folder} holds no GLAP model: expected tensors audio_proj.* and text_proj.* in safetensors")
    return found


def _under(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The tensors below a prefix, without it and without those of wrappers."""
    found = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            short = re.sub(r"^(model\.)+", "", name.removeprefix(prefix))
            found[re.sub(r"^init_bn\.1\.", "init_bn.", short.replace("patch_embed.proj.", "patch_embed."))] = value
    return found


def _text_encoder(tensors: dict[str, Any]) -> Any:
    """The library's M2M100 encoder with these weights, whose sizes are read from their shapes."""
    transformers = require("transformers", "hf")
    weights = {}
    for name, value in tensors.items():
        for old, new in _SONAR_NAMES:
            name = re.sub(old, new, name)
        weights[name] = value
    try:
        settings = _text_sizes(weights)
    except (KeyError, ValueError) as error:
        raise ModelError(f"the text encoder is not SONAR's: {error!r}") from error
    config = transformers.M2M100Config(**settings)
    encoder = require("transformers.models.m2m_100.modeling_m2m_100", "hf").M2M100Encoder(config)
    missing, _ = encoder.load_state_dict(weights, strict=False)
    absent = [name for name in missing if "embed_positions" not in name]  # computed, not learned
    if absent:
        raise ModelError(f"the text encoder lacks {', '.join(absent[:4])}; expected the weights of SONAR's encoder")
    return encoder.eval().requires_grad_(False)


def _text_sizes(weights: dict[str, Any]) -> Json:
    vocabulary, width = weights["embed_tokens.weight"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))
    return {
        "vocab_size": vocabulary, "d_model": width, "encoder_layers": layers, "decoder_layers": 1,
        "encoder_ffn_dim": weights["layers.0.fc1.weight"].shape[0],
        "encoder_attention_heads": max(1, width // HEAD_DIM),
        "max_position_embeddings": 1024, "encoder_layerdrop": 0.0, "activation_function": "relu",
    }  # fmt: skip
