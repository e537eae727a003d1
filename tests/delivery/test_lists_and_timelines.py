"""The lists, read back by other libraries where there are any."""

import csv
import io
import json
import os
from urllib.parse import unquote, urlparse

import pytest

from askaudio.delivery.file_names import Names, safe_name
from askaudio.delivery.kinds import LISTS
from askaudio.delivery.lists import COLUMNS, credits_text
from askaudio.delivery.timelines import rpp_text
from askaudio.projects.projects import NewItem

HARD = "=1+1 ünï 'x' \"y\" `z`\n#.wav"


def written(kind, selection, copies=False):
    return LISTS[kind].write(selection, lambda one: one.name if copies else one.path)


@pytest.fixture
def selection(library, pick):
    return pick(NewItem(library.id_of("rain.wav"), 0.5, 1.5, "cue 1"), "deep/door.wav", HARD, handles_s=0.25)


@pytest.mark.parametrize(("kind", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_tables(selection, kind, delimiter):
    text = written(kind, selection).decode()
    rain, door, hard = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert tuple(rain) == COLUMNS
    assert (rain["title"], rain["author"], rain["licence"], rain["commercial"]) == (
        "Rain, soft",
        "Ana",
        "CC-BY-4.0",
        "yes",
    )
    assert (rain["start_s"], rain["end_s"], rain["sample_rate_hz"], rain["note"]) == ("0.5", "1.5", "48000", "cue 1")
    assert (door["start_s"], door["licence"], door["commercial"]) == ("", "", "unknown")
    assert hard["title"].startswith("'=1+1"), "a spreadsheet would run it"
    assert all(len(line.split(delimiter)) >= len(COLUMNS) for line in text.splitlines())


def test_json(selection):
    value = json.loads(written("json", selection))
    assert [row["number"] for row in value["sounds"]] == [1, 2, 3]
    assert value["sounds"][2]["path"].endswith(HARD) and value["left_out"] == []


def test_playlist(selection):
    lines = written("m3u", selection).decode().splitlines()
    assert lines[:5] == [
        "#EXTM3U", "#EXTINF:1,Ana - Rain, soft", "#EXTVLCOPT:start-time=0.500", "#EXTVLCOPT:stop-time=1.500",
        selection.taken[0].path,
    ]  # fmt: skip
    assert unquote(urlparse(lines[-1]).path) == selection.taken[2].path, "a line break in a name is escaped"
    assert len(lines) == 9


def test_opentimelineio_reads_the_timeline(selection):
    otio = pytest.importorskip("opentimelineio", reason="needs opentimelineio")
    timeline = otio.adapters.read_from_string(written("otio", selection).decode(), "otio_json")
    (track,) = timeline.audio_tracks()
    rain, door, _ = track.find_clips()
    assert (rain.name, rain.source_range.start_time.to_seconds(), rain.duration().to_seconds()) == (
        "Rain, soft",
        0.5,
        1.0,
    )
    assert unquote(urlparse(rain.media_reference.target_url).path) == selection.taken[0].path
    assert (
        rain.media_reference.available_range.duration.to_seconds() == 2.0 and rain.source_range.start_time.rate == 48000
    )
    assert rain.metadata["askaudio"]["licence"] == "CC-BY-4.0"
    assert door.range_in_parent().start_time.to_seconds() == 1.0
    assert timeline.duration().to_seconds() == pytest.approx(2.0)
    assert "Rain, soft" in timeline.metadata["askaudio"]["credits"]


def test_timelines_of_copies_begin_after_the_handle(selection):
    otio = pytest.importorskip("opentimelineio", reason="needs opentimelineio")
    timeline = otio.adapters.read_from_string(written("otio", selection, copies=True).decode(), "otio_json")
    rain = next(iter(timeline.find_clips()))
    assert unquote(rain.media_reference.target_url) == selection.taken[0].name == "rain 0.25-1.75 s.wav"
    assert (rain.source_range.start_time.to_seconds(), rain.available_range().duration.to_seconds()) == (0.25, 1.5)


def test_a_reaper_project_is_read_back(selection):
    rpp = pytest.importorskip("rpp", reason="needs rpp")
    project = rpp.loads(written("rpp", selection).decode())
    (track,) = project.findall("TRACK")
    rain, door, hard = track.findall("ITEM")

    def value(element, name):
        return next(row[1] for row in element if isinstance(row, list) and row[0] == name)

    assert [float(value(item, "POSITION")) for item in (rain, door, hard)] == [0.0, 2.0, 3.5]
    assert (float(value(rain, "SOFFS")), float(value(rain, "LENGTH")), value(rain, "NAME")) == (0.5, 1.0, "Rain, soft")
    assert value(rain.find("SOURCE"), "FILE") == selection.taken[0].path and rain.find("SOURCE").attrib[0] == "WAVE"
    assert project.find("NOTES") is not None


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a b", '"a b"'),
        ('say "x"', "'say \"x\"'"),
        ('it\'s "x"', '`it\'s "x"`'),
        ("'\"`", "`'\"'`"),
        ("a\n>b", '"a >b"'),
    ],
)
def test_texts_of_reaper(text, quoted):
    assert rpp_text(text) == quoted


