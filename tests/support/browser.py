"""The search page in a real browser: fixtures and what the tests of the page share."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from askaudio.ingest.walk import clip_id_of
from askaudio.search.engine import SearchEngine
from live import live_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
FIRST = "#results > li:first-child "
TIMEOUT_MS = int(os.environ.get("ASKAUDIO_PAGE_TIMEOUT_MS", "30000"))


@pytest.fixture(scope="module")  # not longer: while it is there, no other test can run an event loop
def browser() -> Iterator:
    """A browser without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    playwright.expect.set_options(timeout=TIMEOUT_MS)
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(engine: SearchEngine) -> Iterator[str]:
    """Address of the page over the generated sounds."""
    with live_server(engine, rate_per_s=0) as address:
        yield address


@pytest.fixture
def open_page(browser, address) -> Iterator[Callable]:
    """Open the page in a fresh profile; at the end nothing may have gone wrong in it or left this machine."""
    opened, faults = [], []

    def open_at(path: str = "", base: str = address, allow: str = r"^$", **options):
        context = browser.new_context(**options)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        here = base.removesuffix("/")

        def on_request(request) -> None:
            if not request.url.startswith((here + "/", f"blob:{here}", "data:")):
                faults.append(f"left the machine: {request.url}")

        def on_console(message) -> None:
            expected = f"{allow}|willReadFrequently"  # the latter is about our own look into the canvas
            if message.type in ("error", "warning") and not re.search(expected, message.text):
                faults.append(f"console: {message.text}")

        page.on("request", on_request)
        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.goto(base + path)
        opened.append(context)
        return page

    yield open_at
    for context in opened:
        context.close()
    assert not faults


def titles(page) -> list[str]:
    """Names of the listed hits."""
    return page.locator("#results h3").evaluate_all("all => all.map(h => h.firstChild.parentNode.innerText)")


def id_of(path: Path) -> str:
    """clip_id of a file."""
    return clip_id_of(str(path))


def first_is(page, name: str) -> None:
    """Wait until the first hit has this name."""
    from playwright.sync_api import expect

    expect(page.locator(FIRST + "h3")).to_contain_text(name)


def wait_for(page, expression: str) -> None:
    """Wait until an expression of JavaScript is true."""
    page.wait_for_function(f"() => {expression}")  # as a function: the page's policy forbids to evaluate texts
