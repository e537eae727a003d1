"""The page for everyone: axe-core finds nothing serious, in both themes, on a desktop and a phone; keys are enough."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from browser import FIRST, first_is, needs_chromium

expect = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright").expect
pytestmark = needs_chromium
_PACKAGE = importlib.util.find_spec("axe_playwright_python")
needs_axe = pytest.mark.skipif(_PACKAGE is None, reason="needs the Python package axe-playwright-python")
PHONE = {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}
RUN = """() => axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`))"""


def serious(page) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate(Path(_PACKAGE.origin).with_name("axe.min.js").read_text(encoding="utf-8") + "; null")
    return page.evaluate(RUN)


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_nothing_serious(open_page, library, scheme, device):
    page = open_page("?q=bell", base=library, allow="404", color_scheme=scheme, **device)
    first_is(page, "bell")
    page.locator(FIRST + ".play").click()
    page.locator(FIRST + ".takes").click()
    expect(page.locator("#player")).to_be_in_viewport(ratio=1)
    assert serious(page) == []
    page.locator("#look").select_option("columns")
    page.locator("#open-filters").click()
    expect(page.locator("#panel-filters label").first).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.locator("#open-detail").click()
    expect(page.locator("#panel-detail dl")).to_be_visible()
    assert serious(page) == []


def test_a_phone_shows_the_whole_player_and_needs_no_sideways_scrolling(open_page, library):
    page = open_page("?q=siren+aiff", base=library, allow="404", **PHONE)
    first_is(page, "siren aiff")
    page.locator(FIRST + ".play").tap()
    box = page.locator("#player").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 800
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#tune").tap()
    expect(page.locator("#tuning")).to_be_in_viewport(ratio=1)
