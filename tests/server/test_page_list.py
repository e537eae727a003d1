"""Long lists, filters with counts, selection, details, takes and the player, in a real Chromium."""

from __future__ import annotations

import pytest

from browser import FIRST, first_is, needs_chromium, titles, wait_for

expect = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright").expect
pytestmark = needs_chromium
NOT_ON_DISK = "404"  # waveforms of the sounds that are only listed


@pytest.fixture
def open_library(open_page, library):
    """Open the page over the library."""
    return lambda path="", **options: open_page(path, base=library, allow=NOT_ON_DISK, **options)


def rows(page):
    return page.locator("#results > li")


# --- the list -------------------------------------------------------------------------------------------------


def test_a_long_list_goes_to_its_end_with_few_rows_on_the_page(open_library):
    page = open_library("?sort=duration")
    expect(page.locator("#status")).to_have_text("307 sounds, by length")
    assert rows(page).count() < 40
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(rows(page).last).to_contain_text("sound 299")
    assert rows(page).count() < 40
    assert rows(page).last.get_attribute("aria-posinset") == "307"
    page.evaluate("scrollTo(0, 0)")
    first_is(page, "bell")


def test_all_hits_of_a_query_can_be_reached_by_keys(open_library):
    page = open_library("?q=bell")
    first_is(page, "bell")
    total = int(page.locator("#status").inner_text().split()[0])
    page.keyboard.press("ArrowDown")
    for _ in range(11):
        page.keyboard.press("PageDown")
    expect(page.locator("#results article:focus h3")).to_be_in_viewport()
    assert page.evaluate("document.activeElement.parentElement.ariaPosInSet") == "89"
    page.keyboard.press("PageUp")
    assert page.evaluate("document.activeElement.parentElement.ariaPosInSet") == "81"
    assert 290 < total <= 307


def test_order_and_looks(open_library):
    page = open_library("?where=path~disc")
    expect(page.locator("#status")).to_have_text("300 sounds pass the filters")
    page.locator("#sort").select_option("duration")
    first_is(page, "sound 299")
    page.get_by_role("button", name="Descending").click()
    first_is(page, "sound 0")
    page.locator("#look").select_option("columns")
    page.locator("#columns").get_by_role("button", name="Name").click()
    first_is(page, "sound 0")
    page.locator("#columns").get_by_role("button", name="Loudness").click()
    first_is(page, "sound 299")
    expect(page.locator(FIRST + ".cells")).to_contain_text("-10.1 LUFS")
    columns = rows(page).count()
    page.reload()
    first_is(page, "sound 299")  # order in the URL, look remembered
    expect(page.locator("#look")).to_have_value("columns")
    page.locator("#look").select_option("cards")
    assert rows(page).count() < columns
    page.go_back()
    first_is(page, "sound 0")


def test_the_place_in_the_list_comes_back(open_library):
    page = open_library("?sort=name")
    first_is(page, "bell")
    page.evaluate("scrollTo(0, 4000)")
    page.wait_for_timeout(300)
    page.locator("#q").fill("bell")
    expect(page.locator("#status")).to_contain_text("that match, by name")
    page.go_back()
    expect(page.locator("#status")).to_have_text("307 sounds, by name")
    wait_for(page, "Math.abs(scrollY - 4000) < 5")


def test_takes_unfold_into_rows_and_another_one_leads(open_library, library_folder):
    page = open_library("?q=bell")
    first_is(page, "bell")
    page.locator(FIRST + ".takes").click()
    takes = page.locator("#results > li.take")
    expect(takes).to_have_count(2)
    expect(takes.first.locator(".facts")).to_have_text("1.0 s · mono · 16 kHz")
    takes.nth(1).locator(".play").click()
    wait_for(page, "document.getElementById('audio').currentTime > 0.1")
    page.locator(FIRST + ".takes").click()
    expect(takes).to_have_count(0)
    page.locator("#lead").select_option("name")
    first_is(page, "clean bell of bronze")
    page.locator("#lead").select_option("quality")
    first_is(page, "bell")


def test_more_like_this_keeps_the_words(open_library):
    page = open_library("?q=siren")
    first_is(page, "siren")
    page.locator(FIRST).get_by_role("button", name="More like this").click()
    expect(page.locator(".chip")).to_contain_text(["Like siren"])
    expect(page.locator("#q")).to_have_value("siren")
    first_is(page, "siren")


# --- selection and details ------------------------------------------------------------------------------------


