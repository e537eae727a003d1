"""Rule files: what is known about the licence and the author of whole folders.

``credits.yaml`` in an indexed folder or in the folder of the collection, or any file that is named with ``--rules``:

    - match: BBC                      # a folder, or a pattern: * is any text, ? one character
      author: BBC
      licence: RemArc
      commercial: false
    - match: ["*/freesound/*.wav", "foley/*"]
      licence: CC BY 4.0
      source: https://example.org/foley

Patterns are compared with the path below the indexed folder and with the whole path. Of several rules that match, the
first one that has a field decides it. A rule outweighs what is in the file itself, since a person wrote it for this.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from askaudio.core.errors import ConfigError, DataError
from askaudio.core.names import readable
from askaudio.core.text import read_text
from askaudio.ingest.sidecar import text_file

FILE_NAME = "credits.yaml"
_TEXTS = ("title", "author", "licence", "source")
_MOST_RULES = 10_000
_MOST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: patterns of paths, and the fields that it decides; "" and None decide nothing."""

    match: tuple[str, ...]
    title: str = ""
    author: str = ""
    licence: str = ""
    source: str = ""
    commercial: bool | None = None

    def fits(self, path: str, roots: Sequence[str]) -> bool:
        """Whether a pattern fits a path.

        Args:
            path: Absolute path.
            roots: Indexed folders.
        """
        names = [readable(path).replace(os.sep, "/")]
        names += [readable(os.path.relpath(path, root)).replace(os.sep, "/") for root in roots
                  if path.startswith(root.rstrip(os.sep) + os.sep)]  # fmt: skip
        return any(_fits(name, pattern) for name in names for pattern in self.match)


def read_rules(path: Path | str) -> list[Rule]:
    """Read a rule file.

    Raises:
        ConfigError: It cannot be read, or a rule is wrong; the message names the rule.
    """
    try:
        value = yaml.safe_load(read_text(path))
    except (DataError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"cannot read the rule file {path}: {error}") from error
    rows = [] if value is None else value
    if not isinstance(rows, list) or len(rows) > _MOST_RULES:
        raise ConfigError(
            f"{path}: expected a list of at most {_MOST_RULES} rules, each with match and what it decides"
        )
    return [_rule(row, f"{path}, rule {number}") for number, row in enumerate(rows, start=1)]


def rules_of(roots: Iterable[str | Path], collection: Path | None = None) -> list[Rule]:
    """The rules of ``credits.yaml`` in the collection and in the indexed folders.

    Args:
        roots: Indexed folders.
        collection: Folder of the collection; None where it is no folder.

    Raises:
        ConfigError: One of the files is wrong.
    """
    roots = list(roots)
    places = [*([collection] if collection else []), *roots]
    files = [text_file(Path(place) / FILE_NAME, roots) for place in places]
    return [rule for file in dict.fromkeys(files) if file is not None for rule in read_rules(file)]


def _fits(name: str, pattern: str) -> bool:
    pattern = pattern.rstrip("/")
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, pattern + "/*")


def _rule(row: Any, where: str) -> Rule:
    known = {"match", "commercial", "license", *_TEXTS}
    if not isinstance(row, dict) or not set(row) <= known or "match" not in row:
        raise ConfigError(f"{where} is {row!r}; expected match and some of {', '.join(sorted(known - {'match'}))}")
    match = row["match"] if isinstance(row["match"], list) else [row["match"]]
    row = {"licence": row.get("license"), **row}
    texts = {name: "" if row.get(name) is None else str(row[name]) for name in _TEXTS}
    if not match or not all(isinstance(pattern, str) and pattern for pattern in match):
        raise ConfigError(f"{where}: match is {row['match']!r}; expected a pattern or a list of patterns")
    if any(len(text) > _MOST_TEXT for text in (*texts.values(), *match)):
        raise ConfigError(f"{where}: a text is longer than {_MOST_TEXT} characters")
    if not isinstance(row.get("commercial"), bool | None):
        raise ConfigError(f"{where}: commercial is {row['commercial']!r}; expected true or false")
    return Rule(tuple(match), **texts, commercial=row.get("commercial"))
