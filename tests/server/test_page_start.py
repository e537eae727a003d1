"""The page at the first visit, its map, and its microphone, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.search.engine import SearchEngine
from browser import needs_chromium, wait_for
from live import live_server
from tones import write_tone

pytestmark = needs_chromium

# a tone instead of a microphone
TONE = """() => {
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: 3200 });
    const out = context.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    await context.resume();
    return out.stream;
  };
}"""


@pytest.fixture
def first_visit(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of a page over an empty collection, and a folder of sounds."""
    for hz in (200, 400, 800):
        write_tone(tmp_path / "fx" / "tones" / f"tone_{hz}.wav", hz)
    (tmp_path / "fx" / "broken.wav").write_text("no sound")
    with open_store(tmp_path / "collection", "w", Identity.of(ToyEncoder(), "toy")) as store:
        store.save()
    folder = (tmp_path / "fx").resolve()
    with (
        SearchEngine.open(tmp_path / "collection") as engine,
        live_server(engine, rate_per_s=0, allowed_folders=(str(folder),)) as address,
    ):
        yield address, folder


def test_the_first_visit_leads_from_folders_to_sounds(open_page, first_visit) -> None:
    from playwright.sync_api import expect

    address, folder = first_visit
    page = open_page(base=address)
    panel = page.locator("#panel-folders")
    expect(panel.get_by_role("checkbox")).to_have_count(1)
    panel.get_by_role("button", name=f"Open {folder}").press("Enter")
    expect(panel.get_by_role("button", name="Open tones")).to_be_visible()
    panel.get_by_role("checkbox", name="Index this folder").check()
    panel.get_by_role("button", name="Index 1 folder").click()
    expect(panel.locator(".indexing")).to_contain_text("3 added", timeout=120_000)
    panel.locator(".broken summary").click()
    expect(panel.locator(".broken li")).to_contain_text("broken.wav")
    expect(page.locator("#results > li")).to_have_count(3, timeout=30_000)
    page.reload()
    expect(page.locator("#results > li")).to_have_count(3)
    expect(panel).to_have_count(0)  # it opens by itself only where there is nothing to search


def test_the_map_shows_a_point_for_each_sound_and_a_list_for_the_keyboard(open_page) -> None:
    from playwright.sync_api import expect

    page = open_page()
    page.locator("#open-map").click()
    expect(page.locator("#panel-map .regions > ul li")).to_have_count(1)
    lit = """() => {
      const canvas = document.querySelector("#panel-map canvas");
      const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return pixels.some((value) => value > 0);
    }"""
    page.wait_for_function(lit)
    page.locator("#panel-map .regions > ul button").press("Enter")
    expect(page.locator("#panel-map .sounds li")).to_have_count(6)
    page.locator("#panel-map canvas").press("+")
    page.locator("#panel-map canvas").press("0")
    place = page.evaluate(
        """async () => {
          const { x, y } = await (await fetch("v1/map")).json();
          const box = document.querySelector("#panel-map canvas").getBoundingClientRect();
          const side = Math.min(box.width, box.height);
          const [left, top] = [box.x + box.width / 2 - side / 2, box.y + box.height / 2 - side / 2];
          return [left + (x[0] / 65536) * side, top + (y[0] / 65536) * side];
        }"""
    )
    page.mouse.move(*place)
    expect(page.locator("#panel-map .tip")).to_contain_text("s")
    page.locator("#panel-map .sounds .more").first.click()
    expect(page.locator("#chips")).to_contain_text("Like ")


def test_a_recording_of_the_microphone_is_a_query(open_page) -> None:
    from playwright.sync_api import expect

    page = open_page()
    wait_for(page, "document.querySelector('#results > li')")
    page.evaluate(TONE)
    page.locator("#microphone").click()
    expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1500)
    page.locator("#microphone").click()
    expect(page.locator("#chips")).to_contain_text("your recording.wav")
    expect(page.locator("#results > li:first-child h3")).to_contain_text("high whistle")


def test_measured_facts_are_filters_with_counts(open_page) -> None:
    from playwright.sync_api import expect

    page = open_page()
    page.locator("#open-filters").click()
    box = page.locator("#panel-filters").get_by_label("With a pitch")
    box.check()
    expect(page.locator("#where")).to_have_value("pitch>0")
    expect(page.locator("#results h3", has_text="low hum")).to_have_count(1)
    expect(page.locator("#results h3", has_text="white noise")).to_have_count(0)
    page.locator("#panel-filters").get_by_label("With a pitch").uncheck()
    expect(page.locator("#where")).to_have_value("")
