"""The token bucket, the gate and the decoder's leash."""

import asyncio
import threading
import time

import numpy as np
import pytest
import soundfile

from askaudio.core.errors import AudioDecodeError
from askaudio.server.decoder import Decoder
from askaudio.server.limits import Gate, RateLimit
from askaudio.server.problems import Problem


def test_a_bucket_refills_at_its_rate():
    now = [0.0]
    limit = RateLimit(2.0, 3, clock=lambda: now[0])
    assert [limit.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.wait_s("b") == 0
    now[0] = 0.5
    assert limit.wait_s("a") == 0 and limit.wait_s("a") > 0


def test_addresses_are_forgotten_not_hoarded():
    limit = RateLimit(1.0, 1, max_addresses=3)
    for k in range(100):
        limit.wait_s(str(k))
    assert len(limit._buckets) == 3


def test_no_rate_is_no_limit():
    limit = RateLimit(0, 0)
    assert not any(limit.wait_s("a") for _ in range(1000))


def test_the_gate_runs_some_holds_some_and_refuses_the_rest():
    async def scenario() -> None:
        gate, release = Gate(2, 3, 5.0), threading.Event()
        running, most = [0], [0]

        def work() -> str:
            running[0] += 1
            most[0] = max(most[0], running[0])
            release.wait(5)
            running[0] -= 1
            return "done"

        tasks = [asyncio.create_task(gate.run(work)) for _ in range(7)]
        await asyncio.sleep(0.1)
        refused = [t for t in tasks if t.done()]
        assert len(refused) == 2 and all(t.exception().status_code == 503 for t in refused)
        release.set()
        assert [await t for t in tasks if t not in refused] == ["done"] * 5
        assert most[0] == 2 and gate.waiting == 0 and gate.refused == 2

    asyncio.run(scenario())


def test_the_gate_gives_up_a_wait_that_is_too_long():
    async def scenario() -> None:
        gate, release = Gate(1, 5, 0.05), threading.Event()
        first = asyncio.create_task(gate.run(lambda: release.wait(5)))
        await asyncio.sleep(0.01)
        with pytest.raises(Problem) as caught:
            await gate.run(lambda: None)
        assert caught.value.status_code == 503 and caught.value.headers["Retry-After"]
        release.set()
        await first
        await gate.run(lambda: None)  # and works again afterwards

    asyncio.run(scenario())


@pytest.fixture
def decoder():
    decoder = Decoder(1, timeout_s=5.0, memory_bytes=2**30)
    yield decoder
    decoder.close()


def test_a_decoder_that_hangs_is_ended_and_replaced(decoder, sounds):
    path = str(sounds / "bell.wav")
    wanted = {"n_points": 10, "start_s": 0.0, "end_s": None}
    assert decoder.run("peaks", path, **wanted)["duration_s"] == pytest.approx(1.5)
    (process,) = decoder._idle
    process._child.send_signal(19)  # SIGSTOP: it hangs
    decoder._timeout_s = 0.2
    started = time.monotonic()
    with pytest.raises(AudioDecodeError, match="longer than"):
        decoder.run("peaks", path, **wanted)
    assert time.monotonic() - started < 3 and process._child.poll() is not None
    decoder._timeout_s = 5.0
    assert decoder.run("peaks", path, **wanted)["duration_s"] == pytest.approx(1.5)


def test_a_decoder_that_dies_is_replaced(decoder, sounds):
    path = str(sounds / "bell.wav")
    wanted = {"n_points": 10, "start_s": 0.0, "end_s": None}
    decoder.run("peaks", path, **wanted)
    decoder._idle[0]._child.kill()
    with pytest.raises(AudioDecodeError):
        decoder.run("peaks", path, **wanted)
    assert decoder.run("peaks", path, **wanted)["duration_s"] == pytest.approx(1.5)


def test_a_bomb_stays_within_its_memory(tmp_path):
    bomb = tmp_path / "bomb.flac"  # 400 s of silence: 20 kB on disk, 300 MB at the rate that is asked for
    soundfile.write(bomb, np.zeros(400 * 8000, dtype=np.int16), 8000)
    arguments = {"target": str(tmp_path / "out.wav"), "sample_rate_hz": 192000}
    decoder = Decoder(1, timeout_s=20.0, memory_bytes=500 * 2**20)
    try:
        with pytest.raises(AudioDecodeError, match=r"memory|gave up"):
            decoder.run("to_wav", str(bomb), **arguments, max_s=1e9)
        with pytest.raises(AudioDecodeError, match="at most 300 s"):
            decoder.run("to_wav", str(bomb), **arguments, max_s=300.0)
    finally:
        decoder.close()


def test_closing_ends_the_processes(sounds):
    decoder = Decoder(1, 5.0, 2**30)
    decoder.run("peaks", str(sounds / "bell.wav"), n_points=10, start_s=0.0, end_s=None)
    child = decoder._idle[0]._child
    decoder.close()
    assert child.poll() is not None
