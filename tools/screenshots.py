"""Take the README's pictures of the search page, from a collection of yours, in a real Chromium.

    askaudio index ~/sounds --collection /tmp/c --model ENCODER
    python tools/screenshots.py --collection /tmp/c --out docs/images

Needs the extra ``test`` (playwright) and a chromium on the path. The pictures show names and waveforms of the
collection, so use sounds whose names may be shown.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.run import bind, make_server
from askaudio.server.settings import ServerSettings

DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 760}, "device_scale_factor": 1.5}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 800},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


def settle(page: Page) -> None:
    """Wait until hits are there and the waveforms in sight are drawn."""
    page.wait_for_selector("#results > li")
    page.wait_for_function("""() => [...document.querySelectorAll('#results > li')]
        .filter((li) => li.getBoundingClientRect().top < innerHeight)
        .every((li) => li.querySelector('.wave.none') || li.querySelector('canvas').width !== 300)""")
    page.wait_for_timeout(400)


def play_first(page: Page, seconds: float) -> None:
    """Play the first hit for a while, so that the picture shows where it is."""
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('audio').currentTime > 0.1")
    page.wait_for_timeout(seconds * 1000)


def take(address: str, out: Path, query: str, chromium: str) -> list[Path]:
    """All pictures; their paths."""
    taken = []
    flags = ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        for name, options, asked in [
            ("page", {**DESKTOP, "color_scheme": "light"}, query),
            ("page-dark", {**DESKTOP, "color_scheme": "dark"}, query),
            ("page-start", {**DESKTOP, "color_scheme": "light"}, ""),
            ("page-phone", {**PHONE, "color_scheme": "light"}, query),
        ]:
            page = browser.new_context(**options).new_page()
            page.set_default_timeout(60_000)
            page.goto(address)
            if asked:
                page.locator("#q").fill(asked)
                page.wait_for_function("(q) => new URLSearchParams(location.search).get('q') === q", arg=asked)
                page.wait_for_selector("#results .match:not([hidden])")
            settle(page)
            if asked and "is_mobile" not in options:
                play_first(page, 2.0)
            taken.append(out / f"{name}.png")
            page.screenshot(path=taken[-1])
            page.context.close()
        browser.close()
    return taken


def main() -> int:
    """Serve the collection on a free port and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--query", default="washing dishes")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium on this machine: apt-get install chromium")
    args.out.mkdir(parents=True, exist_ok=True)
    settings = ServerSettings(rate_per_s=0)
    with bind("127.0.0.1", 0) as listener, SearchEngine.open(args.collection) as engine:
        server = make_server(create_app(engine, settings), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        try:
            for path in take(f"http://127.0.0.1:{listener.getsockname()[1]}/", args.out, args.query, chromium):
                print(path)
        finally:
            server.should_exit = True
            thread.join(15)
    return 0


if __name__ == "__main__":
    sys.exit(main())
