"""Licences by name: what people write in tags and lists -> one name, address, and whether commercial use is allowed.

Commercial use counts as allowed only where the whole text is understood. "CC BY 4.0" is, "CC BY, see the web page" is
not. A rule file can say what a text means (``rules.py``). Names follow SPDX (https://spdx.org/licenses).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence.

    Attributes:
        name: SPDX identifier, or the text itself where it is not known; empty where there is no text.
        url: Address of its text, or "".
        commercial: Whether commercial use is allowed; None where that is not known, which counts as not allowed.
        attribution: Whether the author must be named.
        derivatives: Whether the sound may be changed, which cutting and mixing do.
    """

    name: str = ""
    url: str = ""
    commercial: bool | None = None
    attribution: bool = True
    derivatives: bool = True

    @property
    def allows_commercial(self) -> str:
        """One of the texts yes, no and unknown."""
        return {True: "yes", False: "no", None: "unknown"}[self.commercial]


_SPDX = "https://spdx.org/licenses/"
_PUBLIC = Licence("public domain", "", True, attribution=False)
# the words of a text -> parts of a Creative Commons licence; "" is a word without a meaning of its own
_CC_WORDS = {
    "cc": "cc", "creative": "cc", "commons": "cc", "creativecommons": "cc",
    "by": "BY", "attribution": "BY", "nc": "NC", "noncommercial": "NC", "nd": "ND", "noderivatives": "ND",
    "noderivs": "ND", "noderivative": "ND", "sa": "SA", "sharealike": "SA", "0": "CC0", "zero": "CC0", "cc0": "CC0",
    "unported": "", "international": "", "int": "", "generic": "", "universal": "", "license": "", "licence": "",
    "public": "", "domain": "", "dedication": "", "deed": "", "legalcode": "", "v": "", "version": "",
}  # fmt: skip
# licences of software that sounds come with, and others; matched against the whole text in lower case
_OTHERS = [
    (r"(mit|expat)", "MIT", True),
    (r"(the )?(apache|asl)( ?2(\.0)?)?", "Apache-2.0", True),
    (r"(0bsd|bsd 0 clause)", "0BSD", True),
    (r"bsd( 2 clause)?", "BSD-2-Clause", True),
    (r"bsd 3 clause", "BSD-3-Clause", True),
    (r"isc", "ISC", True),
    (r"zlib", "Zlib", True),
    (r"(bsl|boost)( 1(\.0)?)?", "BSL-1.0", True),
    (r"(the )?unlicense", "Unlicense", True),
    (r"wtfpl", "WTFPL", True),
    (r"artistic( 1(\.0)?)?", "Artistic-1.0", True),
    (r"artistic 2(\.0)?", "Artistic-2.0", True),
    (r"mpl( 2(\.0)?)?", "MPL-2.0", True),
]
_GNU = re.compile(
    r"(?:the )?(?:gnu )?(?P<kind>gpl|lgpl|agpl|(?:lesser |affero )?general public)"
    r"(?: ?v(?:ersion)?)?(?: ?(?P<version>[123](?:\.\d)?))?(?P<later> ?\+| or later)?(?: only)?"
)
_REFUSED = re.compile(
    r"\bnc\b|non[- ]?commercial|personal use|private use|research (?:use )?only|research use|editorial use|"
    r"all rights reserved|not for commercial|no commercial|remarc"
)
_LEAD = re.compile(
    r"^(?:spdx-license-identifier|licen[cs]ed?|released|available|distributed|published|"
    r"(?:this|the) (?:work|sound|recording|file) is(?: licen[cs]ed)?)?"
    r"(?: is| under| the terms of| terms of| a| an| the|:)*\s*"
)
_URL = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z-]+)(?:/(\d\.\d))?[^\s)\"'<>]*"
)


def normalise(text: str) -> Licence:
    """The licence that a text names.

    Args:
        text: As tags, lists and people write it.

    Returns:
        A known licence; else one with the text as its name.

    Example:
        >>> normalise("Creative Commons Attribution-NonCommercial 3.0 Unported").name
        'CC-BY-NC-3.0'
        >>> normalise("https://creativecommons.org/publicdomain/zero/1.0/").commercial
        True
        >>> normalise("Attribution, or ask me").commercial is None
        True
    """
    text = " ".join(text.split())
    parts = [
        part
        for part in re.split(r"[;|]|\.(?=\s|$)|,\s(?!version)|\s(?:and|or)\s(?!later)", text, flags=re.I)
        if part.strip()
    ]
    found = [_one(part) for part in parts]
    if found and all(licence is not None for licence in found):
        known = list(dict.fromkeys(licence for licence in found if licence is not None))
        return known[0] if len(known) == 1 else _joined(known)
    return Licence(text[:200], commercial=False if _REFUSED.search(text.lower()) else None)


