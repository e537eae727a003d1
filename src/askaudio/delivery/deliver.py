"""Write a selection to a folder or a file. Nothing that exists is replaced unless that is requested.

with SearchEngine.open("~/.askaudio/collections/default") as engine:
    hits = engine.search("rain on a tin roof")
    wanted = [NewItem(hit.clip_id, hit.start_s, hit.end_s) for hit in hits]
    done = deliver(engine.store, wanted, "~/Desktop/rain", "folder", handles_s=1.0, commercial=True)
    print(done.files, [left.reason for left in done.selection.left])
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from askaudio.core.errors import ConfigError
from askaudio.core.files import atomic_path
from askaudio.core.types import Progress, silent
from askaudio.delivery.archive import PIECE_BYTES, SOUND_ERRORS, Opener, extra_files, opener, reason_of, zip_pieces
from askaudio.delivery.credits import CreditReader
from askaudio.delivery.file_names import safe_name
from askaudio.delivery.items import Left, Selection, select
from askaudio.delivery.kinds import KINDS, LISTS
from askaudio.delivery.lists import credits_text
from askaudio.delivery.rules import Rule, rules_of
from askaudio.engines.address import parse_address
from askaudio.index.store import VectorStore
from askaudio.ingest.roots import recorded_roots
from askaudio.ingest.walk import SUFFIXES
from askaudio.projects.projects import NewItem


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was written.

    Attributes:
        files: Paths of the files.
        selection: The sounds that are in them, and those that were left out.
    """

    files: tuple[Path, ...]
    selection: Selection


def deliver(
    store: VectorStore,
    wanted: Iterable[NewItem | str],
    target: str | Path,
    kind: str = "folder",
    *,
    lists: Sequence[str] = (),
    handles_s: float = 0.0,
    commercial: bool = False,
    rules: Sequence[Rule] = (),
    folders: Sequence[str | Path] = (),
    overwrite: bool = False,
    progress: Progress = silent,
) -> Delivery:
    """Take sounds out of a collection.

    Args:
        store: The open collection.
        wanted: Ids of clips, or parts of clips.
        target: A new folder, or a file.
        kind: A name of ``KINDS``.
        lists: For ``folder`` and ``zip``: lists to write beside the copies, which refer to them.
        handles_s: Seconds of sound to keep before and after each part that is cut.
        commercial: Leave out what is not known to allow commercial use.
        rules: Rules about credits; they come before those of ``credits.yaml`` in the folders.
        folders: Folders whose files may be read, beside those that were indexed on this machine.
        overwrite: Replace the file (never a folder).
        progress: Called with sounds done and to do.

    Raises:
        ConfigError: The target exists, or an argument is out of range.
    """
    check_kinds(kind, lists)
    path = Path(target).expanduser()
    roots = allowed_roots(store.url, folders)
    all_rules = [*rules, *rules_of(roots, parse_address(store.url).folder)]
    selection = select(store, wanted, CreditReader(roots, all_rules), handles_s=handles_s, commercial=commercial)
    if kind == "folder":
        return _to_folder(selection, path, opener(roots), lists, progress)
    if kind == "zip":
        return _to_zip(selection, path, opener(roots), lists, overwrite)
    return _to_list(selection, path, kind, overwrite)


def allowed_roots(collection: str, folders: Iterable[str | Path] = ()) -> list[str]:
    """Real paths of the folders whose files may be read.

    Args:
        collection: Address of the collection.
        folders: Folders beside those that were indexed on this machine.
    """
    named = [Path(folder).expanduser().absolute() for folder in folders]
    return [os.path.realpath(folder) for folder in (*recorded_roots(collection), *named)]


