"""Publish a model folder on the Hugging Face Hub: write its model card, and upload both in one commit.

``plan`` lists the files, ``push`` uploads exactly these, with the login of ``hf auth login`` or HF_TOKEN. To load a
published model: ``askaudio models pull hf:NAME``, then ``--model hf:NAME``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from askaudio import __version__
from askaudio.core.errors import ConfigError, ModelError
from askaudio.core.extras import require
from askaudio.core.files import read_json, write_text
from askaudio.core.types import Json

CARD_FILE = "README.md"
CHECKPOINT_FILES = ("weights.safetensors", "dual_encoder.json", "recipe.yaml", "metrics.json")
CHECKPOINT_FOLDER = "checkpoint"
_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


@dataclass(frozen=True, slots=True)
class Plan:
    """Files to upload.

    Attributes:
        name: Owner and name of the repository.
        files: (path in the repository, local file), sorted.
    """

    name: str
    files: tuple[tuple[str, Path], ...]

    @property
    def megabytes(self) -> float:
        """Size of all files."""
        return round(sum(path.stat().st_size for _, path in self.files) / 1e6, 1)


def write_card(folder: Path | str, title: str, checkpoint: Path | str, licence: str = "") -> Path:
    """Write ``README.md`` of a model folder, only from what the training recorded.

    Args:
        folder: An encoder folder or one for sentence-transformers.
        title: Title of the card.
        checkpoint: Run folder or checkpoint that it was exported from.
        licence: SPDX name of the weights' licence; empty leaves it out of the card.
    """
    folder, checkpoint = Path(folder), Path(checkpoint)
    settings = read_json(checkpoint / "dual_encoder.json")
    for_search = (folder / "encoder.json").is_file()
    head: Json = {
        "library_name": "askaudio" if for_search else "sentence-transformers",
        "pipeline_tag": "feature-extraction",
        "tags": ["audio", "text", "audio-text-retrieval", "askaudio"],
        "language": ["en"],
        **({"license": licence} if licence else {}),
    }
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n# {title}\n",
        "Encodes sounds and texts as vectors of one space; their cosine similarity measures how well a text "
        "describes a sound.\n",
        _FOR_SEARCH if for_search else _FOR_SENTENCE_TRANSFORMERS,
        _facts(settings),
        _scores(checkpoint),
        f"Written by askaudio {__version__}.\n",
    ]
    path = folder / CARD_FILE
    write_text(path, "\n".join(part for part in parts if part))
    return path


_FOR_SEARCH = """## Use
```
pip install askaudio
askaudio models pull hf:OWNER/NAME
askaudio index ~/sounds --model hf:OWNER/NAME
askaudio search "metal door slams in a hall"
```
`checkpoint/` holds the weights for further training (safetensors).
"""
_FOR_SENTENCE_TRANSFORMERS = """## Use
```python
from sentence_transformers import SentenceTransformer  # pip install 'askaudio[train,hf]'

model = SentenceTransformer("FOLDER_OR_NAME", trust_remote_code=True)  # the class comes from the askaudio package
texts, sounds = model.encode(["a dog barks"]), model.encode(["dog.wav"])
print(model.similarity(texts, sounds))
```
"""


def _facts(settings: Json) -> str:
    front_end, mel = settings["front_end"], settings["front_end"]["log_mel"]
    audio = (settings["audio_tower"] or {}).get("kind") or settings["audio_source"].partition(":")[0]
    text = (settings["text_tower"] or {}).get("kind") or settings["text_source"]
    rows = {
        "audio tower": audio,
        "text tower": text,
        "embedding": f"{settings['audio_projection']['embed_dim']} numbers, length 1",
        "sound": f"mono, {mel['sample_rate_hz']} Hz, {mel['n_mels']} mel bins",
        "windows": f"{front_end['window_s']:g} s every {front_end['hop_s']:g} s, mean of their vectors",
    }
    return "## Model\n| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def _scores(checkpoint: Path) -> str:
    """Validation scores of the run, with the number of clips: scores of different numbers are not comparable."""
    path = checkpoint / "metrics.json"
    summary = read_json(path) if path.is_file() else {}
    scores = summary.get("validation") or {}
    shown = {name: scores[name] for name in scores if name.split("/")[-1] in ("R@1", "R@10", "mAP@10")}
    if not shown:
        return ""
    pool = f"{summary['validation_clips']} clips, {summary['validation_captions']} captions"
    rows = "".join(f"| {name} | {100 * value:.1f} |\n" for name, value in shown.items())
    return f"## Validation ({pool}; used to select the checkpoint, so it is not a test)\n| | % |\n|---|---|\n{rows}"


def plan(folder: Path | str, name: str, checkpoint: Path | str | None = None) -> Plan:
    """List what ``push`` uploads.

    Args:
        folder: Model folder; all its files are uploaded.
        name: OWNER/NAME of the repository.
        checkpoint: Run folder whose weights and settings are uploaded too, or None.

    Raises:
        ConfigError: The name is not OWNER/NAME.
        ModelError: The folder is empty or contains a link.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"got the model name {name!r}; names on the Hub have the form OWNER/NAME")
    folder = Path(folder)
    files = [(path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file()]
    if checkpoint is not None:
        given = [(f"{CHECKPOINT_FOLDER}/{file}", Path(checkpoint) / file) for file in CHECKPOINT_FILES]
        files += [(name_there, path) for name_there, path in given if path.is_file()]
    if not files or any(path.is_symlink() for _, path in files):
        raise ModelError(f"{folder} is not a model folder: it is empty or contains links")
    return Plan(name, tuple(sorted(files)))


def push(what: Plan, private: bool = False) -> str:
    """Upload the files in one commit; the repository is created if it does not exist.

    Args:
        what: Result of ``plan``.
        private: Visibility of a new repository.

    Returns:
        Address of the commit.

    Raises:
        ModelError: No login, no permission or no network.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    hub = require("huggingface_hub", "hf")
    errors = require("huggingface_hub.errors", "hf")
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="askaudio", library_version=__version__)
    operations = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in what.files]
    try:
        api.create_repo(what.name, private=private, exist_ok=True)
        return str(api.create_commit(what.name, operations, commit_message="Model and card").commit_url)
    except (errors.HfHubHTTPError, errors.LocalTokenNotFoundError, OSError) as error:
        raise ModelError(
            f"{what.name} could not be uploaded ({error}). Fix: log in with: hf auth login, and check that "
            "you may write to the repository"
        ) from error