def test_regions_of_one_recording_are_at_its_times_others_at_those_of_the_project(library, pick, selection):
    one = pick(NewItem(library.id_of("rain.wav"), 0.5, 1.0, "drop, 1"), NewItem(library.id_of("rain.wav"), 1.25, 2.0))
    assert written("regions", one).decode().splitlines() == [
        "#,Name,Start,End,Length",
        'R1,"drop, 1",0:00.500,0:01.000,0:00.500',
        'R2,"Rain, soft",0:01.250,0:02.000,0:00.750',
    ]  # fmt: skip
    assert written("regions", selection).decode().splitlines()[2] == "R2,door,0:02.000,0:02.500,0:00.500"


def test_credits_for_people(library, pick, selection):
    text = credits_text(selection)
    assert text.startswith(
        'Credits\n\n"Rain, soft" by Ana, CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/). '
        'Changed: cut to 0.50-1.50 s\n\nNo licence is known for:\n\n"door"\n'
    )
    other = pick("deep/rain.flac", commercial=False)
    assert "rain: CC-BY-NC does not allow commercial use" in credits_text(other)


def test_only_what_is_known_to_be_allowed_is_commercial(library, pick):
    found = pick("rain.wav", "deep/rain.flac", "deep/door.wav", "nothing", commercial=True)
    assert [os.path.basename(one.path) for one in found.taken] == ["rain.wav"]
    assert [left.reason for left in found.left] == [
        "'CC-BY-NC' does not allow commercial use",
        "no licence is known, so commercial use is not known to be allowed",
        "the collection does not hold it",
    ]
    assert "Left out:\n\nrain.flac: 'CC-BY-NC' does not allow" in credits_text(found)


def test_parts_are_taken_once_and_end_with_the_recording(library, pick):
    clip = library.id_of("rain.wav")
    found = pick(NewItem(clip, 1.5, 9.0), NewItem(clip, 1.5, 9.0), NewItem(clip, 5.0, 6.0), handles_s=1.0)
    (one,) = found.taken
    assert (one.end_s, one.cut_start_s, one.cut_end_s) == (2.0, 0.5, 2.0)
    assert [left.reason for left in found.left] == ["it ends at 2 s, before the part begins"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "_.._etc_passwd"), ("/abs", "_abs"), ("C:\\x", "C__x"), ("nul", "_nul"), ("..", "sound"),
        ("COM1.txt", "_COM1.txt"), (". .", "sound"), ("x" * 300, "x" * 180), ("\u202egpj.exe", "_gpj.exe"),
        ("ü" * 200, "ü" * 90), ("a\0b\n", "a_b_"),
    ],
)  # fmt: skip
def test_names_are_safe(name, safe):
    assert safe_name(name) == safe


def test_names_are_unique_where_case_is_ignored():
    names = Names("CREDITS.txt")
    assert [names.add("Rain", ".wav"), names.add("rain", ".WAV"), names.add("credits", ".txt")] == [
        "Rain.wav", "rain (2).WAV", "credits (2).txt",
    ]  # fmt: skip
    assert names.add("x", "/../y") == "x..y"
