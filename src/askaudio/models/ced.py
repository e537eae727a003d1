"""CED and Dasheng, trainable: vision transformers on patches of log-mel, with places for time and frequency added.

CED cuts 16 x 16 patches; Dasheng's patches are 4 frames long and hold all mel bins. Sizes are read from the file, heads
have 64 numbers.

Source: Dinkel et al., "CED: Consistent ensemble distillation for audio tagging", 2023; Dinkel et al., "Scaling up
    masked audio encoder learning for general audio classification", 2024 (Dasheng).
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from askaudio.audio.front_end import FrontEnd
from askaudio.audio.mel import MelSpectrogram
from askaudio.core.errors import ModelError
from askaudio.core.types import Json
from askaudio.models.tower import AudioTower, Frames, masked_mean, time_mask
from askaudio.models.weights import fill, read_weights

HEAD_DIM = 64
_LAYER_NORM_FLOOR = 1e-6


class CedTower(AudioTower):
    """Log-mel in decibels (B, F, T) -> frames (B, T / 16, dim) and their mean (B, dim).

    Args:
        dim: Width of the transformer.
        depth: Number of blocks.
        heads: Attention heads.
        n_mels: F.
        patch: (mel bins, frames) of a patch.
        places: Longest input in patches.
        mlp: Inner width of a block's two linear layers.
        bias: The projections to queries, keys and values have a bias.
    """

    kind = "ced"
    front_end = FrontEnd(MelSpectrogram(depth=120.0), short="zeros", short_s=1.0)

    def __init__(
        self,
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        n_mels: int = 64,
        patch: tuple[int, int] = (16, 16),
        places: int = 63,
        mlp: int = 3072,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self._settings: Json = {
            "dim": dim, "depth": depth, "heads": heads, "n_mels": n_mels, "patch": list(patch), "places": places,
            "mlp": mlp, "bias": bias,
        }  # fmt: skip
        self.dim = self.frame_dim = dim
        self.rows = n_mels // patch[0]
        self.init_bn = nn.BatchNorm2d(n_mels, momentum=0.01)
        self.patch_embed = nn.Conv2d(1, dim, (patch[0], patch[1]), (patch[0], patch[1]))
        self.time_pos_embed = nn.Parameter(0.02 * torch.randn(1, dim, 1, places))
        self.freq_pos_embed = nn.Parameter(0.02 * torch.randn(1, dim, self.rows, 1))
        self.blocks = nn.ModuleList(_Block(dim, heads, mlp, bias) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=_LAYER_NORM_FLOOR)

    def stages(self) -> list[nn.Module]:
        """Patches with their places, and the blocks, the last of them with the final norm."""
        places = nn.ParameterList([self.time_pos_embed, self.freq_pos_embed])
        first = nn.ModuleList([self.init_bn, self.patch_embed, places])
        return [first, *self.blocks[:-1], nn.ModuleList([self.blocks[-1], self.norm])]

    def frames_of(self, x: Tensor, frames: Frames) -> tuple[Tensor, Tensor | None]:
        """Mean over the patches of one moment: (B, T', dim)."""
        return self.norm(x.permute(0, 3, 2, 1)).mean(2), time_mask(x, frames)

    def pool(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Mean over the real frames."""
        return masked_mean(states, mask)

    def settings(self) -> Json:
        """Constructor arguments, for a checkpoint."""
        return dict(self._settings)

    def _stage(self, number: int, x: Tensor, frames: Frames) -> tuple[Tensor, Frames]:
        if number == 0:
            x = self.patch_embed(self.init_bn(x.transpose(1, 2)).transpose(1, 2))  # (B, dim, rows, T')
            longest = self.time_pos_embed.shape[-1]
            if x.shape[-1] > longest:
                raise ModelError(
                    f"this tower takes at most {longest} patches of {self._settings['patch'][1]} frames, got "
                    f"{x.shape[-1]}; set a shorter model.window_s"
                )
            x = x + self.time_pos_embed[..., : x.shape[-1]] + self.freq_pos_embed
            return x, None if frames is None else (frames // self._settings["patch"][1]).clamp(min=1)
        mask = time_mask(x, frames)
        mask = None if mask is None else mask.repeat(1, self.rows)[:, None, None]  # (B, 1, 1, rows x T')
        tokens = self.blocks[number - 1](x.flatten(2).transpose(1, 2), mask)  # (B, rows x T', dim)
        return tokens.transpose(1, 2).unflatten(2, (self.rows, -1)), frames

    def _width(self, stages: int) -> int:
        return self.dim

    @classmethod
    def from_file(cls, path: Path | str) -> CedTower:
        """The tower in the authors' file: a folder with ``model.safetensors``, a ``.safetensors`` or ``.pt`` file.

        Raises:
            ModelError: Missing, or neither CED nor Dasheng.
        """
        tensors = encoder_tensors(read_weights(path, "CED"))
        try:
            tower = cls(**sizes_of(tensors))
        except (KeyError, ValueError) as error:
            raise ModelError(f"{path} holds neither CED nor Dasheng ({error!r})") from error
        fill(tower, tensors, str(path))
        return tower.eval()


def encoder_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the encoder under this module's names: without prefix, without classifier."""
    found = {}
    for key, value in tensors.items():
        name = re.sub(r"^(audio_encoder\.|model\.|encoder\.)+", "", key)
        name = re.sub(r"^init_bn\.1\.", "init_bn.", name.replace("patch_embed.proj.", "patch_embed."))
        if not name.startswith(("outputlayer.", "front_end.", "decoder.")):
            found[name] = value
    return found


def sizes_of(tensors: dict[str, Tensor]) -> Json:
    """Constructor arguments from the shapes of a file's tensors."""
    dim, _, *patch = tensors["patch_embed.weight"].shape
    rows, places = tensors["freq_pos_embed"].shape[2], tensors["time_pos_embed"].shape[3]
    return {
        "dim": dim,
        "depth": 1 + max(int(key.split(".")[1]) for key in tensors if key.startswith("blocks.")),
        "heads": max(1, dim // HEAD_DIM),
        "n_mels": patch[0] * rows,
        "patch": tuple(patch),
        "places": places,
        "mlp": tensors["blocks.0.mlp.fc1.weight"].shape[0],
        "bias": "blocks.0.attn.qkv.bias" in tensors,
    }


class _Block(nn.Module):
    """Pre-norm transformer block with the names of the published files."""

    def __init__(self, dim: int, heads: int, mlp: int, bias: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=_LAYER_NORM_FLOOR) for _ in range(2))
        self.attn = _Attention(dim, heads, bias)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, mlp), "fc2": nn.Linear(mlp, dim)})

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, dim) -> (B, L, dim)."""
        x = x + self.attn(self.norm1(x), mask)
        return x + self.mlp["fc2"](nn.functional.gelu(self.mlp["fc1"](self.norm2(x))))


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=bias), nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, dim); ``mask`` (B, 1, 1, L) is true where a key may be attended to."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, L, dim / heads)
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(attended.transpose(1, 2).flatten(2))
