"""Which clips are scored, and which are right for a query: from a data set, a run folder's recipe, or judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from askaudio.config.load import load_recipe
from askaudio.core.errors import ConfigError, DataError
from askaudio.core.types import Progress, Split, silent
from askaudio.data.manifest import Manifest, split_by_group
from askaudio.data.readers.open import open_dataset
from askaudio.evaluation.relevance import By, Relevance
from askaudio.evaluation.run_files import read_qrels, read_run
from askaudio.pipeline.clips import read_clips


@dataclass(frozen=True)
class EvaluationData:
    """The data of an evaluation.

    Attributes:
        clips: Clips of the split that is scored.
        whole: All clips of the set; its training captions are counted by ``frequency_buckets``.
        by: What a query is: each caption, each distinct text, or each label.
        about: Words for the protocol line, by name.
    """

    clips: Manifest
    whole: Manifest
    by: By
    about: Mapping[str, str]

    @property
    def relevance(self) -> Relevance:
        """The relevance of all clips of the split.

        Raises:
            DataError: They have no captions, or no labels.
        """
        return Relevance.from_clips(self.clips, by=self.by)


def read_evaluation_data(
    data: str | Path | Manifest | None,
    *,
    run_folder: Path | str | None = None,
    split: str = "test",
    split_seed: int | None = None,
    relevance: By | None = None,
    need_audio: bool = True,
    progress: Progress = silent,
) -> EvaluationData:
    """The clips of one split.

    Args:
        data: Spec of a data set (``open_dataset``), or one that is open.
        run_folder: If ``data`` is None, the data of this run folder's recipe.
        split: ``train``, ``val``, ``test`` or ``all``.
        split_seed: Split the clips 70/10/20 by group with this seed, as training can; None keeps the set's own splits.
        relevance: What a query is; None for ``caption``, or what the recipe says.
        need_audio: Leave out clips whose audio file is missing, and count them.
        progress: Called with the clips read.

    Raises:
        ConfigError: Neither ``data`` nor a run folder with a recipe is given.
        DataError: No such data, a set without splits, or an empty split.
    """
    by: By = relevance or "caption"
    if isinstance(data, Manifest):
        whole = data
    elif data:
        whole = open_dataset(str(data), need_audio=need_audio, progress=progress)
    elif run_folder is not None and (Path(run_folder) / "recipe.yaml").is_file():
        recipe = load_recipe(str(run_folder)).data
        whole = read_clips(recipe, progress)
        by = relevance or ("text" if recipe.same_text else "caption")
    else:
        raise ConfigError(
            "which data? Give --data SPEC, for example --data library/manifest.jsonl or clotho:/data/clotho"
        )
    if split_seed is not None:
        whole = split_by_group(whole, seed=split_seed)
    clips = whole if split == "all" else _clips_of(whole, split)
    return EvaluationData(clips, whole, by, {"data": clips.name})


def _clips_of(whole: Manifest, split: str) -> Manifest:
    if not any(clip.split for clip in whole):
        raise DataError(
            f"{whole.name} has no splits; score all of it with --split all, or split it by group as training does "
            "with --split-seed 0"
        )
    clips = whole.split(cast(Split, split))
    if not len(clips):
        raise DataError(f"{whole.name} has no clip in split {split}; choose another with --split")
    return clips


def read_judgements(qrels_file: Path | str, pool: Sequence[str], min_grade: float | None = None) -> Relevance:
    """Relevance from a file of judgements.

    Args:
        qrels_file: TREC qrels, ``.jsonl``, ``.csv`` or ``.parquet``; grades from 0 to 100.
        pool: Ids of all clips that a system can return.
        min_grade: Clips graded at least this are right and others wrong; None keeps the grades.

    Raises:
        DataError: The file cannot be read, or judges a clip outside the pool.
    """
    judged = read_qrels(qrels_file, pool)
    return judged if min_grade is None else judged.at_least(min_grade)


def judged_pool(qrels_file: Path | str, run_file: Path | str) -> list[str]:
    """Ids of all clips that are judged or returned: the pool where no data set says it."""
    return sorted({*read_qrels(qrels_file).gallery_ids, *read_run(run_file).gallery_ids})