def check_kinds(kind: str, lists: Sequence[str]) -> None:
    """Check the names of kinds.

    Args:
        kind: Kind of delivery.
        lists: Lists beside the copies.

    Raises:
        ConfigError: One is not known, or lists are requested beside a list.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    for one in lists:
        if one not in LISTS:
            raise ConfigError(f"list is {one!r}; expected one of {', '.join(LISTS)}")
    if lists and kind in LISTS:
        raise ConfigError(f"lists are written beside copies: kind folder or zip, got {kind}")


def _to_folder(
    selection: Selection, target: Path, open_taken: Opener, lists: Sequence[str], progress: Progress
) -> Delivery:
    """Copy into a hidden folder beside the target, which gets its name at the end."""
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise ConfigError(f"{target} exists and is not an empty folder; nothing was changed. Fix: name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    left: list[Left] = []
    with _temporary_folder(target) as folder:
        for number, one in enumerate(selection.taken):
            progress(number, len(selection.taken), one.name)
            try:
                with open_taken(one) as source, (folder / one.name).open("xb") as copy:
                    shutil.copyfileobj(source, copy, PIECE_BYTES)
                if not one.is_part and one.stamp is not None:
                    os.utime(folder / one.name, ns=(one.stamp.modified_ns, one.stamp.modified_ns))
            except SOUND_ERRORS as error:
                (folder / one.name).unlink(missing_ok=True)
                left.append(Left(one.clip_id, one.path, reason_of(error)))
        selection = selection.without(left)
        for name, data in extra_files(selection, safe_name(target.name), lists):
            (folder / name).write_bytes(data)
        names = sorted(path.name for path in folder.iterdir())
        if target.exists():
            target.rmdir()  # empty, and some systems do not replace it
        folder.rename(target)
    return Delivery(tuple(target / name for name in names), selection)


@contextlib.contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{safe_name(target.name)[:40]}.", suffix=".part", dir=target.parent))
    try:
        umask = os.umask(0)  # mkdtemp makes folders that only the owner can read
        os.umask(umask)
        folder.chmod(0o777 & ~umask)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # gone already where it was renamed


def _to_zip(selection: Selection, target: Path, open_taken: Opener, lists: Sequence[str], overwrite: bool) -> Delivery:
    target = _with_suffix(target, ".zip")
    left: list[Left] = []

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(zip_pieces(selection, open_taken, safe_name(target.stem), lists, left))

    _write_new(target, write, overwrite)
    return Delivery((target,), selection.without(left))


def _to_list(selection: Selection, target: Path, kind: str, overwrite: bool) -> Delivery:
    target = _with_suffix(target, LISTS[kind].suffix)
    data = LISTS[kind].write(selection, lambda one: one.path)
    files = [(target, data)]
    if kind != "credits":
        text = credits_text(selection).encode("utf-8", "backslashreplace")
        files.append((target.with_name(target.stem + ".credits.txt"), text))
    for path, _ in files:
        _check_new(path, overwrite)
    for path, content in files:
        _write_new(path, lambda place, content=content: place.write_bytes(content), overwrite)  # type: ignore[misc]
    return Delivery(tuple(path for path, _ in files), selection)


def _with_suffix(target: Path, suffix: str) -> Path:
    """The target with the suffix of its kind, unless it has one: not that of a sound, and not the 2 of ``v1.2``."""
    own = target.suffix.lower()
    return (
        target if re.fullmatch(r"\.[a-z]\w*", own) and own not in SUFFIXES else target.with_name(target.name + suffix)
    )


def _check_new(target: Path, overwrite: bool) -> None:
    if target.is_dir() or ((target.exists() or target.is_symlink()) and not overwrite):
        raise ConfigError(f"{target} exists; nothing was changed. Fix: choose another name, or add --overwrite")


def _write_new(target: Path, write: Callable[[Path], object], overwrite: bool) -> None:
    """Write a file in one step; where it may not be replaced, its name is reserved first."""
    _check_new(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    reserved = not overwrite
    if reserved:
        try:
            target.open("xb").close()
        except FileExistsError:
            _check_new(target, overwrite)
    try:
        with atomic_path(target) as temporary:
            write(temporary)
    except BaseException:
        if reserved:
            target.unlink(missing_ok=True)
        raise
