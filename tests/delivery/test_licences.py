"""Texts that people write for licences, and what they are understood as."""

import pytest

from askaudio.delivery.licences import normalise

KNOWN = [
    ("CC0", "CC0-1.0", True),
    ("Creative Commons 0", "CC0-1.0", True),
    ("Creative Commons Zero 1.0.", "CC0-1.0", True),
    ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0", True),
    ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0", True),
    ("Public Domain", "public domain", True),
    ("https://creativecommons.org/publicdomain/mark/1.0/", "public domain", True),
    ("Attribution", "CC-BY", True),
    ("Attribution 4.0", "CC-BY-4.0", True),
    ("CC BY 4.0", "CC-BY-4.0", True),
    ("cc-by-sa-3.0", "CC-BY-SA-3.0", True),
    ("Creative Commons Attribution 3.0 Unported.", "CC-BY-3.0", True),
    ("Creative Commons Attribution-ShareAlike 3.0 Unported.", "CC-BY-SA-3.0", True),
    ("Creative Commons Attribution 3.0 (http://creativecommons.org/licenses/by/3.0/)", "CC-BY-3.0", True),
    ("Attribution 4.0: https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0", True),
    ("This work is licensed under a Creative Commons Attribution 4.0 International License.", "CC-BY-4.0", True),
    ("Licence: CC BY-ND 4.0", "CC-BY-ND-4.0", True),
    ("Attribution Noncommercial", "CC-BY-NC", False),
    ("Attribution-Non Commercial-Share Alike 3.0", "CC-BY-NC-SA-3.0", False),
    ("https://creativecommons.org/licenses/by-nc-nd/4.0/deed.de", "CC-BY-NC-ND-4.0", False),
    ("MIT License", "MIT", True),
    ("Apache License, Version 2.0", "Apache-2.0", True),
    ("BSD-3-Clause", "BSD-3-Clause", True),
    ("GPL-2+", "GPL-2.0-or-later", True),
    ("GNU General Public License v3", "GPL-3.0-only", True),
    ("LGPL v2.1 or later", "LGPL-2.1-or-later", True),
    ("CC-BY-3.0; public-domain", "CC-BY-3.0 and public domain", True),
    ("CC BY 3.0 and CC BY-NC 4.0", "CC-BY-3.0 and CC-BY-NC-4.0", False),
    ("Pixabay Content License", "Pixabay Content License", True),
]


@pytest.mark.parametrize(("text", "name", "commercial"), KNOWN)
def test_known_licences(text, name, commercial):
    found = normalise(text)
    assert (found.name, found.commercial) == (name, commercial)


@pytest.mark.parametrize("text", [text for text, _, _ in KNOWN])
def test_case_and_blanks_do_not_matter(text):
    assert normalise(f"  {text.upper()}  ").name == normalise(text).name


@pytest.mark.parametrize(
    "text",
    [
        "", "free", "royalty free", "by", "0", "Sampling+", "CC BY, or ask me", "CC BY except the drums", "see LICENSE",
        "Apache-2.0 (repo LICENSE.md); clips from Freesound (CC, per-clip licence not listed)",
        "package copyright file lists: CC-BY-SA-3.0; GPL-2+ (not resolved per sound)", "CC", "Creative Commons",
        "MIT repo; sounds Pixabay/CC0 per README", "not CC0", "CC BY 4.0 https://example.org/terms",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_not_allowed(text):
    assert normalise(text).commercial is None


@pytest.mark.parametrize(
    "text",
    ["CC BY-NC 3.0/4.0 (UrbanSound8K)", "All rights reserved", "For personal use only", "BBC RemArc", "research use",
     "free for non-commercial projects", "CC BY 4.0 https://creativecommons.org/licenses/by-nc/4.0/"],
)  # fmt: skip
def test_what_refuses_commercial_use_is_refused(text):
    assert normalise(text).commercial is False


def test_no_licence_with_nc_is_ever_allowed():
    for text in ("by-nc", "CC BY NC", "cc by-nc-sa 4.0 or later", "NC-BY", "Attribution, NonCommercial"):
        assert normalise(text).commercial is not True


def test_attribution_and_changes():
    assert normalise("CC0").attribution is False and normalise("CC BY 4.0").attribution is True
    assert normalise("CC BY-ND 4.0").derivatives is False and normalise("CC BY 4.0").derivatives is True
    assert normalise("x" * 500).name == "x" * 200
