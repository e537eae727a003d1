"""An installed package contains every data file of the source tree."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_data_file_is_named() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["askaudio"]
    source = ROOT / "src/askaudio"
    named = {path for pattern in patterns for path in source.glob(pattern)}
    data = {path for path in source.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert sorted(str(path.relative_to(source)) for path in data - named) == []
