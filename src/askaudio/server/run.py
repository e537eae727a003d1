"""The app behind a socket: uvicorn with the limits of the settings, and a timeout for idle connections."""

from __future__ import annotations

import asyncio
import functools
import socket
import sys
import time
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from askaudio.server.settings import ServerSettings

_LOOK_EVERY_S = 1.0
_SWITCH_S = 0.001


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request head does not arrive in time.

    Without it, a few hundred connections that send a byte now and then would keep everyone else out.
    """

    def __init__(self, *args: Any, head_timeout_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timeout_s = head_timeout_s
        self._waiting_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of a new connection."""
        super().connection_made(transport)
        self._watch()

    def on_response_complete(self) -> None:
        """A response is complete: the wait for the next request starts again at zero."""
        self._waiting_since = None
        super().on_response_complete()

    def _watch(self) -> None:
        if self.transport.is_closing():
            return
        now = time.monotonic()
        if self.conn.their_state is not h11.IDLE:  # a request is being read or answered
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        elif now - self._waiting_since > self._head_timeout_s:
            self.transport.close()
            return
        self.loop.call_later(min(_LOOK_EVERY_S, self._head_timeout_s), self._watch)


def make_server(app: FastAPI, settings: ServerSettings) -> uvicorn.Server:
    """A server for the app; call ``run(sockets=[...])`` with a bound socket.

    It writes no access log (what people search for is theirs) and takes no client address from proxy headers (else any
    local program could pretend to be another one).
    """
    # searches run in threads: without this, the loop waits 5 ms for each of them before it may answer anyone else
    sys.setswitchinterval(_SWITCH_S)
    config = uvicorn.Config(
        app,
        http=functools.partial(PatientProtocol, head_timeout_s=settings.head_timeout_s),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        log_level="error",  # else every request that is not HTTP is logged, and many of them fill the disk
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
        h11_max_incomplete_event_size=32 * 1024,
    )
    return uvicorn.Server(config)


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
        listener.bind((host.strip("[]"), port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener
