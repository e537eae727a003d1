"""Write a trained checkpoint as an encoder folder, which search runs without torch.

Examples:
  askaudio export runs/sounds encoders/sounds                     as it was trained
  askaudio export runs/sounds encoders/small --precision int8     a quarter of the text tower's size
  askaudio index ~/sounds --model encoders/sounds                 use it

The exported model is compared with torch on probe sounds and texts; if it differs, nothing is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from askaudio.cli.output import emit_json, progress_bar, say

HELP = "write a checkpoint as ONNX for search without torch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    parser.add_argument("checkpoint", metavar="RUN_OR_CHECKPOINT", help="folder with weights.safetensors")
    parser.add_argument("out", metavar="OUT", help="encoder folder to write; an older one there is replaced")
    parser.add_argument("--name", help="the encoder's name for people (default: the folder's name)")
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="how the text tower's weights are stored (default: fp32)",
    )
    parser.add_argument("--tower", metavar="ONNX", help="where the frozen EfficientAT file is now, if it moved")


def run(args: argparse.Namespace) -> int:
    """Export and report sizes and differences."""
    from askaudio.core.extras import require

    for module in ("torch", "onnx"):
        require(module, "train")
    from askaudio.models.dual_encoder import DualEncoder
    from askaudio.models.export import as_json, export

    model = DualEncoder.load(args.checkpoint)
    name = args.name or Path(args.out).resolve().name
    source = f"efficientat:{args.tower}" if args.tower else None
    with progress_bar("exporting") as progress:
        report = export(model, args.out, name, args.precision, source, progress)
    if args.json:
        emit_json(as_json(report))
        return 0
    say(f"{report.folder}: {report.megabytes} MB, embedding of {model.embed_dim}")
    say(f"difference from torch: audio {report.audio_error:.1e}, text {report.text_error:.1e}")
    if args.precision != "fp32":
        say(f"text vectors stored as {args.precision}: cosine to full precision at least {report.text_cosine:.4f}")
    say(f"next: askaudio index FOLDER --model {report.folder}")
    return 0
