"""One text names any encoder: ``toy``, an encoder folder, or the run folder of a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from askaudio.core.errors import ConfigError, ModelError
from askaudio.models.encoder import Encoder

ENCODER_FILE = "encoder.json"


def load(spec: str | Path) -> Encoder:
    """Open an encoder; what it needs is imported here and not before.

    Args:
        spec: ``"toy"`` or ``"toy:dim=64"``; an encoder folder (with ``encoder.json``); a run folder (its
            ``encoder/`` is taken).

    Raises:
        ModelError: No such model, or a damaged folder.
        ConfigError: A name with options that it does not have.
    """
    name, _, options = str(spec).partition(":")
    if isinstance(spec, str) and name in NAMED:
        return NAMED[name](options)
    return _open_folder(Path(spec).expanduser())


def _toy(options: str) -> Encoder:
    from askaudio.models.toy import ToyEncoder

    if not options:
        return ToyEncoder()
    key, _, value = options.partition("=")
    if key != "dim" or not value.isdigit():
        raise ConfigError(f"the toy encoder takes dim=NUMBER, got {options!r}; write for example toy:dim=64")
    return ToyEncoder(int(value))


def _open_folder(folder: Path) -> Encoder:
    for place in (folder, folder / "encoder"):
        if (place / ENCODER_FILE).is_file():
            from askaudio.models.onnx import OnnxEncoder

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
NAMED: dict[str, Callable[[str], Encoder]] = {"toy": _toy}
