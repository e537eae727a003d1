"""The models that are known by name: what they are, what belongs to them, where it lies and what it must be.

Weights of our own are shipped inside the package (``shipped``); those of others are pulled once, when asked for, from
their authors' public place (``files``), and known by their checksum wherever they come from. ``encoders/pull.py``
pulls, ``encoders/load.py`` opens. Model cards are ``encoders/cards/NAME.md``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from askaudio.core.errors import ConfigError, ModelError
from askaudio.core.files import read_json

PACKAGE_FOLDER = Path(__file__).parent
_CLAP = "https://huggingface.co/Xenova/clap-htsat-unfused/resolve/c28f2883575e590e04d3146ff0713c2448d691ba"
_MTEB = "MTEB, github.com/embeddings-benchmark/results: laion__clap-htsat-unfused"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model: its name in the model's folder, its address, its content."""

    name: str
    url: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Score:
    """A published figure and where it was published."""

    what: str
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """A row of ``askaudio models``.

    Attributes:
        name: How commands call it.
        about: One line for people.
        licence: Of the weights.
        languages: That texts may be in.
        shipped: Its folder inside the package; empty where nothing is shipped.
        files: What must be pulled before it opens.
        scores: Published figures.
        dim: D of a model that ships nothing.
    """

    name: str
    about: str
    licence: str
    languages: str
    shipped: str = ""
    files: tuple[RemoteFile, ...] = ()
    scores: tuple[Score, ...] = ()
    dim: int = 0

    @property
    def embed_dim(self) -> int:
        """D; 0 where the package was built without the shipped part, which says it."""
        settings = self.shipped_folder / "encoder.json"
        return int(read_json(settings)["embed_dim"]) if self.shipped and settings.is_file() else self.dim

    @property
    def folder(self) -> Path:
        """Where its pulled files lie."""
        return models_folder() / self.name

    @property
    def shipped_folder(self) -> Path:
        """Where its shipped files lie."""
        return PACKAGE_FOLDER / self.shipped

    @property
    def size_bytes(self) -> int:
        """Of all its files, shipped and pulled."""
        shipped = self.shipped_folder.iterdir() if self.shipped and self.is_shipped() else ()
        return sum(path.stat().st_size for path in shipped) + sum(file.size_bytes for file in self.files)

    def is_shipped(self) -> bool:
        """Whether the package was built with its shipped part."""
        return not self.shipped or (self.shipped_folder / "encoder.json").is_file()

    def missing(self) -> list[RemoteFile]:
        """Files that are not there yet, by name and size; contents are checked when they are pulled and opened."""
        return [file for file in self.files if not _has_size(self.folder / file.name, file.size_bytes)]

    def is_installed(self) -> bool:
        """Whether it can be opened now."""
        return self.is_shipped() and not self.missing()

    def card(self) -> str:
        """The model card, Markdown.

        Raises:
            ModelError: The package was built without it.
        """
        path = PACKAGE_FOLDER / "cards" / f"{self.name}.md"
        if not path.is_file():
            raise ModelError(f"this package was built without the card of {self.name}; reinstall askaudio")
        return path.read_text(encoding="utf-8")


SMALL = Model(
    name="small",
    about="the default: our own towers, shipped with the package",
    licence="Apache-2.0",
    languages="English",
    shipped="small",
)
EFFICIENTAT = Model(
    name="efficientat",
    about="EfficientAT mn04 (AudioSet) under our head, our text tower",
    licence="MIT (tower), Apache-2.0 (ours)",
    languages="English",
    shipped="efficientat_head",
    files=(
        RemoteFile(
            "mn04_as_mAP_432.pt",
            "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
            "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
            4_066_513,
        ),
    ),
    scores=(
        Score("its tower: AudioSet tagging mAP .432", "https://github.com/fschmid56/EfficientAT (v0.0.1, mn04_as)"),
    ),
)
CLAP = Model(
    name="clap",
    about="laion/clap-htsat-unfused as ONNX, full precision",
    licence="Apache-2.0",
    languages="English",
    dim=512,
    files=(
        RemoteFile(
            "audio.onnx",
            f"{_CLAP}/onnx/audio_model.onnx",
            "a1c2b43c44f71e0fa841a4b86700886c199bf87699ea45632c4d831bc6c88957",
            117_528_416,
        ),
        RemoteFile(
            "text.onnx",
            f"{_CLAP}/onnx/text_model.onnx",
            "6df7c51f2d78e236a03f2b816e613d538c815639d13644fe7c2124f439da9648",
            501_513_769,
        ),
        RemoteFile(
            "tokenizer.json",
            f"{_CLAP}/tokenizer.json",
            "dc239041d98de27ffc3975473a1a23e3db4c937b23c138c38bbc66588bd247e5",
            2_108_774,
        ),
    ),
    scores=(
        Score("AudioCaps text-to-audio R@1 30.2, R@10 76.9 (883 clips)", f"{_MTEB}, AudioCapsT2ARetrieval"),
        Score("Clotho text-to-audio R@1 14.1, R@10 44.3", f"{_MTEB}, ClothoT2ARetrieval"),
        Score("ESC-50 zero-shot accuracy 81.7", f"{_MTEB}, ESC50_Zeroshot"),
    ),
)
MODELS = {model.name: model for model in (SMALL, EFFICIENTAT, CLAP)}


def find_model(name: str) -> Model:
    """The row of a name.

    Raises:
        ConfigError: No model is called so.
    """
    if name not in MODELS:
        raise ConfigError(f"no model is called {name!r}; known are {', '.join(MODELS)}: see askaudio models")
    return MODELS[name]


def models_folder() -> Path:
    """Where pulled models are kept: ASKAUDIO_MODELS, else ``~/.cache/askaudio/models``."""
    named = os.environ.get("ASKAUDIO_MODELS")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "askaudio" / "models"


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes
