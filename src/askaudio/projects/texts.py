"""Checks of the texts that people type: names and notes."""

from __future__ import annotations

from askaudio.core.errors import ConfigError
from askaudio.core.names import normal
from askaudio.core.text import bad_character

MOST_NAME = 120  # characters


def checked_name(text: str, what: str) -> str:
    """A name in the normal form, without blanks around it.

    Args:
        text: As it was typed.
        what: What it names, for the message.

    Raises:
        ConfigError: It is empty, too long, or more than one line.
    """
    name = checked_text(text, what, MOST_NAME)
    if not name or not name.isprintable():
        raise ConfigError(f"{what} is {text!r}; expected one line of 1 to {MOST_NAME} characters")
    return name


def checked_text(text: str, what: str, longest: int) -> str:
    """A text in the normal form, without blanks around it; it may be empty.

    Args:
        text: As it was typed.
        what: What it is, for the message.
        longest: Number of characters at most.

    Raises:
        ConfigError: It is too long, or contains what cannot be stored as text.
    """
    if (found := bad_character(text)) or len(text) > longest:
        raise ConfigError(f"{what} contains {found}" if found else
                          f"{what} has {len(text)} characters; expected at most {longest}")  # fmt: skip
    return normal(text).strip()
