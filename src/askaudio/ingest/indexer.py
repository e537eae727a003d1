"""A collection that is being written: which model makes its vectors, and one update after the other.

``SearchEngine.build`` and ``askaudio index`` both work through it, so they make the same collection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from askaudio.core.errors import CollectionNotFoundError
from askaudio.core.types import Progress, silent
from askaudio.data.manifest import read_manifest
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import DEFAULT, load_encoder, settled
from askaudio.engines.address import parse_address
from askaudio.engines.open import check_identity, open_store
from askaudio.index.entries import Identity
from askaudio.index.store import VectorStore
from askaudio.ingest.report import Report, read_broken, write_broken
from askaudio.ingest.sidecar import text_file
from askaudio.ingest.update import ingest
from askaudio.ingest.walk import existing_roots, is_below

Captions: TypeAlias = Mapping[str, str | Sequence[str]]


class Indexer:
    """A collection open for writing, and the folders whose sounds it holds.

    Args:
        folders: Folders or files.
        collection: Address; created if it does not exist.
        model: Name, folder or encoder. Without it, the model that made the collection; for a new one, ``small``.

    Raises:
        ConfigError: A folder does not exist.
        ModelError: The model cannot be loaded.
        IndexStoreError: The collection holds another encoder's vectors, or another process writes to it.
    """

    def __init__(
        self, folders: Sequence[str | Path], collection: str | Path, model: str | Path | Encoder | None = None
    ) -> None:
        self.folders = existing_roots(folders)  # checked before a model is loaded, which takes seconds
        self.broken_file = broken_file(collection)
        self.store, self.encoder, self.spec = _open(collection, model)

    def update(
        self,
        *,
        workers: int = 1,
        cluster: str = "",
        captions: Captions | None = None,
        rehash: bool = False,
        remove_missing: bool = False,
        wait_for_folders: bool = False,
        progress: Progress = silent,
    ) -> Report:
        """Add what is new in the folders, replace what changed, remove what is gone; see ``ingest``.

        Args:
            workers: Processes that encode; 1 works in this process. An encoder object works with 1 only.
            cluster: Address of a Ray cluster that encodes instead.
            captions: Path -> one or several captions, beside those of a ``manifest.jsonl`` in the folders.
            rehash: Compare the content of every file instead of its size and time.
            remove_missing: Remove all missing files below folders that can be listed. Without it, the files of a folder
                that has lost all of its sounds, and more than a tenth of the files, are kept.
            wait_for_folders: Keep what is known of a folder that does not exist, instead of raising.
            progress: Called with files done and to do.
        """
        before = {} if self.broken_file is None else read_broken(self.broken_file)
        report = ingest(
            self.folders,
            self.store,
            self.encoder,
            spec=self.spec,
            workers=workers,
            cluster=cluster,
            captions={**manifest_captions(self.folders), **_by_absolute_path(captions or {})},
            known_broken={} if rehash else before,
            rehash=rehash,
            remove_missing=remove_missing,
            wait_for_folders=wait_for_folders,
            progress=progress,
        )
        if self.broken_file is not None and (report.broken or report.damaged or self.broken_file.exists()):
            looked_at = [str(folder) for folder in self.folders]
            others = {path: row for path, row in before.items() if not any(is_below(path, root) for root in looked_at)}
            write_broken(report, self.broken_file, others)
        return report

    def close(self) -> None:
        """Release the collection for other writers."""
        self.store.close()

    def __enter__(self) -> Indexer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def broken_file(collection: str | Path) -> Path | None:
    """Where the broken files are listed: in the collection when it is a folder, else in the working folder."""
    address = parse_address(collection)
    if address.kind == "memory":
        return None
    return Path("askaudio-broken.jsonl") if address.folder is None else address.folder / "broken.jsonl"


def _open(collection: str | Path, model: str | Path | Encoder | None) -> tuple[VectorStore, Encoder, str]:
    """The store, open for writing, its encoder, and how worker processes load that encoder."""
    try:
        store = open_store(collection, "w")
    except CollectionNotFoundError:
        encoder, spec = _load(model or DEFAULT)
        return open_store(collection, "w", Identity.of(encoder, spec)), encoder, spec
    try:
        encoder, spec = _load(model or store.identity.model or DEFAULT)
        check_identity(store.identity, Identity.of(encoder, spec), store.url)
    except BaseException:
        store.close()
        raise
    return store, encoder, spec


def _load(model: str | Path | Encoder) -> tuple[Encoder, str]:
    if isinstance(model, Encoder):
        return model, ""
    spec = settled(str(model))
    return load_encoder(spec), spec


def manifest_captions(folders: Sequence[str | Path]) -> dict[str, list[str]]:
    """Captions from a manifest.jsonl in one of the folders: absolute path -> texts."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        manifest = Path(folder) / "manifest.jsonl"
        if text_file(manifest, folders):  # its paths are relative to the folder, also where it is a link
            found.update((os.path.abspath(c.path), [t.text for t in c.captions]) for c in read_manifest(manifest))
    return found


def _by_absolute_path(captions: Captions) -> dict[str, list[str]]:
    return {
        os.path.abspath(Path(path).expanduser()): [texts] if isinstance(texts, str) else list(texts)
        for path, texts in captions.items()
    }