def test_several_are_selected_by_keys_and_mouse(open_library):
    page = open_library("?sort=name", permissions=["clipboard-read", "clipboard-write"])
    first_is(page, "bell")
    page.locator("#q").press("ArrowDown")
    page.keyboard.press("Control+Space")
    expect(page.locator("#selection-count")).to_have_text("1 sound selected")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#results > li.selected")).to_have_count(3)
    rows(page).nth(5).locator("h3").click(modifiers=["Shift"])
    rows(page).nth(1).locator("h3").click(modifiers=["Control"])
    expect(page.locator("#selection-count")).to_have_text("5 sounds selected")
    page.keyboard.press("c")
    assert len(page.evaluate("navigator.clipboard.readText()").splitlines()) == 5
    page.locator("#selection-actions").click()
    page.get_by_role("menuitem", name="Copy paths").press("Escape")
    expect(page.locator("#menu")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()


def test_details_say_everything_and_why(open_library):
    page = open_library("?q=bell")
    first_is(page, "bell")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("i")
    panel = page.locator("#side")
    expect(panel).to_contain_text("Its name, tags or caption have: bell")
    expect(panel).to_contain_text("16,000 Hz")
    expect(panel.locator(".takes-list li")).to_have_count(2)
    page.locator("#results > li:nth-child(2) article").focus()
    expect(panel.locator("h3")).not_to_contain_text("bell")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


# --- filters --------------------------------------------------------------------------------------------------


def test_filters_have_counts_and_folders(open_library):
    page = open_library("?sort=name")
    page.locator("#open-filters").click()
    panel = page.locator("#side")
    expect(panel.locator("label", has_text="doors")).to_contain_text("150")
    panel.locator("label", has_text="doors").click()
    expect(page.locator("#status")).to_have_text("150 sounds pass the filters")
    expect(panel.locator("label", has_text="water")).to_contain_text("150")  # its own filter does not count
    panel.locator("label", has_text="water").click()
    expect(page.locator("#status")).to_have_text("300 sounds pass the filters")
    panel.locator("label", has_text="44.1 kHz").click()
    expect(page.locator("#status")).to_have_text("150 sounds pass the filters")
    panel.get_by_role("button", name="Folders in srv").click()
    panel.get_by_role("button", name="Folders in fx").click()
    panel.get_by_role("button", name="disc 2").last.click()
    expect(page.locator("#status")).to_have_text("75 sounds pass the filters")
    expect(page.locator(".chip")).to_contain_text(["rate: 44100", "category: doors", "category: water", "Folder: /srv"])
    panel.get_by_role("button", name="Clear the filters").click()
    expect(page.locator("#status")).to_have_text("307 sounds, by name")


def test_boxes_complete_what_is_typed(open_library):
    page = open_library("?sort=name")
    first_is(page, "bell")
    options = "[...document.getElementById('where-list').options].map((one) => one.value).join()"
    page.locator("#where").fill("duration<9 and cat")
    wait_for(page, f"{options} === 'duration<9 and category'")
    page.locator("#where").fill("category=d")
    wait_for(page, f"{options} === 'category=doors'")
    page.locator("#tag").focus()
    wait_for(page, "document.getElementById('tag-list').options[0].value === 'creak'")


# --- the player -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["siren aiff", "siren caf", "siren adpcm"])
def test_every_format_plays(open_library, name):
    page = open_library(f"?q={name.replace(' ', '+')}")
    first_is(page, name)
    page.locator(FIRST + ".play").click()
    wait_for(page, "document.getElementById('audio').currentTime > 0.2")
    assert page.evaluate("document.getElementById('audio').duration") == pytest.approx(2.0, abs=0.1)


def test_loop_volume_speed_and_pitch_are_remembered(open_library):
    page = open_library("?q=siren+quiet")
    first_is(page, "siren quiet")
    page.locator(FIRST + ".play").click()
    page.locator("#loop").click()
    wait_for(page, "document.getElementById('audio').loop")
    page.locator("#tune").click()
    page.locator("#volume").fill("0.5")
    page.locator("#speed").select_option("2")
    page.locator("#pitch").select_option("12")
    wait_for(page, "document.getElementById('audio').src.endsWith('as=wav&pitch=12')")
    wait_for(page, "document.getElementById('audio').duration < 1.1")  # an octave up: half as long
    wait_for(page, "document.getElementById('audio').playbackRate === 1")  # twice as fast, in a file of half the length
    expect(page.locator("#player-time")).to_contain_text("/ 0:02")
    page.reload()
    first_is(page, "siren quiet")
    assert page.locator("#volume").input_value() == "0.5" and page.locator("#pitch").input_value() == "12"
    assert page.locator("#loop").get_attribute("aria-pressed") == "true"


def test_loudness_is_matched_without_clipping(open_library):
    page = open_library("?q=siren+quiet")
    first_is(page, "siren quiet")
    page.locator(FIRST + ".play").click()
    page.locator("#match-loudness").click()
    wait_for(page, "Number(document.getElementById('player').dataset.gain) > 5")
    # from -37 dB to -20 dB is 7.07; LUFS weigh frequencies and take 0.7 dB off
    assert page.evaluate("Number(document.getElementById('player').dataset.gain)") == pytest.approx(7.4, abs=0.6)


def test_names_are_listed_once(open_library):
    page = open_library("?q=siren")
    first_is(page, "siren")
    assert len(titles(page)) == len(set(titles(page)))
