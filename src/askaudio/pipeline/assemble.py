"""The one place where all rooms of training are joined: a recipe becomes data, model, objective, and then a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch

from askaudio.config.load import dump_recipe, load_recipe
from askaudio.config.schema import ModelRecipe, Recipe
from askaudio.core.errors import ConfigError
from askaudio.core.files import write_text
from askaudio.core.processes import is_first
from askaudio.core.types import Json, Progress, silent
from askaudio.encoders.efficientat import FEATURE_DIM
from askaudio.export.dual_encoder import export
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.frozen_encoder import base_encoder
from askaudio.models.projection import Projection
from askaudio.pipeline.inputs import Inputs, audio_source, front_end, read_inputs, text_source
from askaudio.pipeline.objective import Objective, build_objective
from askaudio.training.callbacks import STATE_FILE
from askaudio.training.dataset import PairDataset
from askaudio.training.fit import FitResult, fit
from askaudio.training.processes import first_then_others, joined
from askaudio.training.retrieval import RetrievalSet

RECIPE_FILE = "recipe.yaml"
ENCODER_FOLDER = "encoder"
FREE_TO_CHANGE = ("train.devices", "train.threads", "train.device")  # where a run is resumed; its steps stay the same


@dataclass(frozen=True)
class Parts:
    """What ``fit`` takes."""

    model: DualEncoder
    objective: Objective
    train: PairDataset
    validation: RetrievalSet


def assemble(recipe: Recipe, inputs: Inputs) -> Parts:
    """Build everything that a training needs; the model's first weights depend on ``recipe.seed`` alone."""
    train = inputs.pairs(recipe.seed)
    torch.manual_seed(recipe.seed)
    model = build_model(recipe.model, inputs.texts.shape[1])
    _standardise(model, train)
    if recipe.model.init:
        for head in _heads(model):
            head.start_as_identity()  # so that training begins with the encoder's own score
    objective = build_objective(recipe.knowledge, recipe.loss, model, train, recipe.seed)
    return Parts(model, objective, train, inputs.queries("val"))


def build_model(recipe: ModelRecipe, text_dim: int) -> DualEncoder:
    """Untrained dual encoder: projections over a frozen tower's features, or over a trainable tower."""

    def projection(in_dim: int, embed_dim: int = recipe.embed_dim, residual: bool = recipe.residual) -> Projection:
        return Projection(in_dim, embed_dim, recipe.hidden_dim, recipe.dropout, residual)

    if recipe.init:
        return DualEncoder(
            projection(text_dim, text_dim, True),
            projection(text_dim, text_dim, True),
            audio_source=audio_source(recipe),
            audio_source_sha256=base_encoder(recipe.init).fingerprint,
            text_source=text_source(recipe),
            front_end=front_end(recipe),
            learn_temperature=False,
        )
    tower = CnnAudioTower(recipe.n_mels) if recipe.audio == "cnn" else None
    return DualEncoder(
        projection(FEATURE_DIM if tower is None else tower.dim),
        projection(text_dim),
        audio_tower=tower,
        audio_source=audio_source(recipe),
        text_source=recipe.text,
        front_end=front_end(recipe),
        learn_temperature=False,  # the loss learns it; a checkpoint gets its value
    )


def _heads(model: DualEncoder) -> tuple[Projection, Projection]:
    """The projections that ``build_model`` made."""
    return cast(Projection, model.audio_projection), cast(Projection, model.text_projection)


def _standardise(model: DualEncoder, train: PairDataset) -> None:
    """Bring frozen features to mean 0 and variance 1 over the training pairs."""
    audio, text = _heads(model)
    text.standardise(torch.from_numpy(train.entry_texts()))
    if model.audio_tower is None:
        audio.standardise(torch.cat([torch.from_numpy(windows) for windows in train.audio]))


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = False,
    export_encoder: bool = True,
    command: str = "",
    progress: Progress = silent,
) -> FitResult:
    """Train a recipe into a run folder.

    Args:
        recipe: What to train.
        folder: The run folder.
        resume: Go on where a killed run stopped.
        export_encoder: Write ``encoder/``, which search runs without torch.
        command: Head comment of the saved recipe.
        progress: Told of the stages one after another.

    Raises:
        ConfigError: The folder holds another run.
    """
    folder = Path(folder)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    with joined():
        with first_then_others():  # the first computes features, the others find them in the cache
            if is_first():
                _claim(recipe, folder, resume, command)
            inputs = read_inputs(recipe, progress=progress if is_first() else silent)
        result = run(recipe, assemble(recipe, inputs), folder, resume, progress)
        if not is_first():
            return result
    if export_encoder and not (resume and (folder / ENCODER_FOLDER).exists()):  # it is there: the run had ended
        export(result.model, folder / ENCODER_FOLDER, name=recipe.name, progress=progress)
    return result


def run(
    recipe: Recipe, parts: Parts, folder: Path | str, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Only the training of assembled parts."""
    settings = {k: v for k, v in asdict(recipe.train).items() if k not in ("threads", "devices")}
    settings["score_start"] = bool(recipe.model.init)
    return fit(
        parts.model,
        parts.objective.ask,
        parts.train,
        parts.validation,
        folder,
        seed=recipe.seed,
        momentum=parts.objective.momentum,
        see=parts.objective.see,
        caption_entries=parts.objective.caption_entries,
        resume=resume,
        progress=progress,
        **settings,
    )


def _claim(recipe: Recipe, folder: Path, resume: bool, command: str) -> None:
    """Write the resolved recipe, or see that it is the one that the folder was begun with."""
    saved = folder / RECIPE_FILE
    if not saved.exists():
        write_text(saved, dump_recipe(recipe, command))
        return
    if not resume and (folder / STATE_FILE).exists():
        raise ConfigError(f"{folder} already holds a run; go on with it (--resume) or give another folder (--out)")
    before, now = _flat(asdict(load_recipe(str(saved)))), _flat(asdict(recipe))
    other = [
        f"{key}: {before[key]!r} there, {now[key]!r} here"
        for key in now
        if before[key] != now[key] and key not in FREE_TO_CHANGE
    ]
    if not (folder / STATE_FILE).exists():
        write_text(saved, dump_recipe(recipe, command))
    elif other:
        raise ConfigError(
            f"{folder} was begun with another recipe; go on with: askaudio train {folder} --resume\n  "
            + "\n  ".join(other)
        )


def _flat(tree: Json) -> Json:
    flat: Json = {}
    for key, value in tree.items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat
