"""The ways in which people ask: key words, a question, a command, made from a caption by rule.

Captions are sentences, but real queries are not (Freesound queries have 1.8 words on average), so a system is asked in
every form and the loss against the plain caption is reported.
"""

from __future__ import annotations

from collections.abc import Callable

from askaudio.evaluation.words import content_words


def key_words(text: str) -> str:
    """Content words in order, each once: "A dog barks, then a bell rings" -> "dog barks bell rings"."""
    return " ".join(dict.fromkeys(content_words(text))) or text


def question(text: str) -> str:
    """A question: "A dog barks" -> "Do you have a recording of a dog barks?"."""
    return f"Do you have a recording of {_inner(text)}?"


def command(text: str) -> str:
    """A command: "A dog barks" -> "Find me the sound of this: a dog barks."."""
    return f"Find me the sound of this: {_inner(text)}."


FORMS: dict[str, Callable[[str], str]] = {"key words": key_words, "question": question, "command": command}


def _inner(text: str) -> str:
    plain = text.strip().rstrip(".!?").strip()
    # an acronym or a name keeps its capital: only a capital before a small letter or alone is the sentence's
    return plain[:1].lower() + plain[1:] if len(plain) < 2 or not plain[1].isupper() else plain
