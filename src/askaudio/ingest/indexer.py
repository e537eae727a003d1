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
from askaudio.ingest.update import ingest
from askaudio.ingest.walk import absolute_roots

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
        self.folders = absolute_roots(folders)  # checked before a model is loaded, which takes seconds
        self.broken_file = _broken_file(collection)
        self.store, self.encoder, self.spec = _open(collection, model)

    def update(
        self,
        *,
        workers: int = 1,
        cluster: str = "",
        captions: Captions | None = None,
        rehash: bool = False,
        progress: Progress = silent,
    ) -> Report:
        """Add what is new in the folders, replace what changed, remove what is gone; see ``ingest``.

        Args:
            workers: Processes that encode; 1 works in this process. An encoder object works with 1 only.
            cluster: Address of a Ray cluster that encodes instead.
            captions: Path -> one or several captions, beside those of a ``manifest.jsonl`` in the folders.
            rehash: Compare the content of every file instead of its size and time.
            progress: Called with files done and to do.
        """
        report = ingest(
            self.folders,
            self.store,
            self.encoder,
            spec=self.spec,
            workers=workers,
            cluster=cluster,
            captions={**manifest_captions(self.folders), **_by_absolute_path(captions or {})},
            known_broken={} if rehash or self.broken_file is None else read_broken(self.broken_file),
            rehash=rehash,
            progress=progress,
        )
        if self.broken_file is not None and (report.broken or self.broken_file.exists()):
            write_broken(report, self.broken_file)
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


def _broken_file(collection: str | Path) -> Path | None:
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
        if manifest.is_file():
            found.update((os.path.abspath(c.path), [t.text for t in c.captions]) for c in read_manifest(manifest))
    return found


def _by_absolute_path(captions: Captions) -> dict[str, list[str]]:
    return {
        os.path.abspath(Path(path).expanduser()): [texts] if isinstance(texts, str) else list(texts)
        for path, texts in captions.items()
    }
