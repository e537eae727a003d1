"""Credits from rules, files beside the sound, manifests, packs, tags and names, in this order."""

import json

import pytest

from askaudio.core.errors import ConfigError
from askaudio.delivery.credits import CreditReader
from askaudio.delivery.rules import FILE_NAME, read_rules, rules_of


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path.resolve() / "sounds"
    (folder / "pack").mkdir(parents=True)
    return folder


def credit(sounds, name="x.wav", rules=(), **metadata):
    return CreditReader([str(sounds)], rules).read(str(sounds / name), metadata)


def test_a_name_alone(sounds):
    found = credit(sounds, "door slam.wav")
    assert (found.title, found.author, found.licence.name, found.source) == ("door slam", "", "", "")


def test_tags(sounds):
    found = credit(sounds, title="Rain", artist="Ana", licence="Attribution 4.0", comment="see https://example.org/x.")
    assert (found.title, found.author, found.licence.name, found.source) == (
        "Rain", "Ana", "CC-BY-4.0", "https://example.org/x",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("copyright", "name"), [("CC BY 4.0", "CC-BY-4.0"), ("2019 Ana", ""), ("© 2019. All rights reserved", "©")]
)
def test_a_copyright_is_a_licence_only_where_it_names_one(sounds, copyright, name):
    assert credit(sounds, copyright=copyright).licence.name[:9] == (copyright if name == "©" else name)[:9]


def test_names_of_freesound(sounds):
    found = credit(sounds, "123456__some_user__big-door_slam.wav", title="", artist="")
    assert (found.title, found.author, found.source) == (
        "big door slam",
        "some_user",
        "https://freesound.org/s/123456/",
    )


def test_the_list_of_a_pack(sounds):
    (sounds / "pack" / "_readme_and_license.txt").write_text(
        "Sound pack downloaded from Freesound\n----\n\nLicenses in this pack\n\n"
        "Attribution: http://creativecommons.org/licenses/by/4.0/\n\nSounds in this pack\n-------\n\n"
        "  * 11__ana__rain.wav\n    * url: https://freesound.org/s/11/\n    * license: Attribution 4.0\n"
        "  * 12__ana__wind.wav\n    * url: https://freesound.org/s/12/\n    * license: Attribution NonCommercial 4.0\n",
        encoding="utf-8",
    )
    reader = CreditReader([str(sounds)])
    rain, wind = (reader.read(str(sounds / "pack" / name), {}) for name in ("11__ana__rain.wav", "12__ana__wind.wav"))
    assert (rain.licence.name, wind.licence.name) == ("CC-BY-4.0", "CC-BY-NC-4.0")
    assert (rain.author, rain.title, rain.source) == ("ana", "rain", "https://freesound.org/s/11/")


def test_files_beside_the_sound(sounds):
    (sounds / "x.wav.license").write_text("SPDX-FileCopyrightText: 2021 Ben\nSPDX-License-Identifier: CC0-1.0\n")
    (sounds / "x.json").write_text(
        json.dumps({"name": "Long rain", "username": "ana", "license": "CC BY 4.0", "id": 1})
    )
    found = credit(sounds)
    assert (found.title, found.author, found.licence.name) == ("Long rain", "Ben", "CC0-1.0")


def test_lines_of_the_text_file(sounds):
    found = credit(sounds, caption=["rain on a roof", "Licence: CC BY-SA 4.0", "Author: Ana", "Source: field trip"])
    assert (found.author, found.licence.name, found.source) == ("Ana", "CC-BY-SA-4.0", "field trip")
    assert credit(sounds, caption="rain at 3: loud").licence.name == ""


def test_a_manifest(sounds):
    row = {"id": "a", "path": "x.wav", "text": "rain", "licence": "CC0", "source": "museum", "author": "Cy"}
    (sounds / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    found = credit(sounds, artist="other", licence="CC BY 4.0")
    assert (found.author, found.licence.name, found.source) == ("Cy", "CC0-1.0", "museum")
    assert credit(sounds, "y.wav", artist="other").author == "other"


def test_links_that_lead_outside_are_not_read(sounds, tmp_path):
    (tmp_path / "secret.json").write_text(json.dumps({"author": "secret"}))
    (sounds / "x.json").symlink_to(tmp_path / "secret.json")
    assert credit(sounds).author == ""
    outside = CreditReader([str(sounds)]).read(str(tmp_path / "secret.wav"), {})  # a path that a stranger chose
    assert outside.author == ""


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"license": 3}', "[" * 100_000, "\x00"])
def test_broken_files_beside_the_sound_say_nothing(sounds, text):
    (sounds / "x.json").write_text(text)
    assert credit(sounds).licence.name == ""


# --- rules ------------------------------------------------------------------------------------------------------


def rules(sounds, text, name=FILE_NAME):
    (sounds / name).write_text(text, encoding="utf-8")
    return read_rules(sounds / name)


def test_rules_outweigh_all_else_and_the_first_field_counts(sounds):
    found = rules(
        sounds,
        "- match: pack\n  author: BBC\n  licence: RemArc\n"
        "- match: ['*.wav', 'nothing/*']\n  license: CC BY 4.0\n  author: Other\n  source: https://example.org\n",
    )
    first = credit(sounds, "pack/x.wav", found, artist="Ana", licence="CC0")
    second = credit(sounds, "x.wav", found, artist="Ana")
    assert (first.author, first.licence.name, first.source) == ("BBC", "RemArc", "https://example.org")
    assert first.licence.commercial is False
    assert (second.author, second.licence.name) == ("Other", "CC-BY-4.0")


def test_a_rule_decides_about_commercial_use(sounds):
    found = rules(sounds, "- {match: 'pack/*', licence: bought at a shop, commercial: true}\n")
    licence = credit(sounds, "pack/x.wav", found).licence
    assert (licence.name, licence.commercial) == ("bought at a shop", True)
    assert credit(sounds, "packs/x.wav", found).licence.commercial is None


def test_rules_of_folders_and_of_the_collection(sounds, tmp_path):
    collection = tmp_path / "collection"
    collection.mkdir()
    rules(sounds, "- {match: '*', author: folder}\n")
    (collection / FILE_NAME).write_text("- {match: '*', author: collection}\n")
    assert [rule.author for rule in rules_of([str(sounds)], collection)] == ["collection", "folder"]
    assert rules_of([str(tmp_path)]) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot read the rule file"),
        ("match: x", "expected a list"),
        ("- author: x", "rule 1 is .*expected match"),
        ("- {match: x, autor: y}", "expected match and some of author"),
        ("- {match: [], author: y}", "expected a pattern"),
        ("- {match: 3}", "expected a pattern"),
        ("- {match: x, commercial: maybe}", "expected true or false"),
        ("- !!python/object/apply:os.system ['true']", "cannot read"),
        (f"- {{match: {'x' * 2000}}}", "longer than"),
    ],
)
def test_wrong_rules_are_named(sounds, text, says):
    with pytest.raises(ConfigError, match=says):
        rules(sounds, text)
