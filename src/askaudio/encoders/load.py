"""One text names any encoder: a known model, an encoder folder, a run folder, or what other libraries saved.

``small``, ``efficientat``, ``clap``     see ``askaudio models``
``FOLDER``, ``onnx:FOLDER``              an encoder folder, or the run folder of a training
``hf:NAME_OR_FOLDER``                    a ClapModel or a sentence-transformers model that hears (extra ``hf``)
``toy``, ``toy:dim=64``                  foreseeable vectors, no weights
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from askaudio.core.errors import ConfigError, ModelError
from askaudio.encoders.encoder import Encoder

ENCODER_FILE = "encoder.json"
DEFAULT = "small"


def load(spec: str | Path) -> Encoder:
    """Open an encoder; what it needs is imported here and not before. Nothing is ever downloaded here.

    Args:
        spec: See the head of this file.

    Raises:
        ModelError: No such model, one that must be pulled first, or a damaged folder.
        ConfigError: A name with options that it does not have.
        MissingExtraError: It needs a package that is not installed.
    """
    name, _, options = str(spec).partition(":")
    if isinstance(spec, str) and name in NAMED:
        return NAMED[name](options)
    return _open_folder(Path(spec).expanduser())


def settled(spec: str) -> str:
    """The spec as a collection remembers it: folders as absolute paths, so that it opens from anywhere."""
    name, colon, rest = spec.partition(":")
    if name in NAMED and not colon:
        return spec
    if colon and name in ("hf", "onnx") and Path(rest).expanduser().exists():
        return f"{name}:{Path(rest).expanduser().absolute()}"
    path = Path(spec).expanduser()
    return str(path.absolute()) if path.exists() else spec


def _small(options: str) -> Encoder:
    from askaudio.encoders.onnx import OnnxEncoder
    from askaudio.encoders.registry import SMALL

    _no_options("small", options)
    _check_shipped(SMALL.name, SMALL.is_shipped())
    return OnnxEncoder(SMALL.shipped_folder)


def _efficientat(options: str) -> Encoder:
    from askaudio.encoders.efficientat_encoder import EfficientATEncoder
    from askaudio.encoders.registry import EFFICIENTAT, SMALL

    _no_options("efficientat", options)
    _check_shipped(EFFICIENTAT.name, EFFICIENTAT.is_shipped())
    _check_pulled(EFFICIENTAT.name, [file.name for file in EFFICIENTAT.missing()], EFFICIENTAT.size_bytes)
    (tower,) = EFFICIENTAT.files
    folder = EFFICIENTAT.shipped_folder
    return EfficientATEncoder(folder, EFFICIENTAT.folder / tower.name, tower.sha256, SMALL.shipped_folder)


def _clap(options: str) -> Encoder:
    from askaudio.encoders.clap import SETTINGS
    from askaudio.encoders.onnx import OnnxEncoder
    from askaudio.encoders.registry import CLAP

    _no_options("clap", options)
    _check_pulled(CLAP.name, [file.name for file in CLAP.missing()], CLAP.size_bytes)
    sha256 = {file.name: file.sha256 for file in CLAP.files}
    return OnnxEncoder(CLAP.folder, settings={**SETTINGS, "embed_dim": CLAP.dim, "sha256": sha256})


def _onnx(path: str) -> Encoder:
    if not path:
        raise ConfigError("onnx: needs a folder behind it, for example onnx:encoders/mine")
    return _open_folder(Path(path).expanduser())


def _hf(name: str) -> Encoder:
    from askaudio.encoders.huggingface import open_huggingface

    return open_huggingface(name)


def _toy(options: str) -> Encoder:
    from askaudio.encoders.toy import ToyEncoder

    if not options:
        return ToyEncoder()
    key, _, value = options.partition("=")
    if key != "dim" or not value.isdigit():
        raise ConfigError(f"the toy encoder takes dim=NUMBER, got {options!r}; write for example toy:dim=64")
    return ToyEncoder(int(value))


def _no_options(name: str, options: str) -> None:
    if options:
        raise ConfigError(f"the model {name} takes no options, got {options!r}")


def _check_shipped(name: str, shipped: bool) -> None:
    if not shipped:
        raise ModelError(
            f"this package was built without the weights of {name}; install a released one: "
            "pip install --force-reinstall askaudio"
        )


def _check_pulled(name: str, missing: list[str], size_bytes: int) -> None:
    if missing:
        raise ModelError(
            f"{name} is not on this machine ({', '.join(missing)} missing, {size_bytes / 1e6:.0f} MB in all); get it "
            f"with: askaudio models pull {name}   (without a network: askaudio models pull {name} --from FOLDER)"
        )


def _open_folder(folder: Path) -> Encoder:
    for place in (folder, folder / "encoder"):
        if (place / ENCODER_FILE).is_file():
            from askaudio.encoders.onnx import OnnxEncoder

            return OnnxEncoder(place)
    if not folder.exists():
        raise ModelError(
            f"no model {str(folder)!r}: it is neither a folder nor one of the names {', '.join(sorted(NAMED))}"
        )
    raise ModelError(
        f"{folder} holds no {ENCODER_FILE}, so it is no encoder folder; "
        f"make one from a training with: askaudio export {folder} OUT"
    )


# name -> how to open it, given what follows the colon. Models that are known by name are added here.
NAMED: dict[str, Callable[[str], Encoder]] = {
    "small": _small,
    "efficientat": _efficientat,
    "clap": _clap,
    "onnx": _onnx,
    "hf": _hf,
    "toy": _toy,
}
