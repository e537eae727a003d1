"""The process that indexes folders for the server; started by ``server.index_jobs``.

It reads one job as a line of JSON from standard input, and writes lines of JSON to standard output: the progress, at
most five times a second, and at the end a report or an error. It stops when standard input ends: the server wants it to
stop, or is gone. What was indexed up to then is kept, and the next job continues.
"""

from __future__ import annotations

import _thread
import json
import sys
import threading
import time

from askaudio.core.errors import AskAudioError
from askaudio.core.types import Json
from askaudio.ingest.indexer import Indexer

MOST_BROKEN = 200  # files that are named in the report
_EVERY_S = 0.2
_last = 0.0


def main() -> None:
    """Do one job."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_input, daemon=True).start()
    try:
        _send({"report": _index(job)})
    except AskAudioError as error:
        _send({"error": str(error)})
    except KeyboardInterrupt:
        _send({"stopped": True})


def _index(job: Json) -> Json:
    with Indexer(job["folders"], job["collection"]) as indexer:
        report = indexer.update(workers=job["workers"], progress=_progress)
    broken = {path: row.reason for path, row in {**report.broken, **report.damaged}.items()}
    counts = ("added", "changed", "unchanged", "measured", "renamed", "removed", "kept", "audio_s", "took_s")
    return {
        **{name: getattr(report, name) for name in counts},
        "broken_count": len(broken),
        "broken": [{"path": path, "reason": broken[path]} for path in sorted(broken)[:MOST_BROKEN]],
        "needs_codec": len(report.needs_codec),
        "silent": [str(folder) for folder in report.silent],
    }


def _progress(done: int, total: int | None, note: str = "") -> None:
    global _last
    now = time.monotonic()
    if now - _last >= _EVERY_S or done == total:
        _last = now
        _send({"done": done, "total": total, "note": note})


def _send(line: Json) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _stop_with_input() -> None:
    sys.stdin.read()
    _thread.interrupt_main()


if __name__ == "__main__":
    main()
