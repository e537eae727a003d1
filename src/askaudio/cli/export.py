"""Write a trained checkpoint as an encoder folder, which search runs without torch, or for sentence-transformers.

Examples:
  askaudio export runs/sounds encoders/sounds                     in full precision
  askaudio export runs/sounds encoders/small --precision int8     a quarter of the text tower's size
  askaudio index ~/sounds --model encoders/sounds                 use it
  askaudio export hf:my-clap encoders/clap                        a ClapModel of the transformers library
  askaudio export runs/sounds out --format sentence-transformers  SentenceTransformer("out", trust_remote_code=True)
  askaudio export runs/sounds out --push me/sounds --dry-run      write the folder and list what would be sent
  askaudio export runs/sounds out --push me/sounds                send it to the Hugging Face Hub (hf auth login)

An encoder folder is compared with the original on probe sounds and texts; if it differs, nothing is written. A folder
exported from a training gets a model card (README.md) generated from its run folder; read it before you push.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, progress_bar, say

if TYPE_CHECKING:
    from askaudio.core.types import Json
    from askaudio.export.encoder_folder import ExportReport
    from askaudio.models.dual_encoder import DualEncoder

HELP = "write a checkpoint as ONNX for search without torch, or for sentence-transformers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    parser.add_argument(
        "checkpoint", metavar="RUN_OR_CHECKPOINT", help="folder with weights.safetensors, or hf:CLAP_MODEL"
    )
    parser.add_argument("out", metavar="OUT", help="folder to write; an older encoder folder there is replaced")
    parser.add_argument("--name", help="the encoder's name for people (default: the folder's name)")
    parser.add_argument(
        "--format", choices=("encoder", "sentence-transformers"), default="encoder", help="default: encoder (ONNX)"
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="how the text tower's weights are stored in an encoder folder (default: fp32)",
    )
    parser.add_argument("--tower", metavar="ONNX", help="where the frozen EfficientAT file is now, if it moved")
    parser.add_argument("--licence", default="", metavar="SPDX", help="of the weights, for the model card")
    parser.add_argument("--push", metavar="OWNER/NAME", help="send the folder to the Hugging Face Hub (extra hf)")
    parser.add_argument("--private", action="store_true", help="with --push: a repository that only you see")
    parser.add_argument("--dry-run", action="store_true", help="with --push: send nothing, list what would be sent")


def run(args: argparse.Namespace) -> int:
    """Export and report sizes and differences."""
    from askaudio.core.errors import ConfigError
    from askaudio.core.extras import require

    if (args.private or args.dry_run) and not args.push:
        raise ConfigError("--private and --dry-run belong to --push OWNER/NAME")
    if args.precision != "fp32" and args.format != "encoder":
        raise ConfigError("--precision belongs to the format encoder")
    for module in ("torch", "onnx"):
        require(module, "train")
    args.name = args.name or Path(args.out).resolve().name
    facts = _clap(args) if args.checkpoint.startswith("hf:") else _checkpoint(args)
    if args.json:
        emit_json(facts)
    return 0


def _clap(args: argparse.Namespace) -> Json:
    from askaudio.core.errors import ConfigError
    from askaudio.export.clap import export_clap

    if args.push or args.format != "encoder":
        raise ConfigError(f"{args.checkpoint} can be written as an encoder folder only, without --push and --format")
    source = args.checkpoint.removeprefix("hf:")
    with progress_bar("exporting") as progress:
        return _tell(args, export_clap(source, args.out, name=args.name, precision=args.precision, progress=progress))


def _checkpoint(args: argparse.Namespace) -> Json:
    from askaudio.export.publish import write_card
    from askaudio.models.dual_encoder import DualEncoder

    model = DualEncoder.load(args.checkpoint)
    facts = _encoder(args, model) if args.format == "encoder" else _sentence_transformers(args, model)
    write_card(args.out, args.name, args.checkpoint, args.licence)
    return facts | _push(args) if args.push else facts


def _encoder(args: argparse.Namespace, model: DualEncoder) -> Json:
    from askaudio.export.dual_encoder import export

    source = f"efficientat:{args.tower}" if args.tower else None
    with progress_bar("exporting") as progress:
        report = export(
            model, args.out, name=args.name, precision=args.precision, audio_source=source, progress=progress
        )
    return _tell(args, report)


def _tell(args: argparse.Namespace, report: ExportReport) -> Json:
    if not args.json:
        say(f"{report.folder}: {report.megabytes} MB")
        say(f"difference from the original: audio {report.audio_error:.1e}, text {report.text_error:.1e}")
        if args.precision != "fp32":
            say(f"text vectors stored as {args.precision}: cosine to full precision at least {report.text_cosine:.4f}")
        say(f"next: askaudio index FOLDER --model {report.folder}")
    return asdict(report)


def _sentence_transformers(args: argparse.Namespace, model: DualEncoder) -> Json:
    from askaudio.interop.sentence_transformers_module import save_sentence_transformer

    save_sentence_transformer(model, args.out, f"efficientat:{args.tower}" if args.tower else None)
    megabytes = round(sum(path.stat().st_size for path in Path(args.out).rglob("*") if path.is_file()) / 1e6, 1)
    if not args.json:
        say(f"{args.out}: {megabytes} MB, embedding of {model.embed_dim}")
        say(f'next: SentenceTransformer("{args.out}", trust_remote_code=True)')
    return {"folder": str(args.out), "megabytes": megabytes}


def _push(args: argparse.Namespace) -> Json:
    from askaudio.export.publish import plan, push

    what = plan(args.out, args.push, args.checkpoint if args.format == "encoder" else None)
    listed = [{"path": name, "bytes": path.stat().st_size} for name, path in what.files]
    if args.dry_run:
        for file in [] if args.json else listed:
            say(f"  {file['path']}  {file['bytes']} bytes")
        if not args.json:
            say(f"nothing was sent; without --dry-run these {what.megabytes} MB go to {args.push}")
        return {"would_push": args.push, "files": listed}
    address = push(what, args.private)
    if not args.json:
        say(f"pushed: {address}\nuse it: askaudio models pull hf:{args.push}")
    return {"pushed": address, "files": listed}
