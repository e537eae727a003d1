"""Read a Debian copyright file: the licences it names, its first authors, and whether the sounds may be used.

Everything in main is free by Debian's guidelines. This is a second check for sounds: a file that names a licence
without commercial use or without changes is refused, and the error quotes the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class Refused(Exception):
    """This package is not used; the message says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Licences (comma-separated short names) and the first three authors."""

    names: str
    author: str


# a licence's short name: CC-BY-NC-3.0, CC BY-ND, non-free; "NC" and "ND" only as parts of a Creative Commons name
_BAD_NAME = re.compile(r"\bBY[- ](SA[- ])?(NC|ND)\b|\bNC[- ](SA|ND)\b|non-?free|non-?commercial|no-?deriv", re.I)
_BAD_TEXT = re.compile(
    r"\bCC[- ]BY[- ](NC|ND)|Attribution-?\s?(Non-?Commercial|No-?Deriv)|not\s+for\s+commercial"
    r"|(for|only)\s+non-?commercial\s+(use|purpose)|non-?commercial\s+use\s+only|no\s+commercial\s+use",
    re.I,
)
_SOUND = re.compile(r"sound|music|sfx|audio|voice|sample|\bdata/|\bmedia|\.(ogg|wav|flac|opus|mp3|oga|aiff?)\b", re.I)
_PLAIN = {  # words of a copyright file in free form -> short name
    r"common-licenses/(GPL-[123]|LGPL-[\d.]+|Artistic|Apache-2.0|BSD|GFDL(?:-[\d.]+)?|CC0-1.0|GPL|LGPL)": None,
    r"public domain": "public-domain",
    r"creative ?commons[^.]{0,40}attribution[- ]share": "CC-BY-SA",
    r"CC0": "CC0",
    r"\bMIT\b": "MIT",
    r"Permission is hereby granted, free of charge": "MIT",
    r"Redistributions? of source code must retain": "BSD",
    r"provided 'as-is'.{0,400}altered": "Zlib",
}


def read(text: str) -> Terms:
    """Licences and authors of a copyright file, machine-readable or free.

    Raises:
        Refused: Empty, or a licence in it forbids commercial use or changes.
    """
    if not text.strip():
        raise Refused("no copyright file in the package")
    # what was taken out of the upstream source, and packagers' remarks on it, are not in the package
    spoken = re.sub(r"^(Files-Excluded\S*|Comment|Disclaimer|Source):.*(\n[ \t].*)*", "", text, flags=re.M)
    names = sorted({n.strip() for n in re.findall(r"^Licen[sc]e:[ \t]*(\S.*)$", spoken, re.M)}, key=str.lower)
    for name in names:
        if _BAD_NAME.search(name):
            raise Refused(f"licence {name}")
    if bad := _BAD_TEXT.search(spoken):
        line = " ".join(spoken[max(0, bad.start() - 60) : bad.end() + 30].split())
        raise Refused(f"its copyright file says: ... {line} ...")
    named = sorted({_short(n) for n in _of_sounds(spoken) or names or _plain_names(text)}, key=str.lower)
    return Terms(", ".join(named) or "DFSG-free, no short name given", _author(text))


def _of_sounds(text: str) -> set[str]:
    """Licences of the stanzas that can speak of sounds, so that a bundled library's or a build script's stay out."""
    found = set()
    for stanza in re.split(r"\n[ \t]*\n(?=\S)", text):
        files = re.search(r"^Files:(.*(?:\n[ \t].*)*)", stanza, re.M)
        name = re.search(r"^License:[ \t]*(\S.*)$", stanza, re.M)
        if files and name and (files.group(1).split() == ["*"] or _SOUND.search(files.group(1))):
            found.add(name.group(1).strip())
    return found


def _short(name: str) -> str:
    """``http://creativecommons.org/licenses/by-sa/2.0/`` -> ``CC-BY-SA-2.0``; prose is cut at 60 characters."""
    url = re.search(r"creativecommons\.org/licenses/([a-z-]+)/([\d.]+)", name)
    return f"CC-{url.group(1).upper()}-{url.group(2)}" if url else name[:60]


def _plain_names(text: str) -> list[str]:
    found = set()
    for pattern, name in _PLAIN.items():
        for hit in re.finditer(pattern, text, re.I | re.S):
            found.add(name or hit.group(1))
    return sorted(found)


def _author(text: str) -> str:
    lines = re.findall(r"^\s*Copyright(?:\s*\(c\)|\s*©|:)?[ \t]*(?:\(c\)|©)?[ \t]*(\S.*)$", text, re.M)
    names = [re.sub(r"^(copyright|\(c\)|©|[\d\s,–-])+|<.*?>", "", line, flags=re.I).strip(" .,") for line in lines]
    return "; ".join(list(dict.fromkeys(n for n in names if 2 < len(n) < 80))[:3])
