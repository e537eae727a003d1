"""Measure the speed of the shipped model against a CLAP of the published size, on one thread.

    python benchmarks/models/speed.py            # one minute of one core, no data; writes benchmarks/models/speed.json

Both encode the same 10 s of decoded sound, each with its own front end. The CLAP has the architecture of
laion/clap-htsat-unfused with random weights (speed does not depend on them) and runs in torch, as its users run it.
A cold search is measured too: a new process of the command line, from its start to its answer, on 200 sounds.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

from askaudio.core.files import write_json
from askaudio.encoders.load import load

HERE = Path(__file__).parent
TURNS = 9
# the peak of the process itself: getrusage would count the parent that it was forked from
PEAK = "import sys; from askaudio.cli import main; main(sys.argv[1:]); print(open('/proc/self/status').read())"


def median_s(work) -> float:
    """Median seconds of this thread's own time."""
    spent = []
    for turn in range(TURNS + 2):
        began = time.thread_time()
        work()
        if turn > 1:
            spent.append(time.thread_time() - began)
    return float(np.median(spent))


def clap_s() -> float:
    """Seconds for 10 s of sound through extractor and audio tower of a CLAP with random weights."""
    torch.manual_seed(0)
    model, extractor = ClapModel(ClapConfig()).eval(), ClapFeatureExtractor(truncation="rand_trunc")
    wave = np.random.default_rng(0).standard_normal(480_000).astype(np.float32) / 10

    @torch.inference_mode()
    def work() -> None:
        model.get_audio_features(**extractor(wave, sampling_rate=48_000, return_tensors="pt"))

    return median_s(work)


def cold_search(folder: Path) -> tuple[float, float]:
    """Wall seconds and peak megabytes of a new process that searches 200 sounds."""
    rng = np.random.default_rng(0)
    (folder / "sounds").mkdir()
    for number in range(200):
        wave = rng.standard_normal(8000) * np.linspace(0.3, 0, 8000) ** rng.uniform(0.5, 3)
        soundfile.write(folder / "sounds" / f"{number}.wav", wave, 16_000)
    command = [sys.executable, "-m", "askaudio.cli"]
    place = ["--collection", str(folder / "collection")]
    subprocess.run([*command, "index", str(folder / "sounds"), *place], check=True, capture_output=True)
    walls = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run([*command, "search", "a click", *place], check=True, stdout=subprocess.DEVNULL)
        walls.append(time.monotonic() - began)
    status = subprocess.run(
        [sys.executable, "-c", PEAK, "search", "a click", *place], check=True, capture_output=True, text=True
    ).stdout
    return float(np.median(walls)), int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    torch.set_num_threads(1)
    small = load("small")
    wave = np.random.default_rng(0).standard_normal(320_000).astype(np.float32) / 10
    ours, theirs = median_s(lambda: small.encode_audio([wave])), clap_s()
    query = median_s(lambda: small.encode_text(["a metal door slams in a large hall"]))
    with tempfile.TemporaryDirectory() as folder:
        wall, peak = cold_search(Path(folder))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    result = {
        "small_x_real_time": round(10 / ours),
        "clap_x_real_time": round(10 / theirs),
        "times_faster": round(theirs / ours, 1),
        "query_ms": round(1000 * query, 2),
        "cold_search_s": round(wall, 2),
        "cold_search_peak_mb": round(peak),
        "commit": commit,
        "machine": f"{platform.machine()}, one thread, torch {torch.__version__}",
    }
    write_json(HERE / "speed.json", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
