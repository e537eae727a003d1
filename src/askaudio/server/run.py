"""The app behind a socket: uvicorn with the limits of the settings."""

from __future__ import annotations

import contextlib
import functools
import socket
import sys

import uvicorn
from fastapi import FastAPI

from askaudio.server.connections import WatchedProtocol
from askaudio.server.settings import ServerSettings

_SWITCH_S = 0.001
# What the system keeps of an answer that the client has not read. Left to itself it keeps up to 4 MB a connection, and
# takes nothing from the app for a minute when the client is slow, which no time limit can tell from a stall.
_SEND_BUFFER_BYTES = 256 * 1024


def make_server(app: FastAPI, settings: ServerSettings) -> uvicorn.Server:
    """A server for the app; call ``run(sockets=[...])`` with a bound socket.

    It writes no access log (what people search for is theirs) and takes no client address from proxy headers (else any
    local program could pretend to be another one).
    """
    # searches run in threads: without this, the loop waits 5 ms for each of them before it may answer anyone else
    sys.setswitchinterval(_SWITCH_S)
    _allow_files(4 * settings.max_connections + 256)  # a connection, and the file that is sent over it
    config = uvicorn.Config(
        app,
        http=functools.partial(WatchedProtocol, settings=settings),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        log_level="error",  # else every request that is not HTTP is logged, and many of them fill the disk
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=2 * settings.max_connections,  # then 503; ``connections`` makes room long before
        timeout_keep_alive=max(1, int(settings.head_timeout_s)),
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
        h11_max_incomplete_event_size=32 * 1024,
    )
    return uvicorn.Server(config)


def _allow_files(count: int) -> None:
    """Raise this process's limit of open files, as far as the system lets it; the usual 1,024 are too few."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; from here on clients wait instead of being refused.

    Raises:
        OSError: The address is taken or is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer waits 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)  # accepted sockets inherit it
        listener.bind((host.strip("[]"), port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener
