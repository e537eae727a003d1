"""The panel of duplicates in a real browser: start a search, read the reasons, play both, by keyboard too."""

from __future__ import annotations

import pytest
import soundfile

from askaudio.ingest.indexer import Indexer
from askaudio.search.engine import SearchEngine
from browser import needs_chromium
from layouts import RATE_HZ, texture
from live import live_server

pytestmark = needs_chromium


@pytest.fixture
def copies(tmp_path):
    """Address of a page over one sound in two forms and another one."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "rain <b>.wav", 0.5 * texture(1), RATE_HZ)
    soundfile.write(folder / "rain quiet.flac", 0.1 * texture(1), RATE_HZ)
    soundfile.write(folder / "other.wav", 0.5 * texture(2), RATE_HZ)
    with Indexer([folder], tmp_path / "collection", "toy") as indexer:
        indexer.update()
    with SearchEngine.open(tmp_path / "collection") as engine, live_server(engine, rate_per_s=0) as address:
        yield address


def test_copies_are_found_listed_and_played(open_page, copies):
    page = open_page(base=copies)
    page.locator("#open-duplicates").click()
    panel = page.locator("#panel-duplicates")
    start = panel.get_by_role("button", name="Find duplicates")
    start.wait_for()
    assert "Nothing is deleted" in panel.inner_text()
    start.click()
    panel.locator(".duplicates > li").wait_for(timeout=120_000)
    text = panel.inner_text()
    assert "Keep: rain quiet" in text and "Copy: rain <b>" in text  # the name that says more is kept
    assert "other format (wav for flac), level +14.0 dB" in text
    assert panel.locator(".duplicates b").count() == 0  # names are texts, never markup
    panel.get_by_role("button", name="Play rain quiet").press("Enter")
    assert played(page)
    panel.get_by_role("button", name="Search again").wait_for()


def played(page) -> bool:
    """Whether the player moves on within some seconds."""
    for _ in range(100):
        if page.evaluate("document.getElementById('audio').currentTime > 0"):
            return True
        page.wait_for_timeout(100)
    return False


def test_the_panel_fits_a_phone(open_page, copies):
    page = open_page(base=copies, viewport={"width": 375, "height": 700})
    page.locator("#open-duplicates").click()
    panel = page.locator("#panel-duplicates")
    panel.get_by_role("button", name="Find duplicates").click()
    panel.locator(".duplicates > li").wait_for(timeout=120_000)
    rights = panel.locator("*").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert max(rights) <= 375
