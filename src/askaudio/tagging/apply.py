"""Carry out a plan file by file, and undo it: a crash at any point loses nothing.

For each file: a new file is made beside it and its sound is compared with the old one; the undo log gets what is needed
to restore the old bytes and the old name, and is flushed to disk; then the new file replaces the old one in one step
and is renamed without overwriting anything. Running the plan again continues where it stopped, and so does undoing.

The log is ``PLAN.undo.jsonl`` beside the plan: one JSON line for each file that was begun, finished or undone.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askaudio.core.errors import AskAudioError, DataError
from askaudio.core.files import atomic_path, sha256_file
from askaudio.core.text import split_lines
from askaudio.core.types import Json, Progress, silent
from askaudio.engines.writer_lock import WriterLock
from askaudio.ingest.sidecar import read_sidecar, sidecar
from askaudio.tagging.delta import apply_delta, make_delta
from askaudio.tagging.file_tags import read_tags, sound_of_file, write_tags
from askaudio.tagging.plan import Action, check_file, companions, read_plan


@dataclass
class Outcome:
    """What became of a plan.

    Attributes:
        done: Files that are in the state that was asked for.
        skipped: Files whose ``apply`` is false.
        left: Path -> why it was left alone.
    """

    done: list[str] = field(default_factory=list)
    skipped: int = 0
    left: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> Json:
        """JSON-able."""
        return {"done": self.done, "skipped": self.skipped, "left": self.left}


def undo_file(plan: Path | str) -> Path:
    """The undo log of a plan."""
    return Path(f"{plan}.undo.jsonl")


def apply_plan(plan: Path | str, progress: Progress = silent) -> Outcome:
    """Carry out a plan, or continue one that was interrupted.

    Args:
        plan: The plan file.
        progress: Called after each file.

    Raises:
        DataError: It is no plan.
        IndexStoreError: Another process is carrying it out.
    """
    actions = read_plan(plan).actions
    outcome = Outcome()
    with _Log(Path(plan)) as log:
        for number, action in enumerate(actions):
            if not action.apply:
                outcome.skipped += 1
            else:
                _try(outcome, action.path, lambda n=number, a=action: _apply(log, n, a))  # type: ignore[misc]
            progress(number + 1, len(actions), Path(action.path).name)
    return outcome


def undo_plan(plan: Path | str, progress: Progress = silent) -> Outcome:
    """Undo what was applied of a plan, the last file first: names, bytes and modification times.

    Args:
        plan: The plan file; it may have been edited or deleted since, only its undo log is read.
        progress: Called after each file.

    Raises:
        DataError: There is no undo log.
    """
    if not undo_file(plan).exists():
        raise DataError(f"{undo_file(plan)} does not exist: nothing of this plan was applied")
    outcome = Outcome()
    with _Log(Path(plan)) as log:
        numbers = sorted(log.begun, reverse=True)
        for done, number in enumerate(numbers, start=1):
            record = log.begun[number]
            _try(outcome, record["path"], lambda n=number, r=record: _undo(log, n, r))  # type: ignore[misc]
            progress(done, len(numbers), Path(record["path"]).name)
    return outcome


def _try(outcome: Outcome, path: str, work: Any) -> None:
    try:
        work()
        outcome.done.append(path)
    except (AskAudioError, OSError) as error:
        outcome.left[path] = str(error)


# --- applying ---------------------------------------------------------------------------------------------------


def _apply(log: _Log, number: int, action: Action) -> None:
    path, target = Path(action.path), action.target
    record = log.begun.get(number)
    if number in log.done and record is not None and _is(target, record["sha256_after"]):
        return
    if record is not None and _is(target, record["sha256_after"]) and (path == target or not path.exists()):
        _finish(log, number, record)  # it was interrupted between its last step and the line that says so
        return
    if record is None or not _is(path, record["sha256_after"]):
        record = _begin(log, number, action)
    _finish(log, number, record)


def _begin(log: _Log, number: int, action: Action) -> Json:
    """Make the new content and the way back, note both, and put the content in place."""
    path, target = Path(action.path), action.target
    check_file(path)
    _check_unchanged(path, action)
    if target != path and os.path.lexists(target) and not _same_file(path, target):
        raise DataError(f"{target} exists already, so nothing was done")
    change = _sidecar_change(path, action) if action.write and action.to == "sidecar" else None
    moves = [[os.fspath(a), os.fspath(b)] for a, b in companions(action)]
    if change is not None and target != path and change["path"] not in (old for old, _ in moves):
        moves.append([change["path"], os.fspath(target.with_name(target.name + ".txt"))])
    for _, new in moves:
        if os.path.lexists(new):
            raise DataError(f"{new} exists already, so nothing was done")
    record: Json = {
        "event": "begin", "number": number, "path": action.path, "target": os.fspath(target), "moves": moves,
        "sha256_before": action.sha256, "sha256_after": action.sha256, "modified_ns": path.stat().st_mtime_ns,
        "delta": None, "sidecar": change,
    }  # fmt: skip
    if change is not None or not action.write:
        log.add(record)
        return record
    with _beside(path) as fresh:
        write_tags(path, fresh, action.write)
        if sound_of_file(path) != sound_of_file(fresh):
            raise DataError(f"writing the texts would change the sound of {path}, so it is left as it is")
        _check_written(fresh, action)
        record |= {"sha256_after": sha256_file(fresh), "delta": make_delta(path, fresh)}
        shutil.copystat(path, fresh)
        os.utime(fresh)
        _flush(fresh)
        log.add(record)
        _check_unchanged(path, action)
        os.replace(fresh, path)
        _flush(path.parent)
    return record


def _finish(log: _Log, number: int, record: Json) -> None:
    """Write the text beside the file, and rename both."""
    moved = dict(record["moves"])
    if (change := record["sidecar"]) is not None and not os.path.lexists(moved.get(change["path"], "")):
        _replace_text(Path(change["path"]), change["after"], change["before"])
    _rename(Path(record["path"]), Path(record["target"]))
    for old, new in record["moves"]:
        _rename(Path(old), Path(new))
    if number not in log.done:
        log.add({"event": "done", "number": number})


def _check_unchanged(path: Path, action: Action) -> None:
    stat = path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (action.size_bytes, action.modified_ns) or not _is(path, action.sha256):
        raise DataError(f"{path} has changed since the plan was made, so it is left as it is; make the plan again")


def _check_written(new: Path, action: Action) -> None:
    """Read the texts back as indexing reads them."""
    found = read_tags(new)
    for name, text in action.write.items():
        if not _agree(read := found.get(name, ""), text, name):
            raise DataError(f"{name} of {action.path} reads {read!r} after writing {text!r}, so it is left as it is")


def _agree(found: str, wanted: str, name: str) -> bool:
    """Whether a text is the one that was written; a description of Broadcast WAV is cut at 256 bytes."""
    found, wanted = " ".join(found.casefold().split()), " ".join(wanted.casefold().split())
    return found == wanted or (name == "description" and len(found) > 200 and wanted.startswith(found))


def _sidecar_change(path: Path, action: Action) -> Json:
    """The text beside a sound with the new lines at its end."""
    place = sidecar(path) or path.with_name(path.name + ".txt")
    before = place.read_bytes() if place.exists() else None
    known = {line.strip() for line in split_lines(read_sidecar(place))} if before is not None else set()
    lines = [line for line in sidecar_lines(action) if line not in known]
    joint = b"" if not before or before.endswith(b"\n") else b"\n"
    after = (before or b"") + joint + "".join(f"{line}\n" for line in lines).encode("utf-8")
    return {"path": os.fspath(place), "before": _text(before), "after": _text(after)}


def sidecar_lines(action: Action) -> list[str]:
    """The texts of an action as the lines of a sidecar, which indexing reads as captions."""
    write = action.write
    kind = " ".join(write[name] for name in ("cat_id", "category", "subcategory") if name in write)
    lines = [write.get("description", ""), write.get("keywords", ""), f"UCS {kind}" if kind else ""]
    return [line for line in lines if line]


# --- undoing ----------------------------------------------------------------------------------------------------


def _undo(log: _Log, number: int, record: Json) -> None:
    path, target = Path(record["path"]), Path(record["target"])
    here = path if path.exists() and not (path != target and _same_file(path, target)) else target
    if not (_is(here, record["sha256_after"]) or _is(here, record["sha256_before"])):
        raise DataError(f"{here} has changed since the plan was applied, so it is left as it is")
    if path.exists() and target.exists() and path != target and not _same_file(path, target):
        raise DataError(f"{path} and {target} both exist, so both are left as they are")
    for old, new in reversed(record["moves"]):
        _rename(Path(new), Path(old))
    _rename(target, path)
    if record["sidecar"] is not None:
        _replace_text(Path(record["sidecar"]["path"]), record["sidecar"]["before"], record["sidecar"]["after"])
    if record["delta"] is not None and not _is(path, record["sha256_before"]):
        with _beside(path) as new:
            apply_delta(path, record["delta"], new)
            if sha256_file(new) != record["sha256_before"]:
                raise DataError(f"the undo log does not restore {path}, so it is left as it is")
            shutil.copystat(path, new)
            _flush(new)
            os.replace(new, path)
    os.utime(path, ns=(path.stat().st_atime_ns, record["modified_ns"]))
    _flush(path.parent)
    log.add({"event": "undone", "number": number})


# --- reading back -----------------------------------------------------------------------------------------------


def read_back(plan: Path | str) -> list[Json]:
    """State of each file of a plan: not applied, applied, changed or missing, and the texts it has now.

    Args:
        plan: The plan file.
    """
    rows = []
    for action in read_plan(plan).actions:
        path, target = Path(action.path), action.target
        here = target if target.exists() else path
        row: Json = {"path": action.path, "now": os.fspath(here), "state": _state(action, path, target)}
        if here.exists():
            found = sidecar(here) if action.to == "sidecar" else None
            row["texts"] = read_tags(here) if found is None else {"sidecar": split_lines(read_sidecar(found))}
        rows.append(row)
    return rows


def _state(action: Action, path: Path, target: Path) -> str:
    if not path.exists() and not target.exists():
        return "missing"
    if path.exists() and _is(path, action.sha256) and (action.to == "tags" or action.rename):
        return "not applied" if action.apply else "not to be applied"
    if action.to == "sidecar" or not action.write:
        here = target if target.exists() else path
        found = sidecar(here)
        lines = set(split_lines(read_sidecar(found))) if found else set()
        written = not action.write or set(sidecar_lines(action)) <= lines
        return "applied" if _is(here, action.sha256) and here == target and written else "not applied"
    here = target if target.exists() else path
    found_texts = read_tags(here)
    applied = all(_agree(found_texts.get(name, ""), text, name) for name, text in action.write.items())
    return "applied" if applied and here == target else "changed"


# --- files ------------------------------------------------------------------------------------------------------


class _Log:
    """The undo log: what was begun, finished and undone. One process at a time."""

    def __init__(self, plan: Path) -> None:
        self._lock = WriterLock(Path(f"{plan}.lock"))
        self.begun: dict[int, Json] = {}
        self.done: set[int] = set()
        self._path = undo_file(plan)
        self._read()
        self._file = self._path.open("a", encoding="ascii")

    def _read(self) -> None:
        if not self._path.exists():
            return
        whole = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if record is None or not line.endswith(b"\n"):
                break  # the process was killed while it wrote this line; nothing was done after it
            whole += len(line)
            self._take(record)
        os.truncate(self._path, whole)

    def _take(self, record: Json) -> None:
        number = int(record["number"])
        if record["event"] == "begin":
            self.begun[number] = record
            self.done.discard(number)
        elif record["event"] == "done":
            self.done.add(number)
        else:
            self.begun.pop(number, None)
            self.done.discard(number)

    def add(self, record: Json) -> None:
        """Add a line and wait until it is on the disk."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._take(record)

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._lock.release()


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file for new content in the same folder, with a name that a killed run leaves and the next one replaces."""
    new = path.with_name(f".{path.stem[:100]}.askaudio-new{path.suffix}")
    new.unlink(missing_ok=True)
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


def _rename(path: Path, target: Path) -> None:
    """Rename without overwriting; does nothing where it was done before.

    A second name is made and the first one removed, because renaming replaces an existing file on most systems.
    """
    if path == target or not os.path.lexists(path):
        return
    if os.path.lexists(target):
        if not _same_file(path, target):
            raise DataError(f"{target} exists already, so {path.name} keeps its name")
        if _is_other_spelling(path, target):
            os.rename(path, target)
        else:
            path.unlink()
    else:
        try:
            os.link(path, target)
            path.unlink()
        except (OSError, NotImplementedError):  # a file system without links
            os.rename(path, target)
    _flush(target.parent)


def _is_other_spelling(path: Path, target: Path) -> bool:
    """Two spellings of one name, on a file system that ignores case."""
    names = os.listdir(path.parent)
    return not (path.name in names and target.name in names)


def _same_file(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _is(path: Path, sha256: str) -> bool:
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False


def _flush(path: Path) -> None:
    """Wait until a file, or the names of a folder, are on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # folders cannot be opened on Windows
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _replace_text(place: Path, wanted: str | None, expected: str | None) -> None:
    """Put the content of a sidecar in place, or remove it; one that has other content than expected is left alone."""
    now = _text(place.read_bytes()) if place.exists() else None
    if now == wanted:
        return
    if now != expected:
        raise DataError(f"{place} has changed meanwhile, so it is left as it is")
    if wanted is None:
        place.unlink()
    else:
        with atomic_path(place) as temporary:
            temporary.write_bytes(base64.b64decode(wanted))
