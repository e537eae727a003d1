"""Tasks of mteb: captioned clips of this machine as a task, tasks by name, and their scores as rows.

Differs: from mteb's own AudioCaps and Clotho tasks, which select other clips: the metrics are not comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.extras import require
from askaudio.core.types import Json
from askaudio.data.manifest import Manifest
from askaudio.interop.mteb_encoder import MtebEncoder, undecoded

Direction = Literal["t2a", "a2t"]


def local_task(clips: Manifest, direction: Direction) -> Any:
    """An ``AbsTaskRetrieval`` over the clips; captions are the queries, or sounds are. Nothing is downloaded.

    Args:
        clips: Each with at least one caption.
        direction: ``"t2a"`` or ``"a2t"``.

    Raises:
        DataError: No captions.
    """
    if not clips.n_captions:
        raise DataError(f"{clips.name} has no captions to evaluate on")
    retrieval = require("mteb.abstasks.retrieval", "mteb").AbsTaskRetrieval
    name = f"Askaudio{direction.upper()}"
    queries_are_texts = direction == "t2a"

    class LocalTask(retrieval):  # type: ignore[misc, valid-type]
        metadata = _metadata(name, direction)

        def load_data(self, **kwargs: Any) -> None:
            datasets = require("datasets", "hf")
            sounds = [{"id": clip.clip_id, "audio": clip.path, "modality": "audio"} for clip in clips]
            texts = [
                {"id": caption.caption_id, "text": caption.text, "modality": "text"}
                for clip in clips
                for caption in clip.captions
            ]
            pairs = [(caption.caption_id, clip.clip_id) for clip in clips for caption in clip.captions]
            relevant: dict[str, dict[str, int]] = {}
            for caption_id, clip_id in pairs:
                query, found = (caption_id, clip_id) if queries_are_texts else (clip_id, caption_id)
                relevant.setdefault(query, {})[found] = 1
            queries, corpus = (texts, sounds) if queries_are_texts else (sounds, texts)
            self.dataset = {
                "default": {
                    "test": {
                        "corpus": datasets.Dataset.from_list(corpus),
                        "queries": datasets.Dataset.from_list([row for row in queries if row["id"] in relevant]),
                        "relevant_docs": relevant,
                        "top_ranked": None,
                    }
                }
            }
            self.data_loaded = True

    return LocalTask()


def named_task(name: str) -> Any:
    """A task that mteb has; mteb downloads its data.

    Raises:
        ConfigError: mteb has no such task.
    """
    try:
        return require("mteb", "mteb").get_task(name)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"mteb has no task {name!r}; for example AudioCapsT2ARetrieval, AudioCapsA2TRetrieval, "
            "ClothoT2ARetrieval.v2, ClothoA2TRetrieval.v2 (downloaded by mteb), or t2a and a2t with --data"
        ) from error


def evaluate_tasks(model: MtebEncoder, tasks: Sequence[Any]) -> list[Json]:
    """Score a model with mteb, without its result cache.

    Args:
        model: Encodes.
        tasks: Of ``local_task`` or ``named_task``.

    Returns:
        One row for each split and subset of each task: its scores by mteb's names.
    """
    mteb = require("mteb", "mteb")
    rows = []
    for task in tasks:
        result = mteb.evaluate(model, [undecoded(task)], cache=None, co2_tracker=False, show_progress_bar=False)
        rows += [row for task_result in result.task_results for row in _rows(task_result)]
    return rows


def _rows(result: Any) -> list[Json]:
    return [
        {
            "task": result.task_name,
            "split": split,
            "subset": scores["hf_subset"],
            "main_score": scores["main_score"],
            "scores": {name: value for name, value in scores.items() if isinstance(value, (int, float))},
            "mteb": result.mteb_version,
        }
        for split, subsets in result.scores.items()
        for scores in subsets
    ]


def _metadata(name: str, direction: str) -> Any:
    task_metadata = require("mteb.abstasks.task_metadata", "mteb").TaskMetadata
    return task_metadata(
        name=name,
        description="Captions and sounds of files on this machine.",
        reference=None,
        dataset={"path": "local/local", "revision": "local"},
        type="Any2AnyRetrieval",
        category=direction,
        modalities=["text", "audio"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="hit_rate_at_5",
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )
