"""How the text of a query becomes a vector: in which language it is, and whether the model knows its words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from askaudio.core.errors import MissingExtraError
from askaudio.core.types import FloatArray
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.languages import ENGLISH, LanguageMap, language_of

_KEPT = 1024  # people repeat their queries: the vectors of the last texts are kept (2 MB at D = 512)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A text as the model reads it.

    Attributes:
        vector: (D,), length 1.
        known: Whether the model knows at least one of its words; otherwise the vector says nothing.
        note: What the user should know; empty for most texts.
    """

    vector: FloatArray
    known: bool = True
    note: str = ""


class TextReader:
    """Reads texts with one encoder.

    Args:
        encoder: Encodes English. If it has a ``language_map``, texts in other languages are encoded by that map.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.read = lru_cache(_KEPT)(self._read)

    def _read(self, text: str, language: str = "") -> Reading:
        """Read a text.

        Args:
            text: The text.
            language: Code such as "de"; "" finds it by the script and the words.

        Raises:
            MissingExtraError: A language other than English was chosen, and the extra ``languages`` is not installed.
        """
        code = language or language_of(text)
        languages: LanguageMap | None = getattr(self._encoder, "language_map", None)
        if code == ENGLISH or languages is None:
            return self._natively(text, "")
        try:
            return Reading(languages.encode([text])[0])
        except MissingExtraError as error:
            if language:
                raise
            return self._natively(text, f"{text!r} is not English, and {error}")

    def _natively(self, text: str, note: str) -> Reading:
        vector = self._encoder.encode_text([text])[0]
        unknown_words = getattr(self._encoder, "unknown_words", None)
        unknown, count = unknown_words(text) if unknown_words else ([], 0)
        if not unknown:
            return Reading(vector, note=note)
        known = len(unknown) < count
        some = "none of the words" if not known else "not the words" if len(unknown) > 1 else "not the word"
        return Reading(vector, known, note or f"the model knows {some} {' '.join(unknown)}")
