"""Output of all commands: progress on standard error, results on standard output, JSON with --json.

Names of files may hold anything. What is printed here is one that a terminal shows as text: control characters are
escaped (``names.shown``), and so are characters that its encoding lacks (``prepare_streams``).
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from askaudio.core.names import shown

if TYPE_CHECKING:  # it imports numpy, and help must be instant
    from askaudio.core.types import Progress

_LINE_EVERY_S = 10.0


def emit_json(value: Any) -> None:
    """Print one JSON value and a line end to standard output.

    What the output cannot encode (another encoding than UTF-8, bytes of names that are not UTF-8) is written as the
    escapes of JSON.
    """
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("_", "-")
    text = json.dumps(value, ensure_ascii=encoding not in ("utf-8", "utf8"), default=str)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def prepare_streams() -> None:
    """Make both streams print escapes for characters that their encoding lacks, where Python would raise."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def safe(text: str) -> str:
    """A text for the terminal: line ends and tabs are kept, every other control character is escaped."""
    return "".join(part if part in ("\n", "\t") else shown(part) for part in re.split("([\n\t])", text))


def warn(text: str) -> None:
    """Print one line for people to standard error."""
    sys.stderr.write(safe(text) + "\n")


def count_of(n: int, what: str) -> str:
    """A number with its word: 1 file, 2 files."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def say(text: str = "") -> None:
    """Print one line for people to standard output."""
    sys.stdout.write(safe(text) + "\n")


@contextlib.contextmanager
def progress_bar(title: str, unit: str = "") -> Iterator[Progress]:
    """A bar with count, rate and time left on standard error; yields the callback that moves it.

    Where standard error is no terminal (a log, a pipe), a plain line now and then takes its place.
    """
    if not sys.stderr.isatty():
        yield _lines(title, unit)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.table import Column

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn(
            unit + " {task.fields[rate]} {task.fields[note]}",
            markup=False,  # a note may be the name of a file, with brackets
            table_column=Column(no_wrap=True, overflow="ellipsis"),
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task(title, total=None, note="", rate="")

        def report(done: int, total: int | None, note: str = "") -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=done, total=total, note=shown(note), rate=rate)

        yield report


def _lines(title: str, unit: str) -> Progress:
    """A callback that writes how far the work is, at most once in ``_LINE_EVERY_S``; short work stays silent."""
    started = last = time.monotonic()
    first = before = 0

    def report(done: int, total: int | None, note: str = "") -> None:
        nonlocal first, before, last, started
        now = time.monotonic()
        if done < before:  # the next stage of the work has begun: its rate is its own
            started, first = now, done
        before = done
        if now - last < _LINE_EVERY_S or not done:
            return
        last = now
        of = "" if total is None else f" of {total}"
        rate = (done - first) / (now - started) if now > started else 0.0
        left = "" if total is None or not rate else f" {(total - done) / rate:.0f} s left"
        speed = f"{rate:.1f}/s{',' if left else ''}" if rate else ""
        line = f"{title} {done}{of} {unit} {speed}{left} {note}"
        warn(" ".join(line.split()))
        sys.stderr.flush()

    return report


def write_table(path: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as a CSV file with a header, in one atomic step."""
    import csv

    from askaudio.core.files import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
