"""The app behind a real socket: connections that never finish are closed, others go on."""

import http.client
import socket
import time
import urllib.request

from askaudio.server.run import bind
from live import live_server


def closed_after(connection: socket.socket) -> float:
    started = time.monotonic()
    while connection.recv(4096):
        pass
    return time.monotonic() - started


def test_a_connection_that_says_nothing_or_drips_is_closed(engine):
    with live_server(engine, head_timeout_s=0.5) as address:
        place = ("127.0.0.1", int(address.split(":")[2].strip("/")))
        with socket.create_connection(place, 20) as silent, socket.create_connection(place, 20) as dripping:
            dripping.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX-Drip: ")
            assert closed_after(silent) < 10 and closed_after(dripping) < 10
        assert urllib.request.urlopen(address + "v1/health").status == 200


def test_a_kept_connection_answers_again(engine):
    with live_server(engine, head_timeout_s=5.0) as address:
        connection = http.client.HTTPConnection("127.0.0.1", int(address.split(":")[2].strip("/")), timeout=20)
        connection.connect()
        first = connection.sock.getsockname()
        for _ in range(3):
            connection.request("GET", "/v1/health")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
            assert connection.sock.getsockname() == first  # the same connection
        connection.close()


def test_a_connection_in_use_outlives_the_wait_for_a_request_head(engine):
    """Each pause is shorter than the limit; all together are longer."""
    with live_server(engine, head_timeout_s=1.0) as address:
        connection = http.client.HTTPConnection("127.0.0.1", int(address.split(":")[2].strip("/")), timeout=20)
        connection.connect()
        first = connection.sock.getsockname()
        for _ in range(6):
            connection.request("GET", "/v1/health")
            assert connection.getresponse().read() == b'{"status":"ok"}'
            assert connection.sock.getsockname() == first
            time.sleep(0.4)
        connection.close()


def test_answers_are_sent_at_once():
    """asyncio looks at the protocol of the listening socket to decide; without it answers waited 40 ms each."""
    with bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_what_is_no_http_is_refused(engine):
    with live_server(engine) as address:
        place = ("127.0.0.1", int(address.split(":")[2].strip("/")))
        with socket.create_connection(place, 20) as connection:
            connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 400") and b"Traceback" not in answer
