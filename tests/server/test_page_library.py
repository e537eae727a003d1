"""The panels "Library" and "Export" and drags out of the page, in a real browser."""

from __future__ import annotations

import io
import zipfile

import pytest

from browser import FIRST, address, browser, first_is, needs_chromium, open_page, wait_for

__all__ = ["address", "browser", "open_page"]  # fixtures
pytestmark = needs_chromium
expect = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright").expect


@pytest.fixture(autouse=True)
def empty(engine):
    """Nothing is kept at the begin of a test."""
    from askaudio.projects.database import file_of

    yield
    for path in file_of(engine.store.url).parent.glob("projects.sqlite*"):
        path.unlink()


@pytest.fixture
def find(open_page):
    """Open the page with a search, with its first hit as the current row."""

    def search(words: str, **options):
        page = open_page(f"?q={words}", **options)
        first_is(page, words.replace("+", " "))
        page.locator(FIRST + "article").focus()
        return page

    return search


def choose(page, entry: str) -> None:
    """An entry of the menu of the first row."""
    page.locator(FIRST + "article").hover()
    page.locator(FIRST + "button.others").click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def test_a_project_is_made_filled_and_exported(find, tmp_path):
    page = find("bell")
    choose(page, "Add to favourites")
    expect(page.locator("#status")).to_have_text("1 sound kept as favourites")
    choose(page, "Add to a project")
    page.get_by_label("Name of a new project").fill("Storm <b>4</b>")
    page.get_by_label("Note").fill("cue one")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#status")).to_have_text("1 sound added to the project")
    page.locator("#open-library").click()
    panel = page.locator("#panel-library")
    expect(panel).to_contain_text("Storm <b>4</b>")
    expect(panel.get_by_role("button", name="Remove bell from the favourites")).to_be_visible()
    panel.get_by_role("button", name="Open Storm").click()
    expect(panel).to_contain_text("cue one")
    panel.get_by_role("button", name="Export").click()
    page.get_by_label("With a list beside the copies").select_option("rpp")
    with page.expect_download() as download:
        page.locator("#panel-export").get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "Storm _b_4__b_.zip"
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert sorted(archive.namelist()) == ["CREDITS.txt", "Storm _b_4__b_.rpp", "bell.wav"]


def test_a_search_is_saved_and_run_again(find):
    page = find("white+noise")
    page.locator("#open-library").click()
    page.get_by_role("button", name="Save this search").click()
    page.get_by_label("Name", exact=True).fill("Hiss")
    page.get_by_role("button", name="Save", exact=True).click()
    again = page.get_by_role("button", name="Search: Hiss")
    expect(again).to_be_visible()
    page.locator("#q").fill("siren")
    first_is(page, "siren")
    again.click()
    first_is(page, "white noise")
    page.get_by_role("button", name="Remove Hiss").click()
    expect(again).to_have_count(0)


def test_what_was_played_is_listed(find):
    page = find("siren")
    page.keyboard.press("Space")
    wait_for(page, "!document.querySelector('audio').paused")
    page.locator("#open-library").click()
    expect(page.locator("#panel-library")).to_contain_text("played")
    page.get_by_role("button", name="Forget the sounds used last").click()
    expect(page.locator("#panel-library")).not_to_contain_text("played")


def test_drags_carry_addresses(find):
    page = find("siren")
    types = page.evaluate_handle("""() => {
        const data = new DataTransfer();
        const row = document.querySelector('#results > li');
        row.dispatchEvent(new DragEvent('dragstart', {dataTransfer: data, bubbles: true, altKey: true}));
        return data;
    }""")
    listed = types.evaluate("data => data.getData('text/uri-list')")
    assert listed.startswith("http://127.0.0.1:") and "/audio?start_s=" in listed
    assert types.evaluate("data => data.getData('DownloadURL')").startswith(
        "audio/wav:quiet then siren part.wav:http://"
    )
