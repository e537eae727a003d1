"""Measure decoding by format, encoding, text queries and search on this machine; takes some seconds.

Only generated files are read, so that two machines can be compared. "x real time" is seconds of sound per second, on
one thread; each figure is the median of several runs.

Examples:
  askaudio bench                                   everything, with the toy encoder
  askaudio bench --model runs/mine                 with your model: what indexing and searching will cost you
  askaudio bench --vectors 1000000 --dim 512       search in a million vectors (4 GB of memory, some minutes to build)
  askaudio bench --json > bench.json
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from askaudio.cli.output import emit_json, progress_bar, say
from askaudio.core.errors import AskAudioError, ConfigError

if TYPE_CHECKING:
    from askaudio.core.types import FloatArray, Json
    from askaudio.encoders.encoder import Encoder

HELP = "measure speed on this machine"
FILE_S = 10.0  # length of the generated files
RATE_HZ = 44_100
FORMATS = (("wav", "WAV", "PCM_16"), ("flac", "FLAC", "PCM_16"), ("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"),
           ("mp3", "MP3", "MPEG_LAYER_III"))  # fmt: skip
QUERIES = ("a dog barks twice in a hall", "rain on a tin roof", "a 440 hz tone", "glass breaks", "a train passes by")
TOP_K = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio bench``."""
    parser.add_argument("--model", default="toy", metavar="SPEC", help="encoder folder, run folder, or name (toy)")
    parser.add_argument("--vectors", type=int, default=50_000, help="random vectors to search in (50000)")
    parser.add_argument("--dim", type=int, default=256, help="numbers in each of them (256)")
    parser.add_argument("--repeat", type=int, default=5, help="runs behind each median (5)")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if min(args.vectors, args.dim, args.repeat) < 1 or args.vectors < TOP_K:
        raise ConfigError(f"--vectors must be {TOP_K} or more, --dim and --repeat 1 or more")
    from askaudio.encoders.load import load

    encoder = load(args.model)
    with progress_bar("bench") as progress, tempfile.TemporaryDirectory() as folder:
        progress(0, 4, "decoding")
        decoding = measure_decoding(Path(folder), args.repeat)
        progress(1, 4, "encoding")
        encoding = measure_encoding(encoder, args.repeat)
        progress(2, 4, "text queries")
        text_ms = 1000 * _median(lambda: encoder.encode_text([QUERIES[0]]), args.repeat * 4)
        progress(3, 4, f"search in {args.vectors:,} vectors")
        search = measure_search(args.vectors, args.dim, args.repeat * 4, Path(folder))
    facts: Json = {
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "decoding": decoding,
        "model": {"name": encoder.name, "embed_dim": encoder.embed_dim, "window_s": encoder.window_s, **encoding,
                  "text_query_ms": text_ms},
        "search": search,
    }  # fmt: skip
    if args.json:
        emit_json(facts)
    else:
        _print(facts)
    return 0


def measure_decoding(folder: Path, repeat: int) -> Json:
    """Speed by format in x real time, to mono at 32 kHz; for a format that cannot be read here, the reason."""
    import numpy as np
    import soundfile

    from askaudio.audio.decode import decode

    noise = np.random.default_rng(0).standard_normal((round(FILE_S * RATE_HZ), 2)).cumsum(axis=0)
    noise = (0.5 * noise / np.abs(noise).max()).astype(np.float32)  # brown noise, stereo: compressible, like sounds
    found: Json = {}
    for name, container, coding in FORMATS:
        path = folder / f"sound.{name}"
        rate_hz = 48_000 if name == "opus" else RATE_HZ
        try:
            soundfile.write(path, noise, rate_hz, format=container, subtype=coding)
            decode(path, 32_000)
        except (soundfile.SoundFileError, ValueError, AskAudioError) as error:
            found[name] = {"x_real_time": None, "why": str(error)}
            continue
        seconds = _median(functools.partial(decode, path, 32_000), repeat)
        found[name] = {"x_real_time": len(noise) / rate_hz / seconds}
    return found


