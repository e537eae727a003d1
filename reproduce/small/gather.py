"""Download unlabelled sounds for the distillation from Debian's main archive, with their licences.

    python -m reproduce.small.gather OUT     # on Debian or a derivative with apt

Every package of gathering/packages.txt is downloaded by apt and read without being installed. Its sounds are decoded
(32 kHz mono; at most four pieces of 30 s of a long track) to OUT/audio/PACKAGE/*.flac, and each has a row in
OUT/manifest.jsonl once the package is complete. OUT/packages.jsonl has the outcome of each package, OUT/licences/ its
copyright file. An interrupted run continues where it stopped. gathering/rendered.py adds instruments and synthetic
speech. Cost on one core: see README.md; about 30 KB of disk for a second of sound.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .gathering import found, licences, rendered
from .gathering.apt import Apt
from .gathering.found import Store
from .gathering.licences import Refused

PACKAGES = Path(__file__).parent / "gathering" / "packages.txt"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of packages.txt: what to fetch, and how many of its files at most."""

    kind: str
    package: str
    most: int


@dataclass(slots=True)
class Outcome:
    """Outcome of one package; a line of packages.jsonl."""

    package: str
    kind: str
    version: str = ""
    status: str = "done"
    files: int = 0
    seconds: float = 0.0
    broken: int = 0
    licence: str = ""
    reason: str = ""


def read_packages(path: Path) -> list[Entry]:
    """Lines ``kind package [most]``; ``#`` starts a comment."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if words:
            entries.append(Entry(words[0], words[1], int(words[2]) if len(words) > 2 else 500))
    return entries


def gather_deb(deb: Path, kind: str, most: int, store: Store) -> Outcome:
    """Everything audible of one .deb into the store; its rows are written when all its sounds are.

    Raises:
        Refused: No copyright file, or one that names a licence that forbids commercial use or changes.
    """
    said = subprocess.run(
        ["dpkg-deb", "-f", str(deb), "Package", "Version"], capture_output=True, text=True, check=True
    )
    fields = dict(line.split(": ", 1) for line in said.stdout.splitlines())
    with tempfile.TemporaryDirectory(dir=deb.parent) as temporary:
        tar = Path(temporary) / "data.tar"
        with tar.open("wb") as file:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=file, check=True)
        text = found.copyright_text(tar)
        terms = licences.read(text)
        store.keep_copyright(fields["Package"], text)
        outcome = Outcome(fields["Package"], kind, fields["Version"], licence=terms.names)
        source = f"Debian package {fields['Package']} {fields['Version']}"
        return _fill(outcome, found.in_tar(tar, most), store, source, terms.author)


def _fill(
    outcome: Outcome, sounds: Iterable[tuple[str, bytes]], store: Store, source: str, author: str, text: str = ""
) -> Outcome:
    note = "" if text else " (package copyright file; not resolved per sound)"
    rows = []
    for name, data in sounds:
        new, fault = store.add(outcome.package, name, data)
        outcome.broken += bool(fault)
        if fault:
            print(f"  {outcome.package}: {name}: {fault}", file=sys.stderr)
        for row in new:
            rows.append(row | {"licence": outcome.licence + note, "source": source, "author": author})
    store.commit(rows)
    outcome.files = len(rows)
    outcome.seconds = round(sum(row["duration_s"] for row in rows), 1)
    return outcome


def _one(entry: Entry, store: Store, apt: Apt, cache: Path) -> Outcome:
    """Outcome of one entry; a refusal is an outcome too."""
    try:
        if entry.kind == "render":
            made = rendered.SOURCES[entry.package]
            outcome = Outcome(entry.package, entry.kind, licence=made.licence)
            return _fill(outcome, made.sounds(cache, apt), store, made.source, "askaudio", text="rendered")
        deb = apt.get(entry.package)
        try:
            return gather_deb(deb, entry.kind, entry.most, store)
        finally:
            deb.unlink()
    except Refused as refusal:
        return Outcome(entry.package, entry.kind, status="refused", reason=str(refusal))


def gather(entries: list[Entry], out: Path, max_files: int, max_hours: float) -> Iterator[Outcome]:
    """Process entries without an outcome until a limit is reached; yields each new outcome."""
    done = read_outcomes(out)
    store = Store(out, {o.package for o in done})
    left = [e for e in entries if e.package not in {o.package for o in done}]
    with tempfile.TemporaryDirectory(prefix="askaudio-gather-") as cache:
        apt = Apt([e.package for e in left if e.kind != "render"] + rendered.FONTS, Path(cache))
        for entry in left:
            if sum(o.files for o in done) >= max_files or sum(o.seconds for o in done) >= max_hours * 3600:
                return
            outcome = _one(entry, store, apt, Path(cache))
            with (out / "packages.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
            done.append(outcome)
            yield outcome


def read_outcomes(out: Path) -> list[Outcome]:
    """Outcomes in packages.jsonl; empty before the first run."""
    log = out / "packages.jsonl"
    return [Outcome(**json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def table(outcomes: list[Outcome]) -> str:
    """Markdown table: a row for each package with sounds, then the refused packages."""
    used = [o for o in outcomes if o.files]
    lines = ["| kind | package | version | files | hours | licences |", "|---|---|---|---:|---:|---|"]
    for o in sorted(used, key=lambda o: (o.kind, o.package)):
        lines.append(f"| {o.kind} | {o.package} | {o.version} | {o.files} | {o.seconds / 3600:.2f} | {o.licence} |")
    total = sum(o.seconds for o in used) / 3600
    lines.append(f"| **all** | {len(used)} sources | | **{sum(o.files for o in used)}** | **{total:.1f}** | |")
    refused = [f"- {o.package}: {o.reason}" for o in outcomes if o.status == "refused"]
    return "\n".join([*lines, "", "Not used:", "", *refused])


def main(argv: list[str] | None = None) -> int:
    """Gather, or print the table of the gathered packages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for audio/, manifest.jsonl, packages.jsonl, licences/")
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="the table of packages")
    parser.add_argument("--max-files", type=int, default=25_000)
    parser.add_argument("--max-hours", type=float, default=40.0)
    parser.add_argument("--table", action="store_true", help="print the table for the README and stop")
    args = parser.parse_args(argv)
    if args.table:
        print(table(read_outcomes(args.out)))
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    lock = (args.out / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two runs would write the same rows; freed when this one ends
    except BlockingIOError:
        print(f"another run is writing to {args.out}; wait for it, or stop it and run this again", file=sys.stderr)
        return 2
    entries, started = read_packages(args.packages), time.monotonic()
    for number, o in enumerate(gather(entries, args.out, args.max_files, args.max_hours), start=1):
        what = o.reason or f"{o.files} files, {o.seconds / 60:.1f} min, {o.broken} broken, {o.licence}"
        print(f"[{number}/{len(entries)} {time.monotonic() - started:.0f}s] {o.package}: {what}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
