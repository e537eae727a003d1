"""Five kinds of slow clients, 511 of each, against a real server: is anybody locked out, and is each closed in time?

    python benchmarks/server/slow_clients.py                    # no data needed; about 5 x 45 s
    python benchmarks/server/slow_clients.py --clients 100 --seconds 40

Kinds: a head that never ends, a body that never ends (before and after the answer), answers that nobody reads (sounds
and JSON), connections that are kept idle, and half-open ones, whose client is gone without a word. All come from one
address and show no token; the server asks for one. Another client asks for the health four times a second and
must get 200 within ten seconds; every other answer counts as a lock-out. Prints one JSON value; exit code 1 when
there was a lock-out or a connection was open after its limit.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from serving import make_collection, resident_mb, served

TOKEN = "benchmark-token-of-the-server"
ANSWER_S = 10.0
# what docs/api.md names: head; body, from the end of the head; answer, since the client last took a part of it,
# which may have waited in line for 10 s before
LIMITS_S = {"head": 15, "body": 30, "reader": 40, "idle": 15, "half-open": 15}
SLACK_S = 5.0  # the server looks once a second, and buffers take a part of the first answers


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def first_bytes(kind: str, clip_id: str) -> list[bytes]:
    """What clients of a kind send first; they take turns."""
    token = f"Authorization: Bearer {TOKEN}"
    return {
        "head": [b"", b"G", head("GET", "/v1/health")[:-2] + b"X-Slow: "],
        "body": [
            head("GET", "/v1/health", "Content-Length: 200000"),
            head("POST", "/v1/search", "Content-Length: 200000"),
            head("POST", "/v1/search", "Content-Length: 200000", token),
            head(
                "POST",
                "/v1/search/audio",
                "Transfer-Encoding: chunked",
                "Content-Type: multipart/form-data; boundary=b",
            ),
        ],
        "reader": [
            *[head("GET", f"/v1/clips/{clip_id}/audio", token)] * 3,
            head("GET", "/v1/openapi.json", token) * 40,  # JSON, more than the buffers of the system hold
        ],
        "idle": [head("GET", "/v1/health"), head("GET", "/")],
        "half-open": [b"", head("GET", "/v1/health"), head("GET", "/v1/health")[:-2]],
    }[kind]


ESTABLISHED = 1  # first byte of TCP_INFO (Linux)
DRIPS = {"head": b"a", "body": b"1"}


def connect(port: int, first: bytes, kind: str) -> socket.socket:
    connection = socket.socket()
    if kind == "reader":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    with contextlib.suppress(OSError):
        connection.sendall(first)
    connection.setblocking(False)
    return connection


def is_open(connection: socket.socket, kind: str) -> bool:
    """Act as the kind of client does, and look whether the server has closed."""
    try:
        if kind in DRIPS:
            connection.send(DRIPS[kind])
        if kind == "reader":  # it never reads, so only the system knows
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
        return connection.recv(1 << 16) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def health(port: int) -> int | str:
    """Status of an ordinary client's request, or what happened instead."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/v1/health", headers={"Connection": "close"})
        return connection.getresponse().status
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()


def attack(port: int, kind: str, clip_id: str, clients: int, seconds: float, memory: Callable[[], float]) -> dict:
    """Hold connections of one kind; each is replaced at once when the server closes it."""
    firsts = first_bytes(kind, clip_id)
    opened = [(connect(port, firsts[k % len(firsts)], kind), time.monotonic()) for k in range(clients)]
    begun, answers, took, ages, most_mb = time.monotonic(), [], [], [], 0.0
    while time.monotonic() - begun < seconds:
        started = time.monotonic()
        answers.append(health(port))
        took.append(time.monotonic() - started)
        most_mb = max(most_mb, memory())
        for k, (connection, since) in enumerate(opened):
            if not is_open(connection, kind):
                ages.append(time.monotonic() - since)
                connection.close()
                opened[k] = connect(port, firsts[k % len(firsts)], kind), time.monotonic()
        time.sleep(max(0.0, 0.25 - (time.monotonic() - started)))
    oldest = max([*ages, *(time.monotonic() - since for _, since in opened)])
    for connection, _ in opened:
        connection.close()
    return {
        "health_asked": len(answers),
        "lock_outs": sum(answer != 200 for answer in answers),
        "slowest_health_s": round(max(took), 3),
        "closed": len(ages),
        "oldest_connection_s": round(oldest, 1),
        "limit_s": LIMITS_S[kind],
        "most_resident_mb": round(most_mb, 1),
        "ok": all(answer == 200 for answer in answers) and oldest < LIMITS_S[kind] + SLACK_S,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=511)
    parser.add_argument("--seconds", type=float, default=45.0, help="time for each kind")
    parser.add_argument("--kinds", nargs="+", choices=sorted(LIMITS_S), default=list(LIMITS_S))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        collection = make_collection(Path(folder), 300, long_s=300)
        with served(collection, token=TOKEN, rate_per_s=0) as (port, process):
            found = {
                kind: attack(port, kind, clip_id(port), args.clients, args.seconds, lambda: resident_mb(process))
                for kind in args.kinds
            }
    print(json.dumps({"clients": args.clients, **found}, indent=2))
    return 0 if all(one["ok"] for one in found.values()) else 1


def clip_id(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/v1/clips?where=duration>100", headers={"Authorization": f"Bearer {TOKEN}"})
    return str(json.loads(connection.getresponse().read())["clips"][0]["clip_id"])


if __name__ == "__main__":
    sys.exit(main())