def measure_encoding(encoder: Encoder, repeat: int) -> Json:
    """Speed in x real time of one window alone and of eight together."""
    import numpy as np

    n = round(encoder.window_s * encoder.sample_rate_hz)
    sounds = list((0.1 * np.random.default_rng(0).standard_normal((8, n))).astype(np.float32))
    encoder.encode_audio(sounds[:1])  # opens the session
    return {
        "encode_x_real_time": encoder.window_s / _median(lambda: encoder.encode_audio(sounds[:1]), repeat),
        "encode_8_x_real_time": 8 * encoder.window_s / _median(lambda: encoder.encode_audio(sounds), repeat),
    }


def measure_search(vectors: int, dim: int, queries: int, folder: Path) -> Json:
    """Milliseconds a query for the best ten of random vectors: a full scan, and the accelerator with its recall.

    Args:
        vectors: Number of vectors that are searched.
        dim: Length of each vector.
        queries: Number of queries.
        folder: Existing folder in which the accelerator's file is written.
    """
    import numpy as np

    from askaudio.core.functional import normalise_rows
    from askaudio.engines.local import accelerator
    from askaudio.index.ranking import MARGIN_F32, best_rows, exact_scores

    random = np.random.default_rng(0)
    table = normalise_rows(random.standard_normal((vectors, dim), dtype=np.float32))
    near_some = table[random.integers(0, vectors, queries)]  # similar to a few of them, as real queries are
    asked = normalise_rows(near_some + random.normal(0, 0.5 / dim**0.5, (queries, dim)))

    def scan(query: FloatArray) -> list[int]:
        rows = best_rows(table @ query, TOP_K, MARGIN_F32)
        return list(rows[np.argsort(-exact_scores(query, table[rows]))][:TOP_K])

    def ask_accelerator(query: FloatArray) -> list[int]:
        return list(fast.candidates(query[None], TOP_K, None)[1][0])

    started = time.perf_counter()
    accelerator.build(table, folder / "accelerator.faiss")
    build_s = time.perf_counter() - started
    fast = accelerator.Accelerator(folder / "accelerator.faiss")
    exact, exact_ms = _each(scan, asked)
    near, near_ms = _each(ask_accelerator, asked)
    hits = sum(len(set(a) & set(b)) for a, b in zip(exact, near, strict=True))
    return {
        "vectors": vectors,
        "dim": dim,
        "exact_ms": exact_ms,
        "accelerator_ms": near_ms,
        "accelerator_kind": "full scan in half precision" if fast.exhaustive else "inverted lists, 8 bits",
        "accelerator_recall": hits / (TOP_K * queries),
        "accelerator_build_s": build_s,
    }


def _each(ask: Callable[[FloatArray], list[int]], queries: FloatArray) -> tuple[list[list[int]], float]:
    """Answers, and the median milliseconds per query; the first query is run once more before, to warm up."""
    ask(queries[0])
    answers, times = [], []
    for query in queries:
        started = time.perf_counter()
        answers.append(ask(query))
        times.append(time.perf_counter() - started)
    return answers, 1000 * statistics.median(times)


def _median(work: Callable[[], object], repeat: int) -> float:
    """Median seconds of several runs, after one to warm up."""
    work()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return max(statistics.median(times), 1e-9)


def _processor() -> str:
    """Name of the processor, where the system provides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _print(facts: Json) -> None:
    machine, model, search = facts["machine"], facts["model"], facts["search"]
    say(f"{machine['processor']}, {machine['cores']} cores, {machine['system']}\n")
    for name, one in facts["decoding"].items():
        speed = one["x_real_time"]
        say(f"decode {name:<22}" + (f"{speed:>9,.0f} x real time" if speed else f"      not here: {one['why']}"))
    about = f"{model['name']}, {model['window_s']:g} s"
    say(f"encode {about:<22}{model['encode_x_real_time']:>9,.0f} x real time")
    say(f"encode {'eight at once':<22}{model['encode_8_x_real_time']:>9,.0f} x real time")
    say(f"text query {model['name']:<18}{model['text_query_ms']:>9.2f} ms")
    size = f"{search['vectors']:,} x {search['dim']}"
    say(f"search {size:<22}{search['exact_ms']:>9.2f} ms   exact")
    say(f"search {size:<22}{search['accelerator_ms']:>9.2f} ms   {search['accelerator_kind']}: "
        f"recall {search['accelerator_recall']:.3f}, built in {search['accelerator_build_s']:.1f} s")  # fmt: skip
