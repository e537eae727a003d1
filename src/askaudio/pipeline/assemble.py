"""From a recipe to a run: data, model and objective are built here, trained, and exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch

from askaudio.config.load import dump_recipe, load_recipe
from askaudio.config.schema import ModelRecipe, Recipe
from askaudio.core.errors import ConfigError
from askaudio.core.files import write_text
from askaudio.core.processes import is_first
from askaudio.core.types import Json, Progress, silent
from askaudio.data.summary import DatasetSummary
from askaudio.export.dual_encoder import export, too_large
from askaudio.models.cnn import CnnAudioTower
from askaudio.models.cnn14 import Cnn14Tower
from askaudio.models.dual_encoder import DualEncoder
from askaudio.models.frame_head import SegmentProjection, TransformerProjection
from askaudio.models.projection import Projection
from askaudio.pipeline.inputs import Inputs, read_inputs
from askaudio.pipeline.objective import build_objective
from askaudio.pipeline.phrase_grain import build_phrase_grain
from askaudio.training.callbacks import STATE_FILE
from askaudio.training.collate import stack_audio
from askaudio.training.dataset import PairDataset
from askaudio.training.fit import FitResult, fit
from askaudio.training.processes import first_then_others, joined, training_device
from askaudio.training.retrieval import RetrievalSet, text_vectors, tower_vectors
from askaudio.training.settings import Objective, TrainSettings

AudioHead: TypeAlias = Projection | SegmentProjection | TransformerProjection
RECIPE_FILE = "recipe.yaml"
ENCODER_FOLDER = "encoder"
SOME_CLIPS, SOME_TEXTS = 256, 2048  # whose first output says how large a trained tower's numbers are
FREE_TO_CHANGE = (
    "train.devices",
    "train.threads",
    "train.device",
    "train.workers",
)  # when a run is resumed: the steps are the same


@dataclass(frozen=True)
class Parts:
    """What ``fit`` takes besides settings and folder."""

    model: DualEncoder
    objective: Objective
    train: PairDataset
    validation: RetrievalSet


def assemble(recipe: Recipe, inputs: Inputs) -> Parts:
    """Build everything that a training needs; the model's first weights depend on ``recipe.seed`` alone.

    The model takes the towers of ``inputs``, so each call needs fresh ones where they are trained.
    """
    train = inputs.pairs(recipe.seed)
    torch.manual_seed(recipe.seed)
    model = build_model(recipe.model, inputs)
    model.to(training_device(recipe.train.device))  # a large tower encodes the base there too, before the first step
    _standardise(model, train)
    if recipe.model.init:
        for head in _heads(model):
            assert isinstance(head, Projection)  # the recipe's check: no head over frames with init
            head.start_as_identity()  # so that training begins with the encoder's own score
    objective = build_objective(recipe.knowledge, recipe.loss, model, train, recipe.seed)
    objective = replace(objective, phrases=build_phrase_grain(recipe, inputs, model, train))
    return Parts(model, objective, train, inputs.queries("val"))


def build_model(recipe: ModelRecipe, inputs: Inputs) -> DualEncoder:
    """Untrained dual encoder: projections over a frozen tower's features, or over a trainable tower."""
    towers, own = inputs.towers, inputs.pretrained
    text_tower: Any = own.text
    text_dim = inputs.texts.shape[1] if text_tower is None else text_tower.dim
    embed_dim = text_dim if recipe.init else recipe.embed_dim
    sizes: dict[str, Any] = {
        "hidden_dim": recipe.hidden_dim, "dropout": recipe.dropout, "residual": recipe.residual or bool(recipe.init)
    }  # fmt: skip

    trained: Any = own.audio
    if trained is None and towers.audio_source is None:
        trained = CnnAudioTower(recipe.n_mels)
    if trained is None:
        audio_dim = next(iter(inputs.audio.values())).shape[1]
    else:
        audio_dim = trained.dim if recipe.audio_head == "mean" else trained.frame_dim
        if isinstance(trained, Cnn14Tower) and recipe.audio_head != "mean":
            trained.fc1.requires_grad_(False)  # of its own vector, which a head over frames does not use
    model = DualEncoder(
        _audio_head(recipe, audio_dim, embed_dim, sizes),
        Projection(text_dim, embed_dim, **sizes),
        audio_tower=trained,
        text_tower=text_tower,
        audio_source=towers.audio_source or "",
        audio_source_sha256="" if towers.audio is None else towers.audio.checksum,
        text_source=towers.text_source or "",
        front_end=inputs.front_end,
        learn_temperature=False,  # the loss learns it; a checkpoint gets its value
    )
    own.settle(model)
    return model


def _audio_head(recipe: ModelRecipe, in_dim: int, embed_dim: int, sizes: Json) -> AudioHead:
    if recipe.audio_head == "segments":
        return SegmentProjection(in_dim, embed_dim, recipe.segments, **sizes)
    if recipe.audio_head == "transformer":
        return TransformerProjection(in_dim, embed_dim, recipe.head_layers, recipe.head_width, **sizes)
    return Projection(in_dim, embed_dim, **sizes)


