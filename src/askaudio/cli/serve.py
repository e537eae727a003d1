"""Open the search page and the API for a collection.

Examples:
  askaudio serve --open                       the default collection, in the browser
  askaudio serve --collection ~/fx --port 9000
  askaudio serve ~/fx ~/music                 several collections in one page
  askaudio serve --mcp                        with the tools of the Model Context Protocol at /v1/mcp
  askaudio serve --token-file token.txt       require the secret in token.txt
  askaudio serve --allow /srv/sounds          a collection that was indexed elsewhere, with its sounds in /srv/sounds
  askaudio serve --host 0.0.0.0 --token-file token.txt --allow-host studio-nas
                                              for the whole network, under that name

The page is at /, the API at /v1, its description at /v1/openapi.json. Stop with Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from askaudio.cli.output import emit_json, say
from askaudio.core.errors import ConfigError
from askaudio.core.names import shown

HELP = "open the search page and the API"


class SafeFormatter(logging.Formatter):
    """Escapes line breaks and terminal control sequences, which names of files can bring into messages."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line."""
        record.message = shown(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """The traceback; its line breaks stay."""
        return "\n".join(map(shown, super().formatException(ei).split("\n")))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio serve``."""
    # fmt: off
    add = parser.add_argument
    add("collections", nargs="*", metavar="COLLECTION", help="folders or URLs; the page lets people choose one")
    add("--collection", metavar="C",
        help="folder or URL of the collection (default: ASKAUDIO_COLLECTION, else ~/.askaudio/collections/default)")
    add("--host", default="127.0.0.1", help="address to bind to (default: %(default)s, this machine only)")
    add("--port", type=int, default=8765, help="TCP port, 0 for any free one (default: %(default)s)")
    add("--token-file", metavar="F", help="file with the secret to require (else ASKAUDIO_TOKEN, else none)")
    add("--allow-host", metavar="NAME", action="append", default=[], help="host name to answer to; repeatable")
    add("--allow", metavar="FOLDER", action="append", default=[],
        help="serve the sounds of this folder, too, beside those that were indexed on this machine; repeatable")
    add("--rate-limit", type=float, default=200.0, metavar="N",
        help="requests a second that one address may make, 0 for no limit (default: %(default)g)")
    add("--max-upload-mb", type=float, default=50.0, metavar="MB",
        help="largest sound that may be sent as a query (default: %(default)g)")
    add("--reveal", action="store_true", help="let the page show files in the file manager of this machine")
    add("--mcp", action="store_true", help="offer the search as MCP tools at /v1/mcp, too (extra mcp)")
    add("--open", action="store_true", help="open the page in the browser")
    # fmt: on


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; 0 after a graceful stop."""
    from askaudio.server.settings import ServerSettings, read_token

    settings = ServerSettings(
        host=args.host,
        port=args.port,
        token=read_token(args.token_file),
        allowed_hosts=tuple(args.allow_host),
        allowed_folders=tuple(_existing(folder) for folder in args.allow),
        rate_per_s=args.rate_limit,
        max_upload_bytes=int(args.max_upload_mb * 2**20),
        reveal=args.reveal,
        mcp=args.mcp,
    )
    listener = _bind(settings.host, settings.port)
    with listener, contextlib.ExitStack() as stack:
        engines = _open(args, stack)
        _announce(args, settings, listener, [engine.info() for engine in engines.values()])
        _serve(engines, settings, listener)
    return 0


def _open(args: argparse.Namespace, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Engines by the names of their collections: the last part of each address, with a number where it is taken."""
    from askaudio.engines.open import default_collection
    from askaudio.search.engine import SearchEngine

    open_engine = SearchEngine.open if args.collection or args.collections else _open_default
    chosen = [*([args.collection] if args.collection else []), *args.collections] or [default_collection()]
    engines: dict[str, Any] = {}
    for address in chosen:
        name = base = str(address).rstrip("/\\").replace("\\", "/").rpartition("/")[2] or "collection"
        number = 1
        while name in engines:
            number += 1
            name = f"{base} {number}"
        engines[name] = stack.enter_context(contextlib.closing(open_engine(address)))
    return engines


def _open_default(address: str) -> Any:
    """The engine of the default collection; an empty one is made where there is none, to be filled from the page."""
    from askaudio.core.errors import CollectionNotFoundError
    from askaudio.encoders.load import DEFAULT, load_encoder
    from askaudio.engines.open import open_store
    from askaudio.index.entries import Identity
    from askaudio.search.engine import SearchEngine

    try:
        return SearchEngine.open(address)
    except CollectionNotFoundError:
        encoder = load_encoder(DEFAULT)
        with open_store(address, "w", Identity.of(encoder, DEFAULT)) as store:
            store.save()
        return SearchEngine.open(address, encoder)


def _existing(folder: str) -> str:
    """The absolute path of a folder that is allowed; one that does not exist is most likely misspelt."""
    path = Path(folder).expanduser().absolute()
    if not path.exists():
        raise ConfigError(f"--allow {shown(folder)}: {shown(path)} does not exist. Fix: name a folder that exists")
    return str(path)


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket, made before the model is loaded so that a port in use is reported at once."""
    from askaudio.server.run import bind

    try:
        return bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is in use by another program. Fix: askaudio serve --port {port + 1}"
            ) from error
        raise ConfigError(f"cannot bind to {host}, port {port}: {error.strerror or error}") from error


def _announce(args: argparse.Namespace, settings: Any, listener: socket.socket, infos: list[dict[str, Any]]) -> None:
    from askaudio.ingest.roots import recorded_roots

    port = listener.getsockname()[1]
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    url = f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
    if args.json:
        clips, model = sum(info["clips"] for info in infos), infos[0]["model"]
        emit_json({"url": url, "clips": clips, "model": model, "token": bool(settings.token)})
    else:
        say(f"{sum(info['clips'] for info in infos):,} sounds at {url}   (Ctrl-C stops)")
    sys.stdout.flush()
    if not any(info["clips"] for info in infos):
        sys.stderr.write(
            "askaudio serve: nothing is indexed yet. Choose folders on the page, or: askaudio index FOLDER\n"
        )
    elif not (settings.allowed_folders or any(recorded_roots(info["url"]) for info in infos)):
        sys.stderr.write(
            "askaudio serve: no folder was indexed into this collection on this machine, so its sounds can be searched "
            "but not played. Fix: askaudio index FOLDER, or askaudio serve --allow FOLDER\n"
        )
    if not settings.is_loopback and settings.token is None:
        sys.stderr.write("askaudio serve: no token is set, so everyone on this network can search and listen; "
                         "see --token-file\n")  # fmt: skip
    if args.open:
        import threading
        import webbrowser

        threading.Timer(0.7, webbrowser.open, [url]).start()


def _serve(engines: dict[str, Any], settings: Any, listener: socket.socket) -> None:
    from askaudio.server.app import create_app
    from askaudio.server.run import make_server

    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    server = make_server(create_app(engines, settings), settings)
    # The server catches both signals, finishes what runs, and raises them again at its end: then it is time to return.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
