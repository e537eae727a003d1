"""Download Debian packages with apt without installing them: one look-up for all, downloads in batches.

Each call of apt reads all package lists (about a second of CPU), so ten packages are fetched at once.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from .licences import Refused

MAX_DEB_BYTES = 700_000_000
_BATCH, _BATCH_BYTES = 10, 300_000_000


class Apt:
    """Downloads the given packages, in their order, into ``cache``."""

    def __init__(self, packages: list[str], cache: Path) -> None:
        self._cache = cache
        shown = subprocess.run(
            ["apt-cache", "show", "--no-all-versions", *packages], capture_output=True, text=True, check=False
        )
        stanzas = [_fields(s) for s in shown.stdout.split("\n\n") if s.strip()]
        self._known = {s["Package"]: s for s in stanzas if "Filename" in s}
        self._waiting = [p for p in packages if p in self._known and not self._fault(p)]

    def _fault(self, package: str) -> str:
        if package not in self._known:
            return "not in this Debian"
        name, size = self._known[package]["Filename"], int(self._known[package]["Size"])
        if not name.startswith("pool/main/") and "/main/" not in name:
            return f"not in main: {name}"
        return f"{size // 10**6} MB, more than {MAX_DEB_BYTES // 10**6} MB" if size > MAX_DEB_BYTES else ""

    def get(self, package: str) -> Path:
        """The package's .deb; the caller deletes it.

        Raises:
            Refused: Not in this Debian, not in main, too large, or the download failed.
        """
        if fault := self._fault(package):
            raise Refused(fault)
        if not self._found(package):
            batch = self._next_batch(package)
            command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *batch]
            got = subprocess.run(command, cwd=self._cache, capture_output=True, text=True, check=False)
            if not self._found(package):
                raise Refused(f"apt-get download failed: {got.stderr.strip()[-200:]}")
        return self._found(package)[0]

    def _found(self, package: str) -> list[Path]:
        return sorted(self._cache.glob(f"{package}_*.deb"))

    def _next_batch(self, package: str) -> list[str]:
        start = self._waiting.index(package) if package in self._waiting else 0
        batch, size = [package], int(self._known[package]["Size"])
        for name in self._waiting[start + 1 : start + _BATCH]:
            size += int(self._known[name]["Size"])
            if size > _BATCH_BYTES:
                break
            batch.append(name)
        return batch


def _fields(stanza: str) -> dict[str, str]:
    lines = [line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" ")]
    return {key: value for key, value in lines}
