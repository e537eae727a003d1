"""The page in a real Firefox: search, long list, formats that it does not play, keys only, both themes, a phone's size.

Skipped where no Firefox is installed (``apt-get install firefox-esr`` brings one).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from firefox import FIREFOX, Firefox

pytest.importorskip("websockets", reason="needs the Python package websockets")
pytestmark = pytest.mark.skipif(FIREFOX is None, reason="no Firefox on this machine: apt-get install firefox-esr")
_PACKAGE = importlib.util.find_spec("axe_playwright_python")
FIRST = "document.querySelector('#results h3').innerText"
AUDIO = "document.getElementById('audio')"
MUTED = f"{AUDIO}.muted = true"  # else Firefox plays nothing on a machine without a sound card


@pytest.fixture(scope="module")
def page() -> Iterator[Firefox]:
    with Firefox() as page:
        yield page


def test_a_search_by_keys_alone(page, library):
    page.open(library)
    page.wait("document.querySelectorAll('#results article').length === 8")
    page.run(MUTED)
    page.run("document.activeElement.blur()")
    page.press("/")
    page.type("siren aiff")
    page.wait(f"document.querySelector('#results h3') && {FIRST}.startsWith('siren aiff')")
    page.press("ArrowDown")
    page.press("Space")  # the browser does not play AIFF: the server sends wav
    page.wait(f"{AUDIO}.currentTime > 0.2 && {AUDIO}.dataset.as === 'wav'")
    page.press("Escape")
    page.press("Shift+ArrowDown")
    page.wait("document.getElementById('selection-count').innerText === '2 sounds selected'")
    page.press("i")
    page.wait("document.getElementById('side').innerText.includes('Why it was found')")
    page.press("Escape")
    assert page.run("document.getElementById('side').hidden") is True


def test_adpcm_is_noticed_and_decoded(page, library):
    page.open(library + "?q=siren+adpcm")
    page.wait(f"document.querySelector('#results h3') && {FIRST}.startsWith('siren adpcm')")
    page.run(MUTED)
    page.run("document.querySelector('#results .play').click()")
    page.wait(f"{AUDIO}.currentTime > 0.2 && Math.abs({AUDIO}.duration - 2) < 0.1")


def test_a_long_list_goes_to_its_end(page, library):
    page.open(library + "?sort=duration")
    page.wait("document.querySelector('#results article')")
    page.run("scrollTo(0, document.body.scrollHeight)")
    page.wait("document.querySelector('#results > li:last-child').innerText.includes('sound 299')")
    assert page.run("document.querySelectorAll('#results > li').length") < 40


@pytest.mark.skipif(_PACKAGE is None, reason="needs the Python package axe-playwright-python")
@pytest.mark.parametrize(("theme", "width"), [("light", 1200), ("dark", 390)])
def test_nothing_serious(page, library, theme, width):
    page.open(library, width)
    page.run(f"localStorage.setItem('theme', '{theme}')")
    page.open(library + "?q=bell", width)
    page.wait(f"document.querySelector('#results h3') && {FIRST}.startsWith('bell')")
    page.run("document.querySelector('#results .play').click()")
    page.wait("!document.getElementById('player').hidden")
    assert page.run("document.documentElement.scrollWidth <= innerWidth") is True
    assert page.run("document.getElementById('player').getBoundingClientRect().bottom <= innerHeight") is True
    page.load(Path(_PACKAGE.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    serious = """axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations
        .filter((one) => ['serious', 'critical'].includes(one.impact))
        .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`))"""
    assert page.run(serious) == []
