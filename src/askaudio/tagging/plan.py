"""A plan: what is to be written to which file and how it is to be renamed, as a JSON file that people can edit.

Nothing is changed by making a plan. ``apply.py`` carries it out and undoes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from askaudio.core.errors import AskAudioError, DataError
from askaudio.core.files import read_json, sha256_file, write_json
from askaudio.core.names import readable
from askaudio.core.types import Json, Progress, silent
from askaudio.ingest.sidecar import text_file
from askaudio.ingest.walk import SUFFIXES
from askaudio.tagging.file_tags import FIELDS, TAGGED, read_tags
from askaudio.tagging.propose import Proposal

FORMAT, VERSION = "askaudio-tag-plan", 1
Where = Literal["tags", "sidecars"]
_LONGEST_NAME = 200  # bytes; file systems take 255
_UNSAFE = '<>:"/\\|?*_'  # not allowed on some system, and the separator of UCS names


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done with one file.

    Attributes:
        path: The file, absolute.
        size_bytes: Its size when the plan was made.
        modified_ns: Its modification time then.
        sha256: Its content then; a file with another content is left alone.
        apply: False skips the file.
        write: Texts to write, names of ``FIELDS``; empty writes none.
        to: "tags" in the file, or a "sidecar" beside it.
        rename: New name in the same folder; empty keeps the name.
        proposal: What the texts come from, for people.
    """

    path: str
    size_bytes: int
    modified_ns: int
    sha256: str
    apply: bool = True
    write: Mapping[str, str] = field(default_factory=dict)
    to: str = "tags"
    rename: str = ""
    proposal: Json = field(default_factory=dict)

    @property
    def target(self) -> Path:
        """Where the file is afterwards."""
        return Path(self.path).with_name(self.rename) if self.rename else Path(self.path)

    def to_json(self) -> Json:
        """JSON-able."""
        return {
            "path": self.path, "apply": self.apply, "write": dict(self.write), "to": self.to, "rename": self.rename,
            "size_bytes": self.size_bytes, "modified_ns": self.modified_ns, "sha256": self.sha256,
            "proposal": self.proposal,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions, and the model that proposed them."""

    actions: tuple[Action, ...]
    model: str = ""
    made_at: str = ""

    def save(self, path: Path | str) -> None:
        """Write the plan."""
        write_json(path, {
            "format": FORMAT, "version": VERSION, "model": self.model, "made_at": self.made_at,
            "actions": [action.to_json() for action in self.actions],
        })  # fmt: skip


def make_plan(
    proposals: Sequence[Proposal],
    to: Where | None,
    rename: bool,
    *,
    creator: str = "",
    source: str = "",
    replace_texts: bool = False,
    model: str = "",
    progress: Progress = silent,
) -> tuple[Plan, dict[str, str]]:
    """Make a plan from proposals; files with unsure proposals are in it with ``apply`` false.

    Args:
        proposals: One for each file.
        to: Where texts are written; None writes none.
        rename: Give files UCS names.
        creator: Third field of the names.
        source: Fourth field of the names.
        replace_texts: Write fields that a file has already; otherwise only missing ones are written.
        model: Name of the model.
        progress: Called after each file.

    Returns:
        The plan, and path -> reason for files that cannot be part of it.
    """
    actions, left_out = [], {}
    taken: set[Path] = set()
    for number, proposal in enumerate(proposals, start=1):
        try:
            action = _action(proposal, to, replace_texts)
            if rename and not proposal.named:
                action = replace(action, rename=_free_name(proposal, creator, source, taken))
            if action.write or action.rename:
                actions.append(action)
        except (AskAudioError, OSError) as error:
            left_out[proposal.path] = str(error)
        progress(number, len(proposals))
    return Plan(tuple(actions), model, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())), left_out


def _action(proposal: Proposal, to: Where | None, replace_texts: bool) -> Action:
    path = Path(proposal.path)
    check_file(path)
    stat = path.stat()
    place = "sidecar" if to == "sidecars" or path.suffix.lower() not in TAGGED else "tags"
    write = {} if to is None else fields_of(proposal)
    if write and place == "tags" and not replace_texts:
        known = read_tags(path)
        write = {name: text for name, text in write.items() if not known.get(name)}
    return Action(
        os.fspath(path), stat.st_size, stat.st_mtime_ns, sha256_file(path), proposal.sure, write, place,
        proposal=proposal.to_json(),
    )  # fmt: skip


def fields_of(proposal: Proposal) -> dict[str, str]:
    """The texts of a proposal."""
    return {
        "category": proposal.category.category.upper(), "subcategory": proposal.category.subcategory.upper(),
        "cat_id": proposal.category.cat_id, "keywords": ", ".join(proposal.keywords), "title": proposal.title,
        "description": proposal.description,
    }  # fmt: skip


def check_file(path: Path) -> None:
    """Refuse what must not be replaced.

    Raises:
        DataError: It is a link, no regular file, write-protected, or has several names (hard links).
    """
    if path.is_symlink() or not path.is_file():
        raise DataError(f"{path} is a link or no file; tag the file itself")
    if not path.stat().st_mode & 0o200:
        raise DataError(f"{path} is write-protected, so it is left as it is. To allow it: chmod u+w")
    if path.stat().st_nlink > 1:
        raise DataError(f"{path} has several names (hard links), which would become different files; copy it first")


def _free_name(proposal: Proposal, creator: str, source: str, taken: set[Path]) -> str:
    """A UCS name that no file of the folder has or will have."""
    path = Path(proposal.path)
    fields = [proposal.category.cat_id, _clean(proposal.title) or proposal.category.subcategory]
    fields += [_clean(text) for text in ((creator, source) if source else (creator,)) if text or source]
    for number in range(1, 10_000):
        title = fields[1] if number == 1 else f"{fields[1]} {number:02d}"
        stem = "_".join([fields[0], title, *(text or "NONE" for text in fields[2:])])
        target = path.with_name(_shortened(stem) + path.suffix)
        if target not in taken and not os.path.lexists(target):
            taken.add(target)
            return target.name
    raise DataError(f"no free name for {path}")


def _clean(text: str) -> str:
    return " ".join("".join(" " if c in _UNSAFE or ord(c) < 32 else c for c in readable(text)).split())


def _shortened(stem: str) -> str:
    return stem.encode("utf-8")[:_LONGEST_NAME].decode("utf-8", "ignore").strip()


def read_plan(path: Path | str) -> Plan:
    """Read a plan, which a person may have edited.

    Raises:
        DataError: It is no plan, or something in it cannot be done; the message names the action.
    """
    found = read_json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{path} is no plan of askaudio tag; make one: askaudio tag FOLDER --plan {path}")
    if int(found.get("version", 0)) > VERSION:
        raise DataError(f"{path} was written by a newer askaudio. Fix: pip install --upgrade askaudio")
    rows = found.get("actions")
    if not isinstance(rows, list):
        raise DataError(f"{path} has no list of actions")
    actions = [_read_action(row, f"{path}, action {number}") for number, row in enumerate(rows, start=1)]
    _check_names(actions, str(path))
    return Plan(tuple(actions), str(found.get("model", "")), str(found.get("made_at", "")))


def _read_action(row: Any, where: str) -> Action:
    try:
        action = Action(
            str(row["path"]), int(row["size_bytes"]), int(row["modified_ns"]), str(row["sha256"]),
            bool(row.get("apply", True)), {str(k): str(v) for k, v in dict(row.get("write") or {}).items()},
            str(row.get("to", "tags")), str(row.get("rename") or ""), dict(row.get("proposal") or {}),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where} is damaged ({error!r}); make the plan again") from error
    path, name = Path(action.path), action.rename
    if not path.is_absolute():
        raise DataError(f"{where}: path must be absolute, got {action.path!r}")
    if name and (Path(name).name != name or name in (".", "..") or Path(name).suffix.lower() != path.suffix.lower()):
        raise DataError(f"{where}: rename must be a name in the same folder that ends in {path.suffix}, got {name!r}")
    if unknown := sorted(set(action.write) - set(FIELDS)):
        raise DataError(f"{where}: write has unknown fields {', '.join(unknown)}; known are {', '.join(FIELDS)}")
    if action.to not in ("tags", "sidecar"):
        raise DataError(f"{where}: to must be tags or sidecar, got {action.to!r}")
    return action


def _check_names(actions: Iterable[Action], where: str) -> None:
    seen: dict[Path, str] = {}
    for action in actions:
        if action.apply and (before := seen.setdefault(action.target, action.path)) != action.path:
            raise DataError(f"{where}: {before} and {action.path} would both become {action.target}")


def companions(action: Action) -> list[tuple[Path, Path]]:
    """Texts beside a sound that are renamed with it: (present path, path afterwards)."""
    path, target = Path(action.path), action.target
    found = []
    if action.rename:
        beside = path.with_name(path.name + ".txt")
        if text_file(beside, ()):
            found.append((beside, target.with_name(target.name + ".txt")))
        own = path.with_suffix(".txt")
        shared = any(path.with_suffix(suffix).exists() for suffix in SUFFIXES if suffix != path.suffix.lower())
        if text_file(own, ()) and not shared:
            found.append((own, target.with_suffix(".txt")))
    return found