def _heads(model: DualEncoder) -> tuple[AudioHead, Projection]:
    """The projections that ``build_model`` made."""
    return cast(AudioHead, model.audio_projection), cast(Projection, model.text_projection)


def _standardise(model: DualEncoder, train: PairDataset) -> None:
    """Bring the input of both projections to mean 0 and variance 1 over the training pairs.

    Of a tower that runs in training, some clips and texts give its first output.
    """
    audio, text = _heads(model)
    if model.text_tower is None or model.text_ready:
        text.standardise(torch.from_numpy(train.entry_texts()))
    else:
        text.standardise(text_vectors(model, train.entry_texts()[:SOME_TEXTS]))
    if model.audio_tower is not None and not model.audio_ready:
        if not isinstance(model.audio_tower, CnnAudioTower):  # a tower without pretraining has no output to go by
            _standardise_trained(model, audio, train.audio[:SOME_CLIPS])
    elif isinstance(audio, Projection):
        audio.standardise(torch.cat([torch.from_numpy(windows) for windows in train.audio]))
    else:
        frames, lengths = stack_audio([window for windows in train.audio for window in windows])
        audio.standardise(frames, lengths)


def _standardise_trained(model: DualEncoder, head: AudioHead, sounds: Sequence[Any]) -> None:
    if isinstance(head, Projection):
        head.standardise(tower_vectors(model, sounds))
        return
    tower: Any = model.audio_tower
    with torch.no_grad():
        frames = [tower.frame_states(*stack_audio([next(iter(windows))]))[0][0].T.numpy() for windows in sounds]
    padded, lengths = stack_audio(frames)
    head.standardise(padded, lengths)


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = False,
    export_encoder: bool = True,
    command: str = "",
    progress: Progress = silent,
    on_data: Callable[[DatasetSummary], None] | None = None,
) -> FitResult:
    """Train a recipe into a run folder.

    Args:
        recipe: What to train.
        folder: The run folder.
        resume: Continue where a stopped run ended.
        export_encoder: Write ``encoder/``, which search runs without torch.
        command: First comment of the saved recipe.
        progress: Called in every stage.
        on_data: Called before the first step with the counts of the clips; in the first of several processes only.

    Raises:
        ConfigError: The folder holds another run.
        DataError: Sounds cannot be read, without ``data.skip_broken``; or another fault of the data.
    """
    folder = Path(folder)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    with joined():
        with first_then_others():  # rank 0 computes the features, the others read them from the cache
            if is_first():
                _claim(recipe, folder, resume, command)
            inputs = read_inputs(recipe, progress=progress if is_first() else silent)
            if on_data is not None and is_first():
                on_data(inputs.manifest.summary)
        result = run(recipe, assemble(recipe, inputs), folder, resume, progress)
        if not is_first():
            return result
    if (
        export_encoder and not too_large(result.model) and not (resume and (folder / ENCODER_FOLDER).exists())
    ):  # an existing one: the run had ended
        export(result.model, folder / ENCODER_FOLDER, name=recipe.name, progress=progress, towers=inputs.towers)
    return result


def run(
    recipe: Recipe, parts: Parts, folder: Path | str, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train assembled parts, without ``recipe.yaml`` and export.

    Args:
        recipe: Settings of the training.
        parts: Model, objective and data of ``assemble``.
        folder: The run folder.
        resume: Continue where a stopped run ended.
        progress: Called during training.
    """
    return fit(
        parts.model,
        parts.objective,
        parts.train,
        parts.validation,
        folder,
        train_settings(recipe),
        resume=resume,
        progress=progress,
    )


def train_settings(recipe: Recipe) -> TrainSettings:
    """Settings of ``fit`` from a recipe; ``train.threads`` and ``train.devices`` concern the processes, not the fit."""
    keys = {key: value for key, value in asdict(recipe.train).items() if key not in ("threads", "devices")}
    masks: Json = {"mask_time": recipe.data.mask_time, "mask_mels": recipe.data.mask_mels}
    return TrainSettings(**keys, **masks, seed=recipe.seed, score_start=bool(recipe.model.init))


def _claim(recipe: Recipe, folder: Path, resume: bool, command: str) -> None:
    """Write the resolved recipe, or check that the folder's own recipe is the same."""
    saved = folder / RECIPE_FILE
    if not saved.exists():
        write_text(saved, dump_recipe(recipe, command))
        return
    if not resume and (folder / STATE_FILE).exists():
        raise ConfigError(f"{folder} already holds a run; continue it (--resume) or choose another folder (--out)")
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
            f"{folder} was started with another recipe; continue it with: askaudio train {folder} --resume\n  "
            + "\n  ".join(other)
        )


def _flat(tree: Json) -> Json:
    flat: Json = {}
    for key, value in tree.items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat
