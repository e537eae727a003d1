"""Moments on the page: the curve in a row, keys, the panel with the waveform, and stretches that are chosen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import soundfile

from browser import FIRST, first_is, needs_chromium, wait_for

expect = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright").expect
pytestmark = needs_chromium
SIREN = "?q=siren"
DRAWN = """selector => { const c = document.querySelector(selector);
    return c && c.width > 0 && c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x) }"""


def open_panel(page):
    """Search for the siren, which sounds from 20 s to 30 s of its recording, and open its panel."""
    first_is(page, "siren")
    page.locator(FIRST + "article").focus()
    page.keyboard.press("w")
    expect(page.locator("#panel-stretch h3")).to_have_text("quiet then siren.wav")
    expect(page.locator(".moments-list button").first).to_have_text(re.compile("0:(19.[89]|20.[0-2])–0:(29|30).[0-9]"))


def test_a_row_shows_the_curve_and_its_moments(open_page):
    page = open_page(SIREN)
    first_is(page, "siren")
    page.wait_for_function(DRAWN, arg=FIRST + "canvas.curve")
    expect(page.locator(FIRST + ".spots button").first).to_have_text(re.compile("0:(19.[89]|20.[0-2])–"))


def test_a_key_plays_the_next_moment(open_page):
    page = open_page(SIREN)
    first_is(page, "siren")
    page.locator(FIRST + "article").focus()
    page.keyboard.press("]")
    expect(page.locator("#status")).to_have_text(re.compile(r"Moment 1 of \d, at 0:(19.[89]|20.[0-2])"))
    wait_for(page, "document.getElementById('audio').currentTime >= 19.7")


def test_the_panel_shows_the_moment_and_downloads_it(open_page, tmp_path: Path):
    page = open_page(SIREN)
    open_panel(page)
    for canvas in (".stretch-wave", ".stretch-view .curve", ".stretch-ruler", ".stretch-strip"):
        page.wait_for_function(DRAWN, arg=canvas)
    page.get_by_label("Start in seconds").fill("21")
    page.get_by_label("Start in seconds").press("Tab")
    page.get_by_label("End in seconds").fill("22.5")
    page.get_by_label("End in seconds").press("Tab")
    with page.expect_download() as download:
        page.get_by_text("Download WAV").click()
    download.value.save_as(tmp_path / "cut.wav")
    info = soundfile.info(tmp_path / "cut.wav")
    assert (info.duration, info.samplerate, info.subtype) == (1.5, 16000, "PCM_16")
    assert download.value.suggested_filename == "quiet then siren 21.00-22.50 s.wav"


def test_a_stretch_is_chosen_by_mouse_and_keys(open_page):
    page = open_page(SIREN)
    open_panel(page)
    view = page.locator(".stretch-view")
    box = view.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20, steps=4)
    page.mouse.up()
    expect(view).to_have_attribute("aria-valuetext", re.compile(r"^0:0[23]\.\d to 0:0[56]\.\d, 3\.0. s$"))
    page.keyboard.press("Shift+ArrowRight")
    expect(view).to_have_attribute("aria-valuetext", re.compile(r", 3\.1. s$"))


def test_a_stretch_becomes_the_query(open_page):
    page = open_page(SIREN)
    open_panel(page)
    page.get_by_role("button", name="Search by it").click()
    wait_for(page, "location.search.includes('like=')")
    expect(page.locator("#chips .chip")).to_have_text(re.compile(r"Like quiet then siren, \d+\.\d+–\d+\.\d+ s"))
    first_is(page, "siren")


def test_playing_stops_at_the_end_of_the_stretch(open_page):
    page = open_page(SIREN)
    open_panel(page)
    page.get_by_label("Start in seconds").fill("20.5")
    page.get_by_label("Start in seconds").press("Tab")
    page.get_by_label("End in seconds").fill("21")
    page.get_by_label("End in seconds").press("Tab")
    page.get_by_role("button", name="Play the stretch").click()
    wait_for(page, "document.getElementById('audio').currentTime > 20.9")
    wait_for(page, "document.getElementById('audio').paused")
    assert not page.evaluate("document.getElementById('audio').ended")  # how early depends on how busy the machine is
