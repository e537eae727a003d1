"""Computed features on disk, keyed by content and settings, shared by all runs.

What a frozen tower (or a log-mel) gives for a file depends on the file's bytes and on the front end's settings, and
on nothing else; so it is computed once. Layout::

    ROOT/<fingerprint of the settings>/settings.json
    ROOT/<fingerprint of the settings>/pack-<fingerprint of its keys>.safetensors    up to some hundred arrays each

A pack is written to a temporary name and renamed, so a killed run loses at most the pack in work; two runs may write
the same array twice, which costs space and nothing else. Price: 384 floats a window are 1.5 KB; reading back 5,000
clips takes 0.1 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path, fingerprint, write_json
from askaudio.core.types import Progress, silent

Array = npt.NDArray[Any]
Compute = Callable[[list[int]], Sequence[Array]]


def default_root() -> Path:
    """Where features are kept when a recipe names no folder."""
    return Path.home() / ".cache" / "askaudio" / "features"


class FeatureCache:
    """A folder of arrays made under one set of settings.

    Args:
        root: Folder of all caches; made when first written.
        settings: JSON-able description of everything that the arrays depend on, besides the content.
    """

    def __init__(self, root: Path | str, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.folder = Path(root).expanduser() / fingerprint(settings)

    def collect(
        self,
        keys: Sequence[str],
        compute: Compute,
        pack: int = 256,
        chunk: int = 16,
        progress: Progress = silent,
    ) -> list[Array]:
        """The arrays of ``keys``, from disk where they are, computed and kept where they are not.

        Args:
            keys: Content hash of each item; equal keys share one array.
            compute: Positions in ``keys`` -> their arrays in order; called with at most ``chunk`` positions.
            pack: Arrays in one file; a killed run loses at most so many.
            chunk: Items that are computed at once.
            progress: Told how many of the keys are there.

        Returns:
            One array a key, in the order of ``keys``.

        Raises:
            DataError: A pack is damaged; the message names the file to delete.
        """
        found = self._read(set(keys))
        first: dict[str, int] = {}
        for position, key in enumerate(keys):
            first.setdefault(key, position)
        missing = [position for key, position in first.items() if key not in found]
        for start in range(0, len(missing), pack):
            fresh: dict[str, Array] = {}
            for at in range(start, min(start + pack, len(missing)), chunk):
                positions = missing[at : min(at + chunk, start + pack)]
                for position, array in zip(positions, compute(positions), strict=True):
                    fresh[keys[position]] = np.ascontiguousarray(array)
                progress(len(found) + len(fresh), len(first), "computed")
            self._write(fresh)
            found.update(fresh)
        return [found[key] for key in keys]

    def _read(self, wanted: set[str]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for path in sorted(self.folder.glob("pack-*.safetensors")):
            try:
                with safe_open(path, framework="numpy") as file:
                    found.update({key: file.get_tensor(key) for key in wanted.intersection(file.keys()) - found.keys()})
            except (SafetensorError, OSError) as error:
                raise DataError(
                    f"{path} cannot be read ({error}); delete that file and start again: it is only a cache"
                ) from error
        return found

    def _write(self, arrays: dict[str, Array]) -> None:
        if not (self.folder / "settings.json").exists():
            write_json(self.folder / "settings.json", self.settings)
        with atomic_path(self.folder / f"pack-{fingerprint(sorted(arrays))}.safetensors") as temporary:
            save_file(arrays, temporary)
