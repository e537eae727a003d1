"""The page in a real Chromium: search, play, drag and drop, keys, history, empty and error states, phone, dark.

Skipped where no chromium is installed (``apt-get install chromium`` brings one).

The README's pictures come from here. With a collection of real sounds whose names may be shown:
    ASKAUDIO_SCREENSHOTS=docs/images ASKAUDIO_SCREENSHOTS_OF=COLLECTION ASKAUDIO_SCREENSHOTS_QUERY="washing dishes" \
        python -m pytest tests/server/test_page.py -k pictures
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
import soundfile

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Identity
from askaudio.search.engine import SearchEngine
from browser import FIRST, first_is, id_of, needs_chromium, titles, wait_for
from live import live_server

expect = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright").expect
pytestmark = needs_chromium


# --- searching ------------------------------------------------------------------------------------------------


def test_the_first_view_invites(open_page):
    page = open_page()
    expect(page.get_by_role("heading", name="What does it sound like?")).to_be_visible()
    expect(page.locator("#size")).to_have_text("6 sounds")
    expect(page.locator("#results > li")).to_have_count(6)
    expect(page.locator("#q")).to_be_focused()


def test_hits_come_while_typing(open_page):
    page = open_page()
    page.locator("#q").press_sequentially("high whistle", delay=20)
    first_is(page, "high whistle")
    expect(page.locator("#status")).to_contain_text("the nearest first")
    expect(page.locator(FIRST + "mark")).to_have_count(2)
    expect(page.locator(FIRST + ".word")).to_have_text(re.compile("match|By its name"))
    wait_for(page, "location.search == '?q=high+whistle'")
    assert "high whistle" in page.title()


def test_waveforms_are_drawn(open_page):
    page = open_page("?q=siren")
    drawn = """() => { const c = document.querySelector('#results canvas');
        return c && c.width > 0 && c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x) }"""
    page.wait_for_function(drawn)


def test_a_late_answer_to_an_old_query_is_thrown_away(open_page):
    page = open_page()
    expect(page.locator("#results > li")).to_have_count(6)

    def late(route) -> None:
        page.wait_for_timeout(600)
        route.continue_()

    page.route("**/v1/search?*q=low*", late)
    page.locator("#q").fill("low")
    page.wait_for_timeout(250)
    page.locator("#q").fill("high whistle")
    first_is(page, "high whistle")
    page.wait_for_timeout(800)
    first_is(page, "high whistle")


def test_a_minus_avoids(open_page):
    page = open_page()
    with page.expect_request(lambda r: "avoid=" in r.url) as caught:
        page.locator("#q").fill('bell whistle -bell -"car horn"')
    assert "q=bell+whistle&avoid=bell&avoid=car+horn" in caught.value.url
    first_is(page, "high whistle")


def test_names_are_text_and_never_markup(open_page):
    page = open_page("?q=440+Hz+tone")
    first_is(page, "ünï & <b>strange<b> #1?")
    expect(page.locator("#results b")).to_have_count(0)


def test_more_and_not_like_this(open_page):
    page = open_page("?q=low+hum")
    first_is(page, "low hum")
    page.locator(FIRST).get_by_role("button", name="More like this").click()
    expect(page.locator(".chip")).to_contain_text(["Like low hum"])
    expect(page.locator("#results h3", has_text="low hum")).to_have_count(0)
    page.locator("#q").fill("whistle")
    first_is(page, "high whistle")
    page.get_by_role("button", name="Remove: Like low hum").click()
    page.locator("#results > li", has_text="white noise").get_by_role("button", name="Not like this").click()
    expect(page.locator(".chip.unlike")).to_contain_text("Not like white noise")
    wait_for(page, "new URLSearchParams(location.search).getAll('unlike').length == 1")


def test_filters(open_page):
    page = open_page("?q=siren")
    first_is(page, "quiet then siren")
    page.locator("#length").select_option("short")
    expect(page.locator("#results > li")).to_have_count(5)
    page.locator("#tag").fill("metal")
    page.locator("#tag").press("Enter")
    expect(page.locator("#results > li")).to_have_count(1)
    page.locator("#channels").select_option("2")
    expect(page.locator("#notice")).to_contain_text("No sound passes these filters")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator("#results > li")).to_have_count(6)


def test_a_filter_that_cannot_be_read_is_explained(open_page):
    page = open_page("?q=siren", allow="422")
    first_is(page, "quiet then siren")
    page.locator("#where").fill("duration <")
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("duration")
    page.locator("#where").fill("duration < 20")
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#results > li")).to_have_count(5)


def test_history_goes_back_and_forth(open_page):
    page = open_page("?q=low+hum")
    first_is(page, "low hum")
    page.locator(FIRST).get_by_role("button", name="More like this").click()
    expect(page.locator(".chip")).to_have_count(1)
    page.go_back()
    first_is(page, "low hum")
    expect(page.locator("#q")).to_have_value("low hum")
    page.go_forward()
    expect(page.locator(".chip")).to_have_count(1)
    page.reload()
    expect(page.locator(".chip")).to_contain_text(["Like low hum"])


# --- playing --------------------------------------------------------------------------------------------------


def test_it_plays_from_the_matching_second(open_page):
    page = open_page("?q=siren")
    first_is(page, "quiet then siren")
    page.locator(FIRST).get_by_role("button", name="Play quiet then siren").click()
    wait_for(page, "document.getElementById('audio').currentTime > 20.3")
    assert page.evaluate("document.getElementById('audio').currentTime") < 29
    expect(page.locator("#player")).to_be_visible()
    page.locator(FIRST).get_by_role("button", name="Pause quiet then siren").click()
    wait_for(page, "document.getElementById('audio').paused")


def test_a_click_on_the_waveform_plays_from_there(open_page):
    page = open_page("?q=siren")
    wave = page.locator(FIRST + ".wave")
    expect(wave).to_be_visible()
    box = wave.bounding_box()
    wave.click(position={"x": box["width"] * 0.5, "y": 10})
    wait_for(page, "document.getElementById('audio').currentTime > 14.9")
    assert page.evaluate("document.getElementById('audio').currentTime") < 19


def test_a_sound_that_is_gone_is_told(open_page):
    page = open_page("?q=low+hum", allow="404|503")
    first_is(page, "low hum")
    page.route("**/audio*", lambda route: route.fulfill(status=404, body=""))
    page.locator(FIRST + ".play").click()
    expect(page.locator("#notice")).to_contain_text("low hum cannot be played here")
    expect(page.locator("#player")).to_be_hidden()


# --- a sound as the query -------------------------------------------------------------------------------------


def tone_file(hz: float) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * hz * np.arange(8000) / 16000), 16000, format="WAV")
    return buffer.getvalue()


def drop(page, name: str, content: bytes, events: tuple[str, ...] = ("dragenter", "dragover", "drop")) -> None:
    carrier = page.evaluate_handle(
        """([name, bytes]) => { const t = new DataTransfer();
            t.items.add(new File([new Uint8Array(bytes)], name, {type: "audio/wav"})); return t }""",
        [name, list(content)],
    )
    for event in events:
        page.dispatch_event("body", event, {"dataTransfer": carrier})


def test_a_dropped_sound_finds_similar_ones(open_page):
    page = open_page()
    expect(page.locator("#results > li")).to_have_count(6)
    drop(page, "mine.wav", tone_file(3200), ("dragenter", "dragover"))
    expect(page.locator("#drop")).to_be_visible()
    drop(page, "mine.wav", tone_file(3200), ("drop",))
    expect(page.locator("#drop")).to_be_hidden()
    first_is(page, "high whistle")
    expect(page.locator(".chip")).to_contain_text(["Your sound: mine.wav"])
    page.locator("#length").select_option("short")
    expect(page.locator("#results > li")).to_have_count(5)


def test_a_chosen_file_finds_similar_ones(open_page):
    page = open_page()
    page.locator("#file").set_input_files({"name": "mine.wav", "mimeType": "audio/wav", "buffer": tone_file(100)})
    first_is(page, "low hum")
    page.reload()
    expect(page.locator("#notice")).to_contain_text("does not keep sounds between visits")
    page.get_by_role("button", name="Leave it out").click()
    expect(page.get_by_role("heading", name="What does it sound like?")).to_be_visible()


def test_a_dropped_file_that_is_no_sound_is_explained(open_page):
    page = open_page(allow="422")
    expect(page.locator("#results > li")).to_have_count(6)
    drop(page, "letter.txt", b"dear sir or madam" * 20)
    expect(page.locator("#notice")).to_contain_text("cannot be decoded")


# --- keys -----------------------------------------------------------------------------------------------------


def test_everything_by_keys(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    press = page.keyboard.press
    expect(page.locator("#results > li")).to_have_count(6)
    page.locator("body").click(position={"x": 2, "y": 400})
    press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("siren")
    first_is(page, "quiet then siren")
    press("ArrowDown")
    expect(page.locator(FIRST + "article")).to_be_focused()
    press("Space")
    wait_for(page, "document.getElementById('audio').currentTime > 20.1")
    press("Enter")
    wait_for(page, "document.getElementById('audio').paused")
    before = page.evaluate("document.getElementById('audio').currentTime")
    press("Shift+ArrowLeft")
    wait_for(page, f"document.getElementById('audio').currentTime < {before - 4.9}")
    press("c")
    expect(page.locator("#status")).to_contain_text("Copied:")
    assert page.evaluate("navigator.clipboard.readText()").endswith("/quiet then siren.wav")
    press("j")
    expect(page.locator("#results > li:nth-child(2) article")).to_be_focused()
    press("k")
    press("m")
    expect(page.locator(".chip")).to_contain_text(["Like quiet then siren"])
    press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    press("Escape")
    expect(page.locator("#q")).to_be_focused()


def test_playing_while_browsing(open_page):
    page = open_page("?q=low+hum")
    first_is(page, "low hum")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("f")
    page.keyboard.press("ArrowDown")
    second = titles(page)[1].split(" wav")[0].split(" flac")[0]
    wait_for(page, "!document.getElementById('audio').paused")
    assert page.locator("#player-name").inner_text() in second


def test_enter_in_the_search_box_goes_to_the_first_hit(open_page):
    page = open_page()
    expect(page.locator("#results > li")).to_have_count(6)
    page.locator("#q").fill("bell")
    page.locator("#q").press("Enter")
    expect(page.locator(FIRST + "article")).to_be_focused()
    first_is(page, "bell")


# --- empty and error states -----------------------------------------------------------------------------------


def test_an_empty_collection_says_how_to_fill_it(open_page, tmp_path):
    encoder = ToyEncoder()
    with open_store(tmp_path / "c", "w", Identity.of(encoder, "toy")) as store:
        store.save()
    with SearchEngine.open(tmp_path / "c") as engine, live_server(engine) as address:
        page = open_page(base=address)
        expect(page.locator("#notice")).to_contain_text("askaudio index ~/sounds")
        page.locator("#q").fill("rain")
        expect(page.locator("#notice")).to_contain_text("No sound")
        page.context.close()


def test_a_server_that_went_away_is_told_and_found_again(open_page):
    page = open_page("?q=low+hum", allow="ERR_FAILED")
    first_is(page, "low hum")
    page.route("**/v1/**", lambda route: route.abort())
    page.locator("#q").fill("whistle")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    first_is(page, "low hum")  # what was found stays
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    first_is(page, "high whistle")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_busy_server_is_asked_again(open_page):
    page = open_page(allow="503")
    expect(page.locator("#results > li")).to_have_count(6)
    answers = iter([True])

    def busy_once(route) -> None:
        if next(answers, False):
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"detail": "The server is busy."})
        else:
            route.continue_()

    page.route("**/v1/search?*", busy_once)
    page.locator("#q").fill("bell")
    expect(page.locator("#notice")).to_contain_text("busy")
    first_is(page, "bell")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_token_is_asked_for_once(open_page, engine):
    token = "a-token-that-is-long-enough"
    with live_server(engine, token=token) as address:
        page = open_page("?q=siren", base=address, allow="401")
        dialog = page.get_by_role("dialog", name="This collection asks for a token")
        dialog.get_by_label("Token").fill("wrong")
        dialog.get_by_role("button", name="Open").click()
        expect(dialog).to_contain_text("That is not the token")
        dialog.get_by_label("Token").fill(token)
        dialog.get_by_role("button", name="Open").click()
        first_is(page, "quiet then siren")
        page.locator(FIRST + ".play").click()
        wait_for(page, "document.getElementById('audio').currentTime > 20.1")
        page.reload()
        first_is(page, "quiet then siren")
        assert token not in page.content() and token not in page.url
        page.context.close()


# --- looks ----------------------------------------------------------------------------------------------------


def test_it_fits_a_phone(open_page):
    page = open_page("?q=siren", viewport={"width": 360, "height": 720}, is_mobile=True, has_touch=True)
    first_is(page, "quiet then siren")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(FIRST + ".play").tap()
    expect(page.locator("#player")).to_be_visible()
    small = """() => [...document.querySelectorAll('button, a, select, input')].filter(e => e.checkVisibility())
        .map(e => e.getBoundingClientRect()).filter(b => b.width > 1 && b.height < 24).length"""
    assert page.evaluate(small) == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_theme_follows_the_system_or_the_person(open_page):
    page = open_page(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    assert dark != light
    page.locator("#theme").click()
    assert page.evaluate(ground) == dark and page.locator("#theme").get_attribute("aria-label") == "Theme: dark"
    page.reload()
    assert page.evaluate(ground) == dark


CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(open_page, sounds, scheme):
    page = open_page(f"?q=siren&unlike={id_of(sounds / 'bell.wav')}", color_scheme=scheme)
    first_is(page, "quiet then siren")
    expect(page.locator(".chip")).to_have_text(["Not like bell"])
    assert page.evaluate(CONTRAST) == []
    page.keyboard.press("Escape")
    page.locator("#help-open").click()
    assert page.evaluate(CONTRAST) == []


def test_every_control_has_a_name(open_page, sounds):
    page = open_page(f"?q=siren&unlike={id_of(sounds / 'bell.wav')}")
    first_is(page, "quiet then siren")
    nameless = """() => [...document.querySelectorAll('button, a[href], input, select')]
        .filter((e) => e.checkVisibility())
        .filter((e) => !(e.getAttribute('aria-label') || e.innerText?.trim() || e.labels?.length || e.title))
        .map((e) => e.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.locator("main, header, footer").count() >= 2
    assert page.evaluate("document.documentElement.lang") == "en"


# --- pictures -------------------------------------------------------------------------------------------------

DESKTOP = {"viewport": {"width": 1200, "height": 760}, "device_scale_factor": 1.5}
PHONE = {"viewport": {"width": 390, "height": 800}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DRAWN = """() => [...document.querySelectorAll('#results > li')]
    .filter((li) => li.getBoundingClientRect().top < innerHeight)
    .every((li) => li.querySelector('.wave.none') || li.querySelector('canvas').width !== 300)"""


@pytest.fixture
def pictured(engine: SearchEngine) -> Iterator[tuple[str, str]]:
    """Address and query of what is pictured: the generated sounds, or a collection of real ones."""
    collection = os.environ.get("ASKAUDIO_SCREENSHOTS_OF")
    shown = SearchEngine.open(collection) if collection else engine
    with live_server(shown, rate_per_s=0) as address:
        yield address, os.environ.get("ASKAUDIO_SCREENSHOTS_QUERY", "siren")
    if collection:
        shown.close()


@pytest.mark.parametrize(
    ("name", "asks", "plays", "options"),
    [
        ("page", True, True, {**DESKTOP, "color_scheme": "light"}),
        ("page-dark", True, True, {**DESKTOP, "color_scheme": "dark"}),
        ("page-start", False, False, {**DESKTOP, "color_scheme": "light"}),
        ("page-phone", True, False, {**PHONE, "color_scheme": "light"}),
    ],
)
def test_pictures(open_page, pictured, name, asks, plays, options):
    address, query = pictured
    page = open_page(f"?{urlencode({'q': query})}" if asks else "", base=address, **options)
    expect(page.locator("#results .match:not([hidden])" if asks else "#results > li").first).to_be_visible()
    page.wait_for_function(DRAWN)
    if plays:  # so that the picture shows where it is
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        wait_for(page, "document.getElementById('audio').currentTime > 0.1")
        expect(page.locator("#player")).to_be_visible()
    if target := os.environ.get("ASKAUDIO_SCREENSHOTS"):
        page.wait_for_timeout(2000 if plays else 400)
        Path(target).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(target) / f"{name}.png")
    page.context.close()
