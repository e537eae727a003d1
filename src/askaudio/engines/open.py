"""Open a collection by its address; the engine is imported when it is needed. Addresses: ``engines/address.py``."""

from __future__ import annotations

from pathlib import Path

from askaudio.core.errors import CollectionNotFoundError, IndexStoreError
from askaudio.engines.address import Address, default_collection, parse_address
from askaudio.engines.local.store import EmbeddedStore, read_identity
from askaudio.index.entries import Identity, Mode
from askaudio.index.store import VectorStore

__all__ = ["check_identity", "default_collection", "open_store"]
# what askaudio itself leaves in a folder before the collection is complete, and kept things of one that is made again
_OWN_SUFFIXES = (".lock", ".lance", ".sqlite", ".sqlite-wal", ".sqlite-shm")


def check_identity(stored: Identity, required: Identity | None, url: str) -> Identity:
    """Refuse to mix the vectors of two encoders in one collection.

    Args:
        stored: Identity of the encoder that made the collection.
        required: Identity of the encoder in use; None accepts any collection.
        url: Address of the collection, for the message.

    Returns:
        The stored identity.

    Raises:
        IndexStoreError: The two encoders differ.
    """
    if required is None:
        return stored
    if (stored.fingerprint, stored.embed_dim) != (required.fingerprint, required.embed_dim):
        raise IndexStoreError(
            f"{url} holds {stored.embed_dim}-d vectors of the encoder {stored.fingerprint} "
            f"({stored.model or 'unknown'}), got {required.embed_dim}-d of {required.fingerprint} "
            f"({required.model or 'unknown'}); vectors of two encoders cannot be compared. "
            "Fix: use the encoder of the collection, or index into a new one with --collection"
        )
    return stored


def open_store(url: str | Path, mode: Mode = "r", identity: Identity | None = None) -> VectorStore:
    """Open a collection; with mode "w" and an identity, create it if it does not exist.

    Args:
        url: Address, see ``engines/address.py``.
        mode: "r" to read, "w" to write.
        identity: Identity of the encoder in use. A collection of another encoder is refused.

    Returns:
        The open store. The caller closes it.

    Raises:
        CollectionNotFoundError: There is no collection at this address.
        IndexStoreError: Made by another encoder or a newer version, or another process writes to it.
        MissingExtraError: The engine's package is not installed.
    """
    address = parse_address(url)
    if address.kind == "objects":
        from askaudio.engines.objects import open_objects

        return _checked(*open_objects(address.text, mode, identity), identity)
    if address.kind == "postgres":
        from askaudio.engines.postgres import open_postgres

        return _checked(*open_postgres(address.text, mode, identity), identity)
    if address.kind == "memory":
        from askaudio.engines.exact import ExactStore

        if identity is None:
            raise CollectionNotFoundError(address.text)
        return ExactStore(identity)
    return _open_folder(address, mode, identity)


def _checked(store: VectorStore, existed: bool, identity: Identity | None) -> VectorStore:
    try:
        if existed:
            check_identity(store.identity, identity, store.url)
        return store
    except IndexStoreError:
        store.close()
        raise


def _open_folder(address: Address, mode: Mode, identity: Identity | None) -> VectorStore:
    folder, engine = address.folder or Path(), address.engine
    stored = read_identity(folder)
    if stored is None:
        if mode == "r" or identity is None:
            raise CollectionNotFoundError(str(folder))
        if folder.is_dir() and any(path.suffix not in _OWN_SUFFIXES for path in folder.iterdir()):
            raise IndexStoreError(
                f"{folder} holds other files and no collection; give an empty or new folder to --collection"
            )
        kept = identity
    else:
        if engine not in (None, stored[0]):
            raise IndexStoreError(
                f"{folder} is a collection of the engine {stored[0]}; open it as {stored[0]}:{folder}"
            )
        engine, kept = stored[0], check_identity(stored[1], identity, str(folder))
    if engine == "exact":
        from askaudio.engines.exact import ExactStore

        return ExactStore(kept, folder, mode)
    return EmbeddedStore(folder, kept, mode)
