"""Send mutated requests and mutated sounds to a real server: no crash, no answer over 10 s, no memory growth.

    python benchmarks/server/fuzz.py --requests 5000 --uploads 1000 --files 19000     # no data needed

Whole HTTP requests are changed byte by byte, with tokens that are known to break servers, and sent raw. Sounds of
several formats are damaged and sent as queries; many more are sent to the service's decoder process without HTTP.
Memory of the service and its decoders is compared between the first third and the end. Prints one JSON value; exit code
1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import soundfile
from serving import make_collection, resident_mb, served

from askaudio.core.errors import AudioDecodeError
from askaudio.server.decoder import Decoder

HANG_S = 10.0
GROWTH_MB = 48.0  # what allocators of three processes may keep
TOKENS = [
    b"\r\n", b"\r\n\r\n", b"\0", b"%00", b"%2e%2e%2f", b"../", b"%ff%fe", b"\xff\xfe", b"NaN", b"1e999", b"-1",
    b"99999999999999999999", b"bytes=0-0,1-1,2-2,", b"bytes=-0", b"Content-Length: 99999999999\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Host: evil.example\r\n", b"[" * 500, b'{"a":' * 200, b"{}", b"null", b'"',
    b"' or 1=1 --", b"(" * 300, b"duration<", b"tag~", b" and ", b" not ", b"&q=" * 50, b"\xf0\x9f\x94\x8a",
    b"a" * 5000,
    b"Authorization: Bearer x\r\n", b"Cookie: askaudio_session=x\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"Expect: 100-continue\r\n", b"If-None-Match: *\r\n", b"If-Range: x\r\n",
]  # fmt: skip


def sound_bytes(container: str, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    tone = 0.3 * np.sin(np.arange(12000) * 0.2)
    soundfile.write(buffer, np.stack([tone, tone], 1), 16000, format=container, subtype=subtype)
    return buffer.getvalue()


def request(method: str, target: str, body: bytes = b"", content_type: str = "", more: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}{length}{more}\r\n"
    return head.encode() + body


def upload(sound: bytes) -> bytes:
    body = b'--cut\r\nContent-Disposition: form-data; name="sound"; filename="a.wav"\r\n\r\n' + sound + b"\r\n"
    body += b'--cut\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n5\r\n--cut--\r\n'
    return request("POST", "/v1/search/audio", body, "multipart/form-data; boundary=cut")


def good_requests(clip_id: str) -> list[bytes]:
    clip = f"/v1/clips/{clip_id}"
    parts = json.dumps({"parts": [{"kind": "text", "value": "bell"}, {"kind": "clip", "value": clip_id, "weight": -1}]})
    return [
        request("GET", "/v1/search?q=low+hum&avoid=bell&top_k=5&where=duration%3C3+and+channels%3D1"),
        request("POST", "/v1/search", parts.encode(), "application/json"),
        request("GET", f"/v1/similar?clip_id={clip_id}"),
        request("GET", "/v1/clips?offset=2&limit=5"),
        request("GET", clip),
        request("GET", f"{clip}/audio", more="Range: bytes=10-99\r\n"),
        request("HEAD", f"{clip}/audio"),
        request("GET", f"{clip}/peaks?points=50&start_s=0.1&end_s=0.4"),
        request("GET", "/v1/collection"),
        request("GET", "/v1/metrics"),
        request("POST", "/v1/session"),
        request("GET", "/v1/openapi.json"),
        request("GET", "/"),
        request("GET", "/js/main.js", more="Range: bytes=0-9\r\nIf-None-Match: x\r\n"),
        upload(sound_bytes("WAV")),
    ]


def damaged(data: bytes, chance: random.Random, tokens: list[bytes]) -> bytes:
    """A few random changes: flip, cut, double, insert."""
    piece = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 12])):
        if not piece:
            break
        place, length = chance.randrange(len(piece)), chance.choice([1, 2, 8, 64])
        kind = chance.randrange(5)
        if kind == 0:
            piece[place] = chance.randrange(256)
        elif kind == 1:
            del piece[place : place + length]
        elif kind == 2:
            piece[place:place] = piece[place : place + length]
        elif kind == 3:
            piece[place:place] = chance.choice(tokens)
        else:
            piece[place : place + length] = bytes(chance.randrange(256) for _ in range(length))
    return bytes(piece)


async def send(port: int, data: bytes) -> str:
    """Send raw bytes and read until the server closes; the status, or what happened instead."""
    try:
        async with asyncio.timeout(HANG_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(data)
                await writer.drain()
                answer = await reader.read(-1)
            finally:
                writer.close()
    except TimeoutError:
        return "hang"
    except OSError:
        return "closed"
    first = answer.split(b"\r\n", 1)[0].split()
    return first[1].decode("latin-1") if len(first) > 1 else "closed"


async def send_all(port: int, pieces: list[bytes], at_once: int) -> tuple[Counter, list[bytes]]:
    seen: Counter = Counter()
    bad: list[bytes] = []
    line = asyncio.Semaphore(at_once)

    async def one(data: bytes) -> None:
        async with line:
            result = await send(port, data)
        seen[result] += 1
        if result in ("hang", "500"):
            bad.append(data)

    await asyncio.gather(*(one(piece) for piece in pieces))
    return seen, bad


def round_of(port: int, process: psutil.Process, pieces: list[bytes], at_once: int) -> dict:
    """Send a third, note the memory, send the rest, compare."""
    started, third = time.perf_counter(), len(pieces) // 3
    seen, bad = asyncio.run(send_all(port, pieces[:third], at_once))
    before = resident_mb(process)
    rest, more_bad = asyncio.run(send_all(port, pieces[third:], at_once))
    after = resident_mb(process)
    alive = asyncio.run(send(port, request("GET", "/v1/search?q=low+hum"))) == "200"
    return {
        "sent": len(pieces),
        "answers": dict(sorted((seen + rest).items())),
        "hangs_or_500": [piece[:200].decode("latin-1") for piece in (bad + more_bad)[:3]],
        "resident_mb": [round(before, 1), round(after, 1)],
        "took_s": round(time.perf_counter() - started, 1),
        "ok": alive and not bad and not more_bad and after - before < GROWTH_MB,
    }


def files_round(pieces: Iterator[bytes], count: int, folder: Path) -> dict:
    """Damaged files through one decoder process: decoded to wav and drawn, as the service does with what it is sent."""
    decoder = Decoder(workers=1, timeout_s=HANG_S, memory_bytes=2**30)
    source, wav = folder / "sound", folder / "wav"
    seen: Counter = Counter()
    memory, slowest, started = [], 0.0, time.perf_counter()
    for n, piece in zip(range(count), pieces, strict=False):
        source.write_bytes(piece)
        begun = time.perf_counter()
        try:
            decoder.run("to_wav", str(source), target=str(wav), sample_rate_hz=16_000, max_s=300.0)
            decoder.run("peaks", str(source), n_points=100, start_s=0.0, end_s=None)
            seen["decoded"] += 1
        except AudioDecodeError as error:
            died = error.reason in ("the decoder gave up on it", f"decoding took longer than {HANG_S:g} s")
            seen["crash or hang" if died else "refused"] += 1
        slowest = max(slowest, time.perf_counter() - begun)
        if n % (count // 10 or 1) == count // 10 - 1 or n == count - 1:
            memory.append(round(resident_mb(psutil.Process()), 1))
    decoder.close()
    return {
        "files": count,
        "answers": dict(seen),
        "slowest_s": round(slowest, 2),
        "resident_mb": memory,
        "took_s": round(time.perf_counter() - started, 1),
        "ok": not seen["crash or hang"] and slowest < HANG_S and memory[-1] - memory[len(memory) // 3] < GROWTH_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--files", type=int, default=19_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    sounds = [sound_bytes(c, s) for c, s in
              [("WAV", None), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None),
               ("AIFF", None), ("W64", None), ("CAF", None), ("AU", None)]]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        collection = make_collection(Path(folder), 50)
        # short limits, so that what the server rightly waits for is over within HANG_S
        with served(collection, rate_per_s=0, head_timeout_s=3.0, body_timeout_s=3.0, decode_timeout_s=5.0) as (
            port,
            p,
        ):
            clip_id = json.loads(asyncio.run(_body(port, "/v1/clips")))["clips"][0]["clip_id"]
            good = good_requests(clip_id)
            pieces = [damaged(chance.choice(good), chance, TOKENS) for _ in range(args.requests)]
            requests = round_of(port, p, pieces, 16)
            broken = [upload(damaged(chance.choice(sounds), chance, sounds)) for _ in range(args.uploads)]
            uploads = round_of(port, p, broken, 8)
        endless = (damaged(chance.choice(sounds), chance, sounds) for _ in itertools.count())
        files = files_round(endless, args.files, Path(folder)) if args.files else {"ok": True}
    print(json.dumps({"requests": requests, "uploads": uploads, "files": files}, indent=2, ensure_ascii=True))
    return int(not (requests["ok"] and uploads["ok"] and files["ok"]))


async def _body(port: int, target: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET", target))
    answer = await reader.read(-1)
    writer.close()
    return answer.split(b"\r\n\r\n", 1)[1]


if __name__ == "__main__":
    sys.exit(main())
