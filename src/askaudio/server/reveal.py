"""Show a file in the file manager of this machine. No shell is involved: names of files may hold anything."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import sys
from pathlib import Path

from fastapi import Request

from askaudio.server.problems import Problem

_WAIT_S = 10.0


def reveal(path: Path) -> None:
    """Open the file manager at a file.

    Args:
        path: An existing file, absolute.

    Raises:
        Problem: 501 where this machine has no file manager that is known, or it does not start.
    """
    for command in commands(path):
        if shutil.which(command[0]) is None:
            continue
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=_WAIT_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 or command[0] == "explorer":  # which returns 1 when all went well
            return
    raise Problem(501, "No file manager could be opened on the machine of the server.")


def commands(path: Path, platform: str = sys.platform) -> list[list[str]]:
    """What to try on a system, the best first.

    Args:
        path: The file.
        platform: As in ``sys.platform``.
    """
    if platform == "darwin":
        return [["open", "-R", str(path)]]
    if platform == "win32":
        return [["explorer", "/select,", str(path)]]
    show = "org.freedesktop.FileManager1.ShowItems"
    return [
        ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.FileManager1",
         "/org/freedesktop/FileManager1", show, f"array:string:{path.as_uri().replace(',', '%2C')}", "string:"],
        ["xdg-open", str(path.parent)],
    ]  # fmt: skip


def is_local(request: Request) -> bool:
    """Whether the request came over loopback; a proxy in front may be anyone, so its headers refuse it."""
    if request.client is None or any(name in request.headers for name in ("forwarded", "x-forwarded-for", "via")):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
