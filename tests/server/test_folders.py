"""Which folders the page may look into: only allowed ones, never through links, and nothing is said of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from askaudio.server.folders import allowed_folder, allowed_roots, list_folder
from askaudio.server.problems import Problem
from askaudio.server.settings import ServerSettings

TOKEN = "0123456789abcdef"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("fx/doors", "fx/.hidden", "fx/Birds", "secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "fx" / "rain.wav").write_bytes(b"x")
    (tmp_path / "fx" / "notes.txt").write_bytes(b"x")
    (tmp_path / "fx" / "out").symlink_to(tmp_path / "secret")
    return tmp_path.resolve()


def test_a_folder_lists_its_folders_and_counts_its_sounds(tree: Path) -> None:
    roots = [str(tree / "fx")]
    found = list_folder(str(tree / "fx"), roots)
    assert [name for name, _ in found.folders] == ["Birds", "doors"]
    assert (found.sounds, found.parent) == (1, "")
    assert list_folder(str(tree / "fx" / "doors"), roots).parent == str(tree / "fx")
    assert list_folder("", roots).folders == [(str(tree / "fx"), str(tree / "fx"))]


@pytest.mark.parametrize("path", ["secret", "fx/out", "fx/../secret", "fx/missing", "fx/rain.wav", "fx\0", ""])
def test_other_paths_are_unknown(tree: Path, path: str) -> None:
    for place in (f"{tree}/{path}", path or "fx"):
        with pytest.raises(Problem) as caught:
            allowed_folder(place, [str(tree / "fx")])
        assert caught.value.status_code == 404


def test_allowed_roots_follow_the_settings(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    assert allowed_roots(ServerSettings())[0] == str(tree)
    only = (str(tree / "fx"),)
    assert allowed_roots(ServerSettings(allowed_folders=only)) == list(only)
    assert allowed_roots(ServerSettings(host="0.0.0.0", token=TOKEN, allowed_folders=only)) == list(only)
    for settings in (ServerSettings(host="0.0.0.0", allowed_folders=only), ServerSettings(host="0.0.0.0", token=TOKEN)):
        with pytest.raises(Problem) as caught:
            allowed_roots(settings)
        assert caught.value.status_code == 403
