"""Write the trained towers and projections into the package, and compare them with torch.

    python -m reproduce.small.package_weights --share 0.4
    python -m reproduce.small.package_weights --share 0.4 --audio-only    # new audio tower, shipped text side
    python -m reproduce.small.package_weights --share 0.4 --exact FOLDER  # small in float32, to compare precisions

Writes ``src/askaudio/encoders/small`` (audio.onnx in float16, text.onnx in int8, tokenizer.json, encoder.json) and
``src/askaudio/encoders/efficientat_head`` (head.onnx; it shares the text tower of ``small``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from askaudio.core.files import atomic_path, read_json, sha256_file, write_json
from askaudio.encoders.efficientat import FRONT_END
from askaudio.encoders.efficientat_encoder import HEAD_FILE
from askaudio.encoders.onnx import AUDIO_FILE, FORMAT, SETTINGS_FILE, TEXT_FILE, TOKENIZER_FILE
from askaudio.encoders.session import open_session
from askaudio.export.dual_encoder import export, trace, trained_audio_graph
from askaudio.export.precision import store_as
from askaudio.models.bridge import EMBEDDING, BridgeAudioProjection, BridgeTextProjection
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.small_audio import SmallAudioTower
from askaudio.models.small_text import SmallTextTower

from .alignment import read_head
from .audio_fine_tuning import open_head

PACKAGE = Path("src/askaudio/encoders")


class Head(nn.Module):
    """``embedding`` (B, 384) and ``logits`` (B, 527) -> unit vectors (B, D)."""

    def __init__(self, projection: BridgeAudioProjection) -> None:
        super().__init__()
        self.projection = projection

    def forward(self, embedding: Tensor, logits: Tensor) -> Tensor:
        return nn.functional.normalize(self.projection(torch.cat([embedding, logits], 1)), dim=-1)


def open_tower(runs: Path) -> SmallAudioTower:
    """The finished audio tower."""
    tower = SmallAudioTower()
    tower.load_state_dict(load_file(runs / "finish/audio.safetensors"))
    return tower.eval()


def ship_audio(runs: Path, head_folder: Path, share: float) -> None:
    """Put audio tower and head in the place of the shipped ones; the text side stays as it is."""
    tower, head, folder = open_tower(runs), open_head(head_folder, share), PACKAGE / "small"
    target, mel = folder / AUDIO_FILE, torch.randn(2, FRONT_END.log_mel.n_mels, 320)
    with atomic_path(target) as temporary:
        temporary.write_bytes(trained_audio_graph(tower, head, mel.shape[1]))
        with torch.no_grad():
            target = nn.functional.normalize(head(tower(mel)), dim=-1).numpy()
        exact = open_session(temporary, AUDIO_FILE).run(None, {"log_mel": mel.numpy()})[0]
        store_as(temporary, "fp16")
        stored = open_session(temporary, AUDIO_FILE).run(None, {"log_mel": mel.numpy()})[0]
    settings = read_json(folder / SETTINGS_FILE)
    settings["sha256"][AUDIO_FILE] = sha256_file(target)
    write_json(folder / SETTINGS_FILE, settings)
    apart = float((stored * target).sum(1).min())
    print(f"{target}: differs from torch by {np.abs(exact - target).max():.1e}; cosine of 16-bit weights {apart:.6f}")


def ship_small(runs: Path, head_folder: Path, share: float, text_precision: str, exact: Path | None = None) -> None:
    tower = open_tower(runs)
    text = SmallTextTower((runs / "text/tokenizer.json").read_text())
    text.load_state_dict(load_file(runs / "text/text.safetensors"))
    audio_head, text_head = (
        open_head(head_folder, share),
        read_head(runs / "heads/mn04_as", "text", BridgeTextProjection, share),
    )
    model = DualEncoder(audio_head, text_head, tower, text, text_source="minilm", front_end=FRONT_END)
    if exact is not None:
        print(export(model, exact, name="small", precision="fp32", audio_precision="fp32"))
        return
    print(export(model, PACKAGE / "small", name="small", precision=text_precision, audio_precision="fp16"))
    model.save(runs / "dual_encoder")


def ship_efficientat(runs: Path, share: float) -> None:
    head = open_head(runs / "heads/mn04_as", share)
    folder, small = PACKAGE / "efficientat_head", PACKAGE / "small"
    folder.mkdir(exist_ok=True)
    inputs = {"embedding": torch.rand(2, EMBEDDING), "logits": torch.randn(2, 527) - 4}
    (folder / HEAD_FILE).write_bytes(trace(Head(head), inputs, {name: {0: "B"} for name in inputs}))
    store_as(folder / HEAD_FILE, "fp16")
    feeds = {name: value.numpy() for name, value in inputs.items()}
    got = open_session(folder / HEAD_FILE, HEAD_FILE).run(None, feeds)[0]
    target = Head(head)(*inputs.values()).detach().numpy()
    files = {HEAD_FILE: folder / HEAD_FILE, TEXT_FILE: small / TEXT_FILE, TOKENIZER_FILE: small / TOKENIZER_FILE}
    settings = {
        "format": FORMAT,
        "name": "efficientat",
        "embed_dim": head.embed_dim,
        "front_end": FRONT_END.to_json(),
        "sha256": {name: sha256_file(path) for name, path in files.items()},
    }
    write_json(folder / "encoder.json", settings)
    print(f"{folder}: differs from torch by {np.abs(got - target).max():.1e} (16-bit weights)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/small"))
    parser.add_argument("--share", type=float, required=True, help="of the bridge, as alignment.py chose it")
    parser.add_argument("--text-precision", default="int8", choices=("fp32", "fp16", "int8"))
    parser.add_argument("--head", type=Path, help="audio head of small; default: of audio_fine_tuning.py")
    parser.add_argument(
        "--exact", type=Path, metavar="FOLDER", help="write small in full precision there, nothing else"
    )
    parser.add_argument("--audio-only", action="store_true", help="only the audio side of small")
    args = parser.parse_args()
    torch.set_num_threads(1)
    head = args.head or args.runs / "finish/heads"
    if args.audio_only:
        ship_audio(args.runs, head, args.share)
        return
    ship_small(args.runs, head, args.share, args.text_precision, args.exact)
    if args.exact is not None:
        return
    ship_efficientat(args.runs, args.share)


if __name__ == "__main__":
    main()
