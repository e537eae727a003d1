"""``askaudio collection duplicates``: groups of copies as a table, CSV or JSON."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError
from askaudio.core.names import shown

if TYPE_CHECKING:
    from askaudio.duplicates.find import Duplicates
    from askaudio.duplicates.sound import Sound
    from askaudio.index.store import VectorStore

_COLUMNS = ("group", "action", "path", "reasons", "agreement", "duration_s", "format", "sample_rate_hz", "bits",
            "channels", "size_bytes", "clip_id")  # fmt: skip


def show_duplicates(args: argparse.Namespace, store: VectorStore) -> int:
    """Find, print and keep the copies in a collection; 0 whether there are any or not."""
    from askaudio.duplicates.find import find_duplicates, save_duplicates

    if not 0.05 <= args.share <= 1:
        raise ConfigError(f"--share is {args.share}; expected 0.05 to 1")
    with progress_bar("duplicates", "sounds") as bar:
        found = find_duplicates(store, args.where, args.share, bar)
    if not args.where:
        save_duplicates(found, store)  # the page shows the last result
    if args.json:
        emit_json(found.to_json())
    elif args.csv:
        sys.stdout.write(as_csv(found))
    else:
        _table(found, args.top)
    return 0


def as_csv(found: Duplicates) -> str:
    """One row for each file of each group; the file to keep comes first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for number, group in enumerate(found.groups, start=1):
        rows = [{"action": "keep", **group.keep.to_json()}]
        rows += [{"action": "copy", **copy.to_json(), "reasons": "; ".join(copy.reasons)} for copy in group.copies]
        writer.writerows({"group": number, **row, "path": shown(row["path"])} for row in rows)
    return text.getvalue()


def _table(found: Duplicates, top: int) -> None:
    for group in found.groups[:top]:
        say(f"keep  {_facts(group.keep)}  {shown(group.keep.path)}")
        for copy in group.copies:
            say(f"      {_facts(copy.sound)}  {shown(copy.sound.path)}")
            say(f"      {'':33}  {', '.join(copy.reasons)}")
        say()
    if len(found.groups) > top:
        say(f"... and {count_of(len(found.groups) - top, 'group')} more; --top, --csv or --json show them")
    size = sum(copy.sound.size_bytes for group in found.groups for copy in group.copies)
    copies = "1 copy" if found.n_copies == 1 else f"{found.n_copies} copies"
    say(f"{count_of(found.files, 'file')}, {copies} in {count_of(len(found.groups), 'group')}, {size / 1e6:.1f} MB")
    if found.unread:
        say(f"{count_of(len(found.unread), 'file')} could not be decoded; only their bytes were compared")
    say("Nothing was changed. Listen before you delete.")


def _facts(sound: Sound) -> str:
    """Length, rate, bits and channels in 33 characters."""
    bits = f"{sound.bits:2d} bits" if sound.bits else "  lossy"
    return f"{sound.duration_s:8.2f} s {sound.sample_rate_hz / 1000:5.1f} kHz {bits} {sound.channels} ch"
