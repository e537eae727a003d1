"""Cache of computed features on disk, keyed by content and settings, shared by all runs.

The output of a frozen tower (or of a log-mel front end) depends only on the bytes of the file and on the settings, so
it is computed once. Layout::

    ROOT/<fingerprint of the settings>/settings.json
    ROOT/<fingerprint of the settings>/pack-<fingerprint of its keys>.safetensors    up to some hundred arrays each

A pack is written to a temporary name and renamed, so a killed run loses at most the pack that it was computing. Two
concurrent runs may write the same array twice; this costs space only. Cost: 384 floats a window are 1.5 KB; reading
back 5,000 clips takes 0.1 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from askaudio.core.errors import DataError
from askaudio.core.files import atomic_path, fingerprint, write_json
from askaudio.core.types import Progress, silent

Array = npt.NDArray[Any]
T = TypeVar("T")
Compute = Callable[[list[int]], Sequence[Array]]


def default_root() -> Path:
    """Folder of cached features where a recipe names none."""
    return Path.home() / ".cache" / "askaudio" / "features"


class FeatureCache:
    """A folder of arrays that were computed with one set of settings.

    Args:
        root: Folder of all caches; created at the first write.
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
        """Return the arrays of ``keys``: from disk where available, else computed and written to disk.

        Args:
            keys: Content hash of each item; equal keys share one array.
            compute: Positions in ``keys`` -> their arrays in order; called with at most ``chunk`` positions.
            pack: Arrays in one file; the most that a killed run loses.
            chunk: Largest number of items computed in one call.
            progress: Called after each chunk with the number of keys that are available.

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

    def available(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys whose arrays are on disk; only the headers of the packs are read.

        Raises:
            DataError: A pack is damaged; the message names the file to delete.
        """
        keys = set(keys)
        return set().union(*self._each_pack(lambda pack: keys.intersection(pack.keys())))

    def _read(self, keys: set[str]) -> dict[str, Array]:
        found: dict[str, Array] = {}

        def arrays(pack: Any) -> dict[str, Array]:
            return {key: pack.get_tensor(key) for key in keys.intersection(pack.keys()) - found.keys()}

        for more in self._each_pack(arrays):
            found.update(more)
        return found

    def _each_pack(self, read: Callable[[Any], T]) -> Iterator[T]:
        for path in sorted(self.folder.glob("pack-*.safetensors")):
            try:
                with safe_open(path, framework="numpy") as file:
                    result = read(file)
            except (SafetensorError, OSError) as error:
                raise DataError(
                    f"{path} cannot be read ({error}); delete that file and start again: it is only a cache"
                ) from error
            yield result

    def _write(self, arrays: dict[str, Array]) -> None:
        if not (self.folder / "settings.json").exists():
            write_json(self.folder / "settings.json", self.settings)
        with atomic_path(self.folder / f"pack-{fingerprint(sorted(arrays))}.safetensors") as temporary:
            save_file(arrays, temporary)
