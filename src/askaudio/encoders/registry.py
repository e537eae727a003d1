"""Registry of the models that have a name: their files, addresses, checksums, licences and published scores.

The project's own weights are shipped in the package (``shipped``). Weights of other authors (``files``) are downloaded
by ``askaudio models pull`` from the address that their authors published, and checked against the checksum here.
``encoders/pull.py`` pulls, ``encoders/load.py`` opens. Model cards are ``encoders/cards/NAME.md``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from askaudio.core.errors import ConfigError, ModelError
from askaudio.core.files import read_json

PACKAGE_FOLDER = Path(__file__).parent
_CLAP = "https://huggingface.co/Xenova/clap-htsat-unfused/resolve/c28f2883575e590e04d3146ff0713c2448d691ba"
_MTEB = "MTEB, github.com/embeddings-benchmark/results: laion__clap-htsat-unfused"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file to pull: its name in the model's folder, its address, checksum and size."""

    name: str
    url: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Score:
    """A published score, and where it was published."""

    what: str
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """A row of ``askaudio models``.

    Attributes:
        name: Name on the command line and in ``load_encoder``.
        about: Description in one line.
        licence: Licence of the weights.
        languages: Languages of the texts.
        shipped: Folder inside the package; empty for a model that ships nothing.
        files: Files to pull before the model can be opened.
        scores: Published scores.
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
        """D; 0 if the package was built without the shipped folder, which states it."""
        settings = self.shipped_folder / "encoder.json"
        return int(read_json(settings)["embed_dim"]) if self.shipped and settings.is_file() else self.dim

    @property
    def folder(self) -> Path:
        """Folder of the pulled files."""
        return models_folder() / self.name

    @property
    def shipped_folder(self) -> Path:
        """Folder of the shipped files."""
        return PACKAGE_FOLDER / self.shipped

    @property
    def size_bytes(self) -> int:
        """Size of all files, shipped and pulled."""
        shipped = self.shipped_folder.iterdir() if self.shipped and self.is_shipped() else ()
        return sum(path.stat().st_size for path in shipped) + sum(file.size_bytes for file in self.files)

    def is_shipped(self) -> bool:
        """Whether the package contains the shipped folder, if the model has one."""
        return not self.shipped or (self.shipped_folder / "encoder.json").is_file()

    def missing(self) -> list[RemoteFile]:
        """Files still to pull, by name and size; checksums are checked when files are pulled and opened."""
        return [file for file in self.files if not _has_size(self.folder / file.name, file.size_bytes)]

    def is_installed(self) -> bool:
        """Whether the model can be opened without pulling anything."""
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
    languages="English, 14 more with the extra languages",
    shipped="small",
)
EFFICIENTAT = Model(
    name="efficientat",
    about="EfficientAT mn04 (AudioSet) under our head, our text tower",
    licence="MIT (tower), Apache-2.0 (ours)",
    languages="English, 14 more with the extra languages",
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
    """The entry of a model.

    Raises:
        ConfigError: No model has this name.
    """
    if name not in MODELS:
        near = get_close_matches(name, MODELS, 1)
        hint = f"; did you mean {near[0]}?" if near else ";"
        raise ConfigError(f"no model is called {name!r}{hint} known are {', '.join(MODELS)}: see askaudio models")
    return MODELS[name]


def models_folder() -> Path:
    """Folder of pulled models: ASKAUDIO_MODELS, else ``~/.cache/askaudio/models``."""
    named = os.environ.get("ASKAUDIO_MODELS")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "askaudio" / "models"


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes
