"""Clients that send or read slowly, over real sockets: closed within the limits, and never in the way of others."""

import contextlib
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable

import pytest

from askaudio.index.bookkeeping import Stamp
from askaudio.search.hits import ClipInfo
from live import live_server

HEAD = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n"


def connect(port: int, sent: bytes = b"", receive_buffer: int = 0) -> socket.socket:
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    connection.sendall(sent)
    return connection


def is_closed(connection: socket.socket, drip: bytes = b"") -> bool:
    """Send a byte where the kind of client does so, and look whether the server has closed."""
    try:
        if drip:
            connection.sendall(drip)
        connection.setblocking(False)
        return connection.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def closed_within(connection: socket.socket, limit_s: float, drip: bytes = b"", reads: bool = True) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if reads and is_closed(connection, drip):
            return True
        if not reads and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # reset by the server
            return True
    return False


def read_answer(connection: socket.socket) -> bytes:
    data = b""
    while b"}" not in data:
        data += connection.recv(4096)
    return data


def status(address: str) -> int:
    return urllib.request.urlopen(address + "v1/health", timeout=20).status


@pytest.fixture
def port_of(engine):
    """Serve with some settings; the function gives the port and closes everything at the end."""
    with contextlib.ExitStack() as stack:

        def serve(**settings: object) -> tuple[int, str]:
            address = stack.enter_context(live_server(engine, **settings))
            return int(address.split(":")[2].strip("/")), address

        yield serve


LIMITS = {"head_timeout_s": 0.5, "body_timeout_s": 0.5, "write_timeout_s": 0.5}


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"G", b"E"),
        (HEAD + b"X: ", b"a"),
        (b"\r\n", b"\r\n"),
        (HEAD + b"Content-Length: 200000\r\n\r\n", b"a"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (HEAD.replace(b"GET /v1/health", b"POST /v1/search") + b"Content-Length: 200000\r\n\r\n", b"{"),
        (HEAD.replace(b"/v1/health", b"/nothing") + b"Content-Length: 200000\r\n\r\n", b"a"),
        (HEAD.replace(b"localhost", b"evil") + b"Content-Length: 200000\r\n\r\n", b"a"),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", b""),
        (HEAD + b"\r\n", b""),
        (HEAD + b"\r\n" + HEAD, b"X"),
    ],
    ids=[
        "silent",
        "line",
        "header",
        "blank",
        "body-after",
        "chunks-after",
        "body",
        "404",
        "421",
        "100",
        "kept",
        "next",
    ],
)
def test_slow_senders_are_closed(port_of, first, drip):
    port, address = port_of(**LIMITS)
    with connect(port, first) as connection:
        assert closed_within(connection, 10, drip)
    assert status(address) == 200


def test_a_body_that_arrives_in_time_after_the_answer_leaves_the_connection_open(port_of):
    port, _ = port_of(head_timeout_s=5, body_timeout_s=5)
    with connect(port, HEAD + b"Content-Length: 5\r\n\r\n12") as connection:
        assert b"200" in read_answer(connection)
        connection.sendall(b"345" + HEAD + b"\r\n")
        assert b"200" in read_answer(connection)


@pytest.fixture
def large(engine, monkeypatch, tmp_path):
    """Settings that serve a sound of 32 MB: more than all buffers on the way hold. Every clip_id leads to it."""
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(2**25)
    stamp = Stamp(2**25, path.stat().st_mtime_ns)
    monkeypatch.setattr(engine, "clip", lambda _: ClipInfo("id", str(path), 1, {}, stamp))
    return {"allowed_folders": (str(tmp_path.resolve()),)}


LARGE = HEAD.replace(b"/v1/health", b"/v1/clips/id/audio")


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
def test_a_client_that_never_reads_is_closed(port_of, large, more):
    port, address = port_of(**LIMITS, **large)
    with connect(port, LARGE + more + b"\r\n", 4096) as connection:
        assert closed_within(connection, 10, reads=False)
    assert status(address) == 200


def test_a_client_that_reads_slowly_gets_everything(port_of, large):
    """It takes longer than each limit, but never pauses for as long."""
    port, _ = port_of(head_timeout_s=0.6, body_timeout_s=0.6, write_timeout_s=0.6, **large)
    with connect(port, LARGE + b"Connection: close\r\n\r\n") as connection:
        received, begun = 0, time.monotonic()
        while piece := connection.recv(1 << 20):
            received += len(piece)
            time.sleep(0.04)
        assert received > 2**25 and time.monotonic() - begun > 0.6


def hold(port: int, n: int, first: bytes, stop: threading.Event, drip: bytes = b"") -> Callable[[], None]:
    """Keep ``n`` connections open that send a byte now and then, opening closed ones again."""
    held = [connect(port, first, 4096) for _ in range(n)]

    def run() -> None:
        while not stop.wait(0.2):
            for k, connection in enumerate(held):
                try:
                    connection.sendall(drip)
                except OSError:
                    connection.close()
                    held[k] = connect(port, first, 4096)

    thread = threading.Thread(target=run)
    thread.start()
    return thread.join


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (HEAD + b"X: ", b"a"),
        (HEAD + b"Content-Length: 200000\r\n\r\n", b"a"),
        (HEAD + b"\r\n", b""),
        (LARGE + b"\r\n", b""),
    ],
    ids=["head", "body", "idle", "reader"],
)
def test_slow_clients_on_all_connections_lock_nobody_out(port_of, large, first, drip):
    """The limits are far away: only the choice of the slowest makes room."""
    port, address = port_of(max_connections=6, rate_per_s=0, **large)
    stop = threading.Event()
    join = hold(port, 8, first, stop, drip)
    try:
        assert [status(address) for _ in range(15)] == [200] * 15
    finally:
        stop.set()
        join()


def test_room_is_made_by_the_slowest_and_not_by_a_client_at_work(port_of, monkeypatch, engine):
    port, address = port_of(max_connections=3, rate_per_s=0)
    begun, go_on, hits = threading.Event(), threading.Event(), engine.search("hum")

    def slow_search(*_: object, **__: object) -> list:
        begun.set()
        go_on.wait(20)
        return hits

    monkeypatch.setattr(engine, "search", slow_search)
    search = HEAD.replace(b"/v1/health", b"/v1/search?q=hum") + b"Connection: close\r\n\r\n"
    with connect(port, search) as working, connect(port, HEAD + b"\r\n") as idle:
        assert begun.wait(10) and b"200" in read_answer(idle)
        time.sleep(2.2)  # older than the grace of a new connection
        with connect(port, HEAD + b"\r\n") as second:
            assert b"200" in read_answer(second) and status(address) == 200
            assert closed_within(idle, 5) and not is_closed(second)
        go_on.set()
        answer = b"".join(iter(lambda: working.recv(1 << 16), b""))
        assert len(json.loads(answer.split(b"\r\n\r\n", 1)[1])["hits"]) == len(hits)


@pytest.mark.parametrize(
    "line", [b"GET http://localhost/v1/health HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET v1/health HTTP/1.1"]
)
def test_targets_that_are_no_path_are_refused(port_of, line):
    port, _ = port_of()
    with connect(port, line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n") as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400")


def test_two_host_headers_are_refused(port_of):
    port, _ = port_of()
    with connect(port, HEAD + b"Host: localhost\r\n\r\n") as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400")
