"""Fetch a named model's files: over https, or from a folder on machines without a network.

Every file must have the checksum of the registry, wherever it comes from, and is written atomically. An interrupted
download is continued.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from askaudio import __version__
from askaudio.core.errors import ModelError
from askaudio.core.files import atomic_path, sha256_file
from askaudio.core.types import Progress, silent
from askaudio.encoders.registry import Model, RemoteFile

TIMEOUT_S = 60.0
_PIECE = 1 << 18
OpenUrl = Callable[[str, Mapping[str, str]], Any]


def pull(model: Model, progress: Progress = silent, open_url: OpenUrl | None = None) -> list[Path]:
    """Download the files of a model that are missing or damaged.

    Args:
        model: Its entry in the registry.
        progress: Called with the megabytes fetched.
        open_url: ``(url, headers) -> response``; the default opens https addresses only.

    Returns:
        The files that were fetched; none if all were present.

    Raises:
        ModelError: No network, or a file with another checksum.
    """
    missing = _missing_or_damaged(model)
    total = round(sum(file.size_bytes for file in missing) / 1e6)
    before, fetched = 0, []
    for file in missing:

        def report(done: int, *, start: int = before, name: str = file.name) -> None:
            progress(round((start + done) / 1e6), total, name)

        _fetch(file, model.folder / file.name, report, open_url or open_https)
        fetched.append(model.folder / file.name)
        before += file.size_bytes
    return fetched


def pull_from(model: Model, source: Path | str, progress: Progress = silent) -> list[Path]:
    """Copy the missing or damaged files of a model from a folder.

    Args:
        model: Its entry in the registry.
        source: A file, or a folder that is searched with its subfolders; files are recognised by their checksums.
        progress: Called with the files found.

    Returns:
        The files that were copied.

    Raises:
        ModelError: A file was not found; nothing is copied then.
    """
    source, missing = Path(source).expanduser(), _missing_or_damaged(model)
    if not source.exists():
        raise ModelError(f"{source} does not exist; expected a folder or file that holds {_names(missing)}")
    given = [source] if source.is_file() else [path for path in sorted(source.rglob("*")) if path.is_file()]
    found: dict[RemoteFile, Path] = {}
    for number, file in enumerate(missing):
        progress(number, len(missing), file.name)
        for path in given:
            if path.stat().st_size == file.size_bytes and sha256_file(path) == file.sha256:
                found[file] = path
                break
    absent = [file for file in missing if file not in found]
    if absent:
        listed = "\n".join(
            f"  {file.name}: {file.size_bytes} bytes, sha256 {file.sha256}\n    {file.url}" for file in absent
        )
        raise ModelError(f"{source} lacks files of {model.name} (recognised by content, not by name):\n{listed}")
    for file, path in found.items():
        with atomic_path(model.folder / file.name) as temporary:
            shutil.copyfile(path, temporary)
    return [model.folder / file.name for file in found]


def _missing_or_damaged(model: Model) -> list[RemoteFile]:
    """Files of a model that are absent or have another checksum than the registry."""
    absent = model.missing()
    return [f for f in model.files if f in absent or sha256_file(model.folder / f.name) != f.sha256]


def open_https(url: str, headers: Mapping[str, str]) -> Any:
    """Open an https address; a redirect to anything else is refused.

    Raises:
        ModelError: The address is not https.
    """
    _check_https(url)
    opener = urllib.request.build_opener(_OnlyHttps)
    return opener.open(urllib.request.Request(url, headers=dict(headers)), timeout=TIMEOUT_S)


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_https(url: str) -> None:
    if not url.startswith("https://"):
        raise ModelError(f"{url} is not https; nothing was fetched")


def _fetch(file: RemoteFile, target: Path, report: Callable[[int], None], open_url: OpenUrl) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if part.is_file() and part.stat().st_size > file.size_bytes:
        part.unlink()
    have = part.stat().st_size if part.is_file() else 0
    if have < file.size_bytes:
        try:
            _continue(file, part, have, report, open_url)
        except (urllib.error.URLError, HTTPException, OSError) as error:
            raise ModelError(
                f"{file.url} cannot be fetched ({error}). Run the same command again to continue it, or "
                f"fetch it on another machine and give the folder with --from FOLDER"
            ) from error
    found = sha256_file(part)
    if found != file.sha256:
        part.unlink()
        raise ModelError(f"{file.url} returned a file with the checksum {found}, expected {file.sha256}; not kept")
    part.replace(target)


def _continue(file: RemoteFile, part: Path, have: int, report: Callable[[int], None], open_url: OpenUrl) -> None:
    headers = {"User-Agent": f"askaudio/{__version__}", **({"Range": f"bytes={have}-"} if have else {})}
    with open_url(file.url, headers) as response:
        if have and response.status != 206:  # the server sends the whole file again
            have = 0
        with part.open("ab" if have else "wb") as out:
            while have < file.size_bytes:
                piece = response.read(min(_PIECE, file.size_bytes - have))
                if not piece:
                    raise OSError(f"the connection ended after {have} of {file.size_bytes} bytes")
                out.write(piece)
                have += len(piece)
                report(have)


def _names(files: list[RemoteFile]) -> str:
    return ", ".join(file.name for file in files) or "its files"
