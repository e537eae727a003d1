"""One HTTP/1.1 connection with time limits, and the choice of the connection that makes room for a new one.

A client that sends or reads slowly keeps a connection open at no cost to itself. Three clocks close such connections.
They look at the bytes that were received and sent, not only at whether the app waits for something:

- head: from the end of the last answer (or the beginning) until the next request's head is complete;
- body: from the end of the head until the body is complete, even after the answer was sent;
- answer: since the client last took a part of what is to be sent.

Clients can stay below these limits and still use up all connections. When all are in use, a new client therefore takes
the place of the one that moves the fewest bytes. A connection for which the app works is never closed for that.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from askaudio.server.settings import ServerSettings

_LOOK_EVERY_S = 1.0
_GRACE_S = 2.0  # a connection this young has had no time to show its speed
_SMOOTHING = 0.3  # weight of the last second in the speed, so that an early burst counts for a few seconds only
_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class _CountingTransport:
    """A transport that counts what is written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._written = transport, 0

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)

    def sent_bytes(self) -> int:
        """Bytes that the system has taken: what the client has read, and at most a buffer more."""
        return self._written - self._transport.get_write_buffer_size()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class WatchedProtocol(H11Protocol):
    """HTTP/1.1 with the limits of the settings; see the head of the file."""

    def __init__(self, *args: Any, settings: ServerSettings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._received = 0
        self._phase: tuple[object, bool] = (None, True)  # the request, and whether the next one is awaited
        self._aborted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for this connection and start its clocks."""
        self._make_room()
        now = time.monotonic()
        self._phase_since = self._sent_since = self._looked = now
        self._moved = self._sent = 0
        self.speed = 0.0  # bytes a second, both ways
        self._counting = _CountingTransport(transport)
        super().connection_made(self._counting)  # type: ignore[arg-type]
        self._timer = self.loop.call_later(self._period_s(), self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count, and notice when a new request begins."""
        self._received += len(data)
        super().data_received(data)
        self._note_phase(time.monotonic())

    def on_response_complete(self) -> None:
        """The answer is complete: the wait for the next request begins, unless the body of this one is not complete."""
        super().on_response_complete()
        self._note_phase(time.monotonic())

    def _note_phase(self, now: float) -> None:
        phase = (self.cycle, self.conn.their_state is h11.IDLE)
        if phase != self._phase:
            self._phase, self._phase_since = phase, now

    def _period_s(self) -> float:
        limits = self._settings
        return min(_LOOK_EVERY_S, limits.head_timeout_s, limits.body_timeout_s, limits.write_timeout_s)

    def _look(self) -> None:
        now = time.monotonic()
        self._measure(now)
        self._note_phase(now)
        limits, waited_s = self._settings, now - self._phase_since
        if now - self._sent_since > limits.write_timeout_s:
            self.abort()
        elif self._to_send():  # an answer is on its way: no other clock runs
            if self.conn.their_state is h11.IDLE:
                self._phase_since = now
        elif self.conn.their_state is h11.IDLE and waited_s > limits.head_timeout_s:
            self.transport.close()
        elif self._body_left() and self.cycle.response_complete and waited_s > limits.body_timeout_s:
            self.transport.close()  # before the answer, ``guard`` ends the request with 408
        if not self._aborted:
            self._timer = self.loop.call_later(self._period_s(), self._look)

    def _measure(self, now: float) -> None:
        sent = self._counting.sent_bytes()
        if sent != self._sent or not self._to_send():
            self._sent, self._sent_since = sent, now
        moved = self._received + sent
        self.speed += _SMOOTHING * ((moved - self._moved) / max(now - self._looked, 1e-3) - self.speed)
        self._moved, self._looked = moved, now

    def _to_send(self) -> bool:
        return self.transport.get_write_buffer_size() > 0

    def _body_left(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def waits_for_client(self) -> bool:
        """Whether the client has to send or read something next."""
        return self.conn.their_state is h11.IDLE or self._body_left() or self._to_send()

    def abort(self) -> None:
        """Close at once; what was not sent is dropped, in the buffers of the system too."""
        self._aborted = True
        if self._to_send():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _make_room(self) -> None:
        """Close the slowest connections if all are in use; among equals those that wait for longest.

        While fewer wait than are too many, the app is busy with the rest: they stay, up to twice the limit.
        """
        others = [c for c in self.connections if isinstance(c, WatchedProtocol) and not c._aborted]
        too_many = len(others) + 1 - self._settings.max_connections
        if too_many > 0:
            now = time.monotonic()
            waiting = [c for c in others if c.waits_for_client()]
            waiting.sort(key=lambda c: (now - c._phase_since < _GRACE_S, c.speed, c._phase_since))
            for connection in waiting[:too_many]:
                connection.abort()
