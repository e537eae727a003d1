"""All errors of the package. A message says what was found, what was expected, and the command that fixes it.

The command line turns an AskAudioError into exit code 2, the server into a 4xx answer.
"""

from __future__ import annotations


class AskAudioError(Exception):
    """Base of all errors that a user can fix; anything else is a bug."""


class ConfigError(AskAudioError):
    """A recipe, an option or an argument has a wrong value."""


class DataError(AskAudioError):
    """A manifest, caption file, run file or embedding file has the wrong content."""


class AudioDecodeError(AskAudioError):
    """An audio file cannot be decoded; the message names the path.

    Args:
        path: The file as the user named it.
        reason: Why it cannot be decoded, in one phrase.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"cannot decode {self.path}: {reason}")


class ModelError(AskAudioError):
    """A model folder is incomplete, damaged, from a newer version, or unsuitable for its use."""


class IndexStoreError(AskAudioError):
    """A collection cannot be opened, does not fit the encoder, or its engine does not support the operation."""


class CollectionNotFoundError(IndexStoreError):
    """There is no collection at an address.

    Args:
        url: The address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"there is no collection at {url}; make one: askaudio index FOLDER --collection {url}")


class UnknownClipError(AskAudioError):
    """The collection holds no clip with this id.

    Args:
        clip_id: The id as the caller passed it.
        collection: Address of the collection.
    """

    def __init__(self, clip_id: str, collection: str) -> None:
        self.clip_id = clip_id
        super().__init__(f"no clip {clip_id!r} in {collection}; askaudio collection list shows the ids")


class MissingExtraError(AskAudioError):
    """An optional package is not installed; the message gives the pip line."""