def decided(licence: Licence, commercial: bool) -> Licence:
    """The licence with what a rule says about commercial use.

    Args:
        licence: Any licence.
        commercial: Whether commercial use is allowed.
    """
    return replace(licence, commercial=commercial)


def _joined(known: list[Licence]) -> Licence:
    """Several licences at once: what all of them allow, since it is not known which part each covers."""
    commercial = [licence.commercial for licence in known]
    return Licence(
        " and ".join(licence.name for licence in known),
        commercial=False if False in commercial else None if None in commercial else True,
        attribution=any(licence.attribution for licence in known),
        derivatives=all(licence.derivatives for licence in known),
    )


def _one(part: str) -> Licence | None:
    """The licence of a text that names one and says nothing else; None where it says something else."""
    lower = part.strip().lower()
    if (url := _URL.search(lower)) is not None:
        named = _creative_commons(url[2].split("-") if url[1] == "licenses" else [url[2]], url[3])
        rest = _URL.sub("", lower).strip(" ()<>:-")
        return named if not rest or (named is not None and _same(_one(rest), named)) else None
    words = re.sub(r"[\s_,()\[\]<>\"'/:-]+", " ", _LEAD.sub("", lower)).strip()
    if re.fullmatch(r"(in the )?public domain( mark)?( 1\.0)?|pd", words):
        return _PUBLIC
    if (gnu := _GNU.fullmatch(re.sub(r" licen[cs]e\b", "", words))) is not None:
        return _gnu(gnu)
    short = re.sub(r" (licen[cs]e|version)\b", "", words)
    for pattern, name, commercial in _OTHERS:
        if re.fullmatch(pattern, short):
            return Licence(name, f"{_SPDX}{name}.html", commercial)
    if re.fullmatch(r"pixabay( content)?", short):
        return Licence("Pixabay Content License", "https://pixabay.com/service/license-summary/", True, False)
    return _words_of_cc(words)


def _words_of_cc(text: str) -> Licence | None:
    text = re.sub(r"\bnon commercial\b", "noncommercial", text)
    text = re.sub(
        r"\bshare alike\b", "sharealike", re.sub(r"\bno deriv(ative(s( works)?)?|s)?\b", "noderivatives", text)
    )
    words = text.split()
    versions = [word.lstrip("v") for word in words if re.fullmatch(r"v?[1-4]\.\d", word)]
    rest = [word for word in words if not re.fullmatch(r"v?[1-4]\.\d", word)]
    if not rest or len(set(versions)) > 1 or any(word not in _CC_WORDS for word in rest):
        return None
    if "attribution" not in rest and not any(word in ("cc0", "cc", "creative", "creativecommons") for word in rest):
        return None  # "by" and "0" alone may mean anything
    parts = list(dict.fromkeys(_CC_WORDS[word] for word in rest if _CC_WORDS[word] not in ("", "cc")))
    return _creative_commons([part.lower() for part in parts], versions[0] if versions else None)


def _creative_commons(parts: list[str], version: str | None) -> Licence | None:
    """A licence from its parts, such as by, nc, sa."""
    if parts in (["cc0"], ["zero"]):
        return Licence("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/", True, attribution=False)
    if parts == ["mark"]:
        return _PUBLIC
    if not parts or parts[0] != "by" or len(set(parts)) < len(parts) or not set(parts) <= {"by", "nc", "nd", "sa"}:
        return None
    ordered = [part for part in ("by", "nc", "nd", "sa") if part in parts]
    name = "-".join(["CC", *(part.upper() for part in ordered), *([version] if version else [])])
    url = f"https://creativecommons.org/licenses/{'-'.join(ordered)}/{version}/" if version else ""
    return Licence(name, url, "nc" not in parts, derivatives="nd" not in parts)


def _gnu(found: re.Match[str]) -> Licence:
    kind = {"lesser general public": "LGPL", "affero general public": "AGPL", "general public": "GPL"}
    name, version = kind.get(found["kind"], found["kind"].upper()), found["version"]
    if version is None:
        return Licence(name, commercial=True)
    full = f"{name}-{version if '.' in version else version + '.0'}-{'or-later' if found['later'] else 'only'}"
    return Licence(full, f"{_SPDX}{full}.html", True)


def _same(one: Licence | None, other: Licence) -> bool:
    """Whether two texts beside each other name one licence, where one of them may leave the version out."""
    return one is not None and (one.name == other.name or other.name.startswith(one.name + "-"))
