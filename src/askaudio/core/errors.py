"""The error family: every message says what was got, what was expected, and the command that mends it.

The command line turns any AskAudioError into exit code 2, the server into a 4xx answer.
"""

from __future__ import annotations


class AskAudioError(Exception):
    """Base of all errors that a user can mend."""


class ConfigError(AskAudioError):
    """A recipe, an option or an argument has a wrong value."""


class DataError(AskAudioError):
    """A manifest, caption file, run file or embedding file is not what it should be."""


class AudioDecodeError(AskAudioError):
    """An audio file cannot be decoded; the message names the path.

    Args:
        path: The file, as the user gave it.
        reason: What the decoder met, in one phrase.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"cannot decode {self.path}: {reason}")


class ModelError(AskAudioError):
    """A model folder is incomplete, damaged, from a newer version, or does not fit its use."""


class IndexStoreError(AskAudioError):
    """A collection cannot be opened, does not fit the encoder, or an engine cannot do what is asked."""


class UnknownClipError(AskAudioError):
    """The collection holds no clip of the id that was asked for.

    Args:
        clip_id: The id, as it was given.
        collection: Address of the collection.
    """

    def __init__(self, clip_id: str, collection: str) -> None:
        self.clip_id = clip_id
        super().__init__(f"no clip {clip_id!r} in {collection}; askaudio collection list shows the ids")


class MissingExtraError(AskAudioError):
    """An optional package is not installed; the message gives the pip line."""
