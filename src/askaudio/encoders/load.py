"""Open an encoder by its spec: a model's name, an encoder folder, a run folder, or a model of another library.

``small``, ``efficientat``, ``clap``     see ``askaudio models``
``FOLDER``, ``onnx:FOLDER``              an encoder folder, or the run folder of a training
``hf:NAME_OR_FOLDER``                    a ClapModel, or a sentence-transformers model that takes audio (extra ``hf``)
``toy``, ``toy:dim=64``                  deterministic vectors for tests, no weights
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from askaudio.core.errors import ConfigError, ModelError
from askaudio.encoders.recording import FileEncoder

ENCODER_FILE = "encoder.json"
DEFAULT = "small"


def load_encoder(spec: str | Path = DEFAULT) -> FileEncoder:
    """Open an encoder. Nothing is downloaded, and only the packages that this encoder needs are imported.

    Args:
        spec: A model's name (``small``, ``efficientat``, ``clap``, ``toy``, ``toy:dim=64``), an encoder folder or run
            folder, ``onnx:FOLDER`` or ``hf:NAME_OR_FOLDER``.

    Raises:
        ModelError: No such model, a model that must be pulled first, or a damaged folder.
        ConfigError: An option that the model does not have.
        MissingExtraError: The encoder needs a package that is not installed.

    Example:
        >>> load_encoder("toy:dim=8").encode_text(["a bird", "rain"]).shape
        (2, 8)
    """
    name, _, options = str(spec).partition(":")
    if isinstance(spec, str) and name in NAMED:
        return NAMED[name](options)
    return _open_folder(Path(spec).expanduser())


load = load_encoder  # the shorter, older name


def settled(spec: str) -> str:
    """The spec as a collection stores it: folders become absolute paths, so that it opens from any working folder."""
    name, colon, rest = spec.partition(":")
    if name in NAMED and not colon:
        return spec
    if colon and name in ("hf", "onnx") and Path(rest).expanduser().exists():
        return f"{name}:{Path(rest).expanduser().absolute()}"
    path = Path(spec).expanduser()
    return str(path.absolute()) if path.exists() else spec


def _small(options: str) -> FileEncoder:
    from askaudio.encoders.onnx import OnnxEncoder
    from askaudio.encoders.registry import SMALL

    _no_options("small", options)
    _check_shipped(SMALL.name, SMALL.is_shipped())
    return OnnxEncoder(SMALL.shipped_folder)


def _efficientat(options: str) -> FileEncoder:
    from askaudio.encoders.efficientat_encoder import EfficientATEncoder
    from askaudio.encoders.registry import EFFICIENTAT, SMALL

    _no_options("efficientat", options)
    _check_shipped(EFFICIENTAT.name, EFFICIENTAT.is_shipped())
    _check_pulled(EFFICIENTAT.name, [file.name for file in EFFICIENTAT.missing()], EFFICIENTAT.size_bytes)
    (tower,) = EFFICIENTAT.files
    folder = EFFICIENTAT.shipped_folder
    return EfficientATEncoder(folder, EFFICIENTAT.folder / tower.name, tower.sha256, SMALL.shipped_folder)


def _clap(options: str) -> FileEncoder:
    from askaudio.encoders.clap import SETTINGS
    from askaudio.encoders.onnx import OnnxEncoder
    from askaudio.encoders.registry import CLAP

    _no_options("clap", options)
    _check_pulled(CLAP.name, [file.name for file in CLAP.missing()], CLAP.size_bytes)
    sha256 = {file.name: file.sha256 for file in CLAP.files}
    return OnnxEncoder(CLAP.folder, settings={**SETTINGS, "embed_dim": CLAP.dim, "sha256": sha256})


def _onnx(path: str) -> FileEncoder:
    if not path:
        raise ConfigError("onnx: needs a folder after the colon, for example onnx:encoders/mine")
    return _open_folder(Path(path).expanduser())


def _hf(name: str) -> FileEncoder:
    from askaudio.encoders.huggingface import open_huggingface

    return open_huggingface(name)


def _toy(options: str) -> FileEncoder:
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


def _open_folder(folder: Path) -> FileEncoder:
    for place in (folder, folder / "encoder"):
        if (place / ENCODER_FILE).is_file():
            from askaudio.encoders.onnx import OnnxEncoder

            return OnnxEncoder(place)
    if not folder.exists():
        near = get_close_matches(str(folder), NAMED, 1)
        raise ModelError(
            f"no model {str(folder)!r}: it is neither a folder nor one of the names {', '.join(sorted(NAMED))}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    raise ModelError(
        f"{folder} holds no {ENCODER_FILE}, so it is not an encoder folder; "
        f"make one from a training with: askaudio export {folder} OUT"
    )


# name -> function that opens it, called with the text after the colon; add new names here
NAMED: dict[str, Callable[[str], FileEncoder]] = {
    "small": _small,
    "efficientat": _efficientat,
    "clap": _clap,
    "onnx": _onnx,
    "hf": _hf,
    "toy": _toy,
}
