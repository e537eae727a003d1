"""Knowledge without sound: the classes of an ontology as texts to encode into a base.

Training pairs, another corpus and bare captions need no reader here: give their ids and embeddings to
``KnowledgeBase.from_pairs`` with ``source="training"``, ``"external"`` or ``"text"``, and join them with ``combine``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from askaudio.core.errors import DataError
from askaudio.core.files import read_json


@dataclass(frozen=True)
class ClassEntry:
    """One class of an ontology; ``text`` is what a text tower should read."""

    class_id: str
    name: str
    description: str = ""

    @property
    def text(self) -> str:
        """Name and description in one line."""
        return f"{self.name}: {self.description}" if self.description else self.name


def read_ontology(path: Path | str) -> list[ClassEntry]:
    """Read an ontology: a JSON list of objects with ``id``, ``name`` and, if they have one, ``description``.

    This is the layout of AudioSet's ``ontology.json``.

    Raises:
        DataError: Not such a list, or an id twice.
    """
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a JSON list of classes, got {type(rows).__name__}")
    entries: list[ClassEntry] = []
    seen: set[str] = set()
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(row.get("name"), str):
            raise DataError(f"{path}: class {number} needs the texts 'id' and 'name', got {row!r:.80}")
        if row["id"] in seen:
            raise DataError(f"{path}: class id {row['id']!r} occurs twice")
        seen.add(row["id"])
        entries.append(ClassEntry(row["id"], row["name"], str(row.get("description") or "")))
    return entries
