"""One text picks the engine.

memory:                       exact, kept nowhere
exact:FOLDER                  exact, in a folder: slow and always right
FOLDER or lance:FOLDER        the default: LanceDB with a search cache
s3://BUCKET/PREFIX            LanceDB on object storage (also gs://, az://)
postgresql://USER@HOST/DB     PostgreSQL with pgvector; ?collection=NAME picks one of several in a database
"""

from __future__ import annotations

import os
from pathlib import Path

from askaudio.core.errors import IndexStoreError
from askaudio.engines.local.store import EmbeddedStore, read_identity
from askaudio.index.entries import Identity, Mode
from askaudio.index.store import VectorStore

OBJECT_SCHEMES = ("s3://", "gs://", "az://", "abfss://")
POSTGRES_SCHEMES = ("postgresql://", "postgres://")


def check_identity(stored: Identity, wanted: Identity | None, url: str) -> Identity:
    """The stored identity, when vectors of the wanted encoder may stand beside the stored ones.

    Raises:
        IndexStoreError: They come from another encoder.
    """
    if wanted is None:
        return stored
    if (stored.fingerprint, stored.embed_dim) != (wanted.fingerprint, wanted.embed_dim):
        raise IndexStoreError(
            f"{url} holds {stored.embed_dim}-d vectors of the encoder {stored.fingerprint} "
            f"({stored.model or 'unknown'}), got {wanted.embed_dim}-d of {wanted.fingerprint} "
            f"({wanted.model or 'unknown'}); vectors of two encoders cannot be compared. "
            "Mend: use the encoder of the collection, or index into a new one with --collection"
        )
    return stored


def open_store(url: str | Path, mode: Mode = "r", identity: Identity | None = None) -> VectorStore:
    """Open a collection; with mode "w" and an identity, make it when there is none.

    Args:
        url: See the head of this file.
        mode: "r" to read, "w" to write.
        identity: Of the encoder in use; refused when the collection holds another's vectors.

    Returns:
        The store, to be closed.

    Raises:
        IndexStoreError: No such collection, another encoder's, a newer version's, or in use by another writer.
        MissingExtraError: The engine's package is not installed.
    """
    text = str(url)
    if text.startswith(OBJECT_SCHEMES):
        from askaudio.engines.objects import open_objects

        return _checked(*open_objects(text, mode, identity), identity)
    if text.startswith(POSTGRES_SCHEMES):
        from askaudio.engines.postgres import open_postgres

        return _checked(*open_postgres(text, mode, identity), identity)
    if text.startswith("memory:"):
        from askaudio.engines.exact import ExactStore

        return ExactStore(_needed(identity, text))
    scheme, found, rest = text.partition(":")
    if found and scheme in ("exact", "lance"):
        return _open_folder(Path(rest).expanduser(), scheme, mode, identity)
    if "://" in text:
        raise IndexStoreError(f"{text}: no engine for this kind of address; known: {__doc__}")
    return _open_folder(Path(text).expanduser(), None, mode, identity)


def _checked(store: VectorStore, stood_there: bool, identity: Identity | None) -> VectorStore:
    try:
        if stood_there:
            check_identity(store.identity, identity, store.url)
        return store
    except IndexStoreError:
        store.close()
        raise


def _needed(identity: Identity | None, url: str) -> Identity:
    if identity is None:
        raise IndexStoreError(f"there is no collection at {url}; make one: askaudio index FOLDER --collection {url}")
    return identity


def _open_folder(folder: Path, engine: str | None, mode: Mode, identity: Identity | None) -> VectorStore:
    stored = read_identity(folder)
    if stored is None:
        if mode == "r" or identity is None:
            raise IndexStoreError(
                f"there is no collection at {folder}; make one: askaudio index FOLDER --collection {folder}"
            )
        if folder.is_dir() and any(path.suffix not in (".lock", ".lance") for path in folder.iterdir()):
            raise IndexStoreError(
                f"{folder} holds other files and no collection; give an empty or new folder to --collection"
            )
    elif engine is not None and engine != stored[0]:
        raise IndexStoreError(f"{folder} is a collection of the engine {stored[0]}; open it as {stored[0]}:{folder}")
    kept = check_identity(stored[1], identity, str(folder)) if stored else _needed(identity, str(folder))
    if (stored[0] if stored else engine) == "exact":
        from askaudio.engines.exact import ExactStore

        return ExactStore(kept, folder, mode)
    return EmbeddedStore(folder, kept, mode)


def default_collection() -> str:
    """Where sounds are indexed when nobody says otherwise: ASKAUDIO_COLLECTION, or a folder in the home directory."""
    return os.environ.get("ASKAUDIO_COLLECTION") or str(Path.home() / ".askaudio" / "collections" / "default")
