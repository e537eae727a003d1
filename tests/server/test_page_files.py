"""The files of the page: types, and that every module that is imported is sent."""

from __future__ import annotations

import re

import pytest

from askaudio.server.app import STATIC

MODULES = sorted((STATIC / "js").glob("*.js"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_are_sent_as_scripts_and_import_what_exists(client, module):
    answer = client.get(f"/js/{module.name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    imported = re.findall(r'^(?:import .*?from|import|\} from) "\./(.+?)";', answer.text, re.MULTILINE)
    assert all((STATIC / "js" / name).is_file() for name in imported)


def test_every_module_is_used():
    texts = "".join(path.read_text(encoding="utf-8") for path in [*MODULES, STATIC / "index.html"])
    assert [path.name for path in MODULES if f"/{path.name}" not in texts] == []


def test_the_page_loads_the_main_module(client):
    assert '<script src="js/main.js" type="module">' in client.get("/").text
