"""The clips of a recipe's data section, with splits; works without torch, so that evaluation can use it."""

from __future__ import annotations

from fnmatch import fnmatch

from askaudio.config.schema import DataRecipe
from askaudio.core.types import Progress, silent
from askaudio.data.manifest import Manifest, split_by_group
from askaudio.data.readers.open import open_dataset


def read_clips(recipe: DataRecipe, progress: Progress = silent) -> Manifest:
    """The recipe's captioned clips, each with a split, or with None where the manifest has no splits."""
    manifest = open_dataset(recipe.manifest, progress=progress)
    kept = manifest.where(
        bool(clip.captions) and not any(fnmatch(clip.clip_id, pattern) for pattern in recipe.exclude)
        for clip in manifest
    )
    return split_by_group(kept, seed=recipe.split_seed) if recipe.split == "group" else kept
