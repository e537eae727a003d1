"""Tiny random checkpoints with the key names of the published ones: EfficientAT, CNN14, CED."""

import torch
from safetensors.torch import save_file

from askaudio.models.mobilenet import HALVES, MobileNetTower

MOBILENET_BLOCKS = [
    [3 if number < 4 else 5, 4 if number == 1 else 8, 4 if number in (4, 5, 6, 11) else 0, 4] for number in range(1, 16)
]


def settle(module: torch.nn.Module, example: torch.Tensor) -> None:
    """Batch-norm statistics that are not 0 and 1."""
    module.train()(example)
    module.eval()


def mobilenet() -> MobileNetTower:
    torch.manual_seed(0)
    tower = MobileNetTower(4, MOBILENET_BLOCKS, 16, classes=(8, 6))
    settle(tower, torch.randn(4, 128, 200))
    return tower


def write_mobilenet(path):
    """The tower under the names of the authors' checkpoint; returns the tower."""
    tower = mobilenet()
    tensors = {}
    for key, value in tower.state_dict().items():
        parts = key.split(".")
        if parts[0] == "classifier":
            parts[1] = {"0": "2", "2": "5"}[parts[1]]
        elif parts[2] in ("expand", "depthwise", "project", "squeeze", "excite"):
            block = MOBILENET_BLOCKS[int(parts[1]) - 1]
            has_expand = int(parts[1]) != 1
            order = (["expand"] if has_expand else []) + ["depthwise"] + (["squeeze"] if block[2] else []) + ["project"]
            part = "squeeze" if parts[2] == "excite" else parts[2]
            place = str(order.index(part))
            if part == "squeeze":
                inner = {"squeeze": "fc1", "excite": "fc2"}[parts[2]]
                parts = [*parts[:2], "block", place, "conc_se_layers", "0", inner, *parts[3:]]
            else:
                parts = [*parts[:2], "block", place, *parts[3:]]
        tensors[".".join(parts)] = value
    torch.save(tensors, path)
    return tower


def write_cnn14(path, widths=(4, 4, 6, 6, 8, 8), n_mels=64):
    from askaudio.models.cnn14 import Cnn14Tower

    torch.manual_seed(0)
    tower = Cnn14Tower(widths, n_mels)
    settle(tower, torch.randn(4, n_mels, 96))
    tensors = {}
    for key, value in tower.state_dict().items():
        parts = key.split(".")
        if parts[0] == "blocks":
            parts = [f"conv_block{int(parts[1]) + 1}", *parts[2:]]
        tensors[".".join(parts)] = value
    tensors["logmel_extractor.melW"] = torch.zeros(513, n_mels)
    tensors["fc_audioset.weight"] = torch.zeros(527, widths[-1])
    torch.save({"iteration": 7, "model": tensors}, path)
    return tower


def write_ced(path, patch=(16, 16), places=63):
    """A folder with ``model.safetensors``, as the authors' repositories hold it."""
    from askaudio.models.ced import CedTower

    torch.manual_seed(0)
    tower = CedTower(64, 2, 1, patch=patch, places=places, mlp=32)
    settle(tower, torch.randn(4, 64, 96))
    tensors = {}
    for key, value in tower.state_dict().items():
        name = key.replace("patch_embed.", "patch_embed.proj.")
        tensors[f"encoder.{name}"] = value.contiguous()
    tensors["outputlayer.0.weight"] = torch.zeros(64)
    path.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path / "model.safetensors")
    return tower


__all__ = ["HALVES", "MOBILENET_BLOCKS", "mobilenet", "write_ced", "write_cnn14", "write_mobilenet"]
