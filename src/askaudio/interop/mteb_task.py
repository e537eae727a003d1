"""Captioned clips as a task of mteb, made of files on this machine; nothing is downloaded.

Differs: from mteb's AudioCaps and Clotho tasks, whose clips are another selection: figures are not comparable.
"""

from __future__ import annotations

from typing import Any, Literal

from askaudio.core.errors import DataError
from askaudio.core.extras import require
from askaudio.data.manifest import Manifest

Direction = Literal["t2a", "a2t"]


def local_task(clips: Manifest, direction: Direction) -> Any:
    """An ``AbsTaskRetrieval`` over the clips: captions look for sounds, or sounds for captions.

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
