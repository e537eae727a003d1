"""A model folder on the Hugging Face Hub: its model card, and the one commit that puts both there.

What is sent is listed first (``plan``); ``push`` sends exactly that, with the login of ``hf auth login`` or HF_TOKEN.
Loading is ``askaudio models pull hf:NAME`` and then ``--model hf:NAME``.
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
    """What would be sent.

    Attributes:
        name: Owner and name of the repository.
        files: (path in the repository, file here), sorted.
    """

    name: str
    files: tuple[tuple[str, Path], ...]

    @property
    def megabytes(self) -> float:
        """Of all files together."""
        return round(sum(path.stat().st_size for _, path in self.files) / 1e6, 1)


def write_card(folder: Path | str, title: str, checkpoint: Path | str, licence: str = "") -> Path:
    """Write ``README.md`` of a model folder from what the training wrote down; nothing is claimed beyond that.

    Args:
        folder: An encoder folder or one for sentence-transformers.
        title: First line.
        checkpoint: Run folder or checkpoint that it was exported from.
        licence: SPDX name of the weights' licence; left out of the card where it is empty.
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
        "Sounds and texts as vectors of one space: the cosine says how well a text describes a sound.\n",
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
`checkpoint/` holds the weights for going on with the training (safetensors).
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
    """The validation scores of the run, with the number of clips, which they mean nothing without."""
    path = checkpoint / "metrics.json"
    summary = read_json(path) if path.is_file() else {}
    scores = summary.get("validation") or {}
    shown = {name: scores[name] for name in scores if name.split("/")[-1] in ("R@1", "R@10", "mAP@10")}
    if not shown:
        return ""
    pool = f"{summary['validation_clips']} clips, {summary['validation_captions']} captions"
    rows = "".join(f"| {name} | {100 * value:.1f} |\n" for name, value in shown.items())
    return f"## Validation ({pool}; it picked the checkpoint, so it is no test)\n| | % |\n|---|---|\n{rows}"


def plan(folder: Path | str, name: str, checkpoint: Path | str | None = None) -> Plan:
    """What a push would send: all files of the folder, and the checkpoint's where given.

    Raises:
        ConfigError: The name is not OWNER/NAME.
        ModelError: There is nothing in the folder, or a link in it.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a model on the Hub is called OWNER/NAME, got {name!r}")
    folder = Path(folder)
    files = [(path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file()]
    if checkpoint is not None:
        given = [(f"{CHECKPOINT_FOLDER}/{file}", Path(checkpoint) / file) for file in CHECKPOINT_FILES]
        files += [(name_there, path) for name_there, path in given if path.is_file()]
    if not files or any(path.is_symlink() for _, path in files):
        raise ModelError(f"{folder} is no model folder: it is empty or holds links")
    return Plan(name, tuple(sorted(files)))


def push(what: Plan, private: bool = False, message: str = "Model and card") -> str:
    """Make the repository where it is not there and send the files in one commit.

    Returns:
        Address of the commit.

    Raises:
        ModelError: No login, no right, no network.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    hub = require("huggingface_hub", "hf")
    errors = require("huggingface_hub.errors", "hf")
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="askaudio", library_version=__version__)
    operations = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in what.files]
    try:
        api.create_repo(what.name, private=private, exist_ok=True)
        return str(api.create_commit(what.name, operations, commit_message=message).commit_url)
    except (errors.HfHubHTTPError, errors.LocalTokenNotFoundError, OSError) as error:
        raise ModelError(
            f"{what.name} could not be pushed ({error}); log in with: hf auth login, and see that you may write there"
        ) from error
