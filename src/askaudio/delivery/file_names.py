"""Names of files that every system and every archive program accepts, each once."""

from __future__ import annotations

import re
import unicodedata

_MOST_BYTES = 180  # of a name without its suffix; systems allow 255, and a number may follow
# what a path may consist of, what Windows forbids, and characters that change the direction of text
_FORBIDDEN = re.compile(
    '[\x00-\x1f\x7f-\x9f<>:"/\\\\|?*\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]'
)
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def safe_name(name: str, otherwise: str = "sound") -> str:
    """One part of a path from any text: no separators, no reserved names, no dots or blanks at its ends.

    Args:
        name: Any text.
        otherwise: What is used where nothing is left of it.

    Example:
        >>> safe_name("../../etc/passwd"), safe_name("con.wav"), safe_name(" ... ")
        ('_.._etc_passwd', '_con.wav', 'sound')
    """
    clean = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip(" .")
    clean = clean.encode()[:_MOST_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{clean}" if _RESERVED.fullmatch(clean) else clean or otherwise


class Names:
    """Gives each file of a folder its own name, on systems that ignore case as well."""

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in taken}

    def add(self, stem: str, suffix: str = "") -> str:
        """A safe name that no other file has; a number is added where it is taken.

        Args:
            stem: Name without suffix.
            suffix: Suffix with its dot.
        """
        stem, suffix = safe_name(stem), re.sub(r"[^.A-Za-z0-9]", "", suffix)[:12]
        name, number = stem + suffix, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem} ({number}){suffix}"
        self._taken.add(name.casefold())
        return name
