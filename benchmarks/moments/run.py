"""Measure moments on generated long recordings of held-out sounds, against plain windows as null models.

    python benchmarks/moments/run.py                      # test recordings; writes results.json and results.md
    python benchmarks/moments/run.py --fit                # fits moments/parameters.json on train recordings
    python benchmarks/moments/run.py --model efficientat --recordings 20

Recordings come from ``scenes/long_recordings.py`` with the sounds of ``data.py``; test and train share no group of
recordings. Systems: ``moments`` (the fine pass over the whole recording), ``windows of 10 s`` (what a search stores)
and ``windows of 2.5 s`` (every 1.25 s). Each ranks what it has by the cosine with the query. Recordings and vectors are
kept in --work, so a second run is quick.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from askaudio.audio.decode import decode
from askaudio.audio.stretch import decode_stretch
from askaudio.audio.windows import fixed_windows
from askaudio.cli.output import progress_bar
from askaudio.core.files import read_json, sha256_file, write_json, write_text
from askaudio.encoders.encoder import Encoder
from askaudio.encoders.load import load_encoder
from askaudio.moments.cache import PartsCache
from askaudio.moments.find import PARAMETERS_FILE, Parameters, find_moments, parameters_of
from askaudio.moments.fine_pass import LONGEST_S, Stretch, examine
from askaudio.moments.metrics import per_query
from askaudio.moments.moment import Moment
from askaudio.moments.report import MomentReport, score_run
from askaudio.moments.run_files import MomentRun, write_moment_run
from askaudio.moments.truth import MomentQuery, read_truth
from askaudio.scenes.long_recordings import LongSettings, write_long_recordings
from data import source_of

HERE = Path(__file__).resolve().parent
TEST = LongSettings(seed=0)
TRAIN = LongSettings(seed=1, longest_s=120.0)
TIMED_HITS = 10
# values that --fit tries for each parameter, one parameter at a time, until nothing improves
TRIED = {
    "peak_s": (0.3, 1.0, 1.6, 2.6), "smooth_s": (0.3, 0.6, 1.0), "sound_share": (0.5, 0.75, 1.0),
    "level": (0.3, 0.4, 0.5, 0.6), "background": (0.1, 0.25, 0.5), "bridge": (1.0, 2.0, 4.0, 8.0),
    "edge_level": (0.3, 0.4, 0.5, 0.6), "reach_s": (0.5, 1.0, 1.5, 2.0),
}  # fmt: skip
KEPT = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def main() -> int:
    """Measure or fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small")
    parser.add_argument("--fit", action="store_true", help="fit the parameters of the finder for this model")
    parser.add_argument("--recordings", type=int, default=40)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "askaudio-moments")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    encoder = load_encoder(args.model)
    split, settings = ("train", TRAIN) if args.fit else ("test", TEST)
    folder = args.work / f"{split}-{args.recordings}"
    truth = folder / "moments.jsonl"
    if not truth.is_file():
        with progress_bar("recordings") as progress:
            write_long_recordings(source_of(split), folder, args.recordings, settings, progress)
    queries = read_truth(truth)
    cache = PartsCache(args.work / "cache", max_bytes=8 << 30)
    with progress_bar("fine pass") as progress:
        stretches = examined(encoder, folder, queries, cache, progress)
    vectors = dict(zip((q.query_id for q in queries), encoder.encode_text([q.text for q in queries]), strict=True))
    if args.fit:
        return fit(encoder.name, queries, stretches, vectors)
    ranked = replace(
        parameters_of(encoder.name), keep=0.0
    )  # a run ranks all peaks, also those that a search leaves out
    runs = {
        "moments": {q.query_id: find_moments(stretches[q.recording], vectors[q.query_id], ranked)[0] for q in queries}
    }
    with progress_bar("windows") as progress:
        runs |= window_runs(encoder, folder, queries, vectors, cache, progress)
    reports = {name: score_run(queries, run) for name, run in runs.items()}
    write(args, encoder, queries, runs, reports, hit_seconds(encoder, folder))
    return 0


def examined(
    encoder: Encoder, folder: Path, queries: Sequence[MomentQuery], cache: PartsCache, progress: Callable[..., None]
) -> dict[str, list[Stretch]]:
    """Recording -> what the fine pass computes of all of it."""
    lengths = {query.recording: query.duration_s for query in queries}
    out = {}
    for number, (name, duration_s) in enumerate(lengths.items(), start=1):
        path = folder / f"{name}.flac"
        out[name] = examine(encoder, reader(path, encoder), [(0.0, duration_s)], sha256_file(path), cache)
        progress(number, len(lengths))
    return out


def reader(path: Path, encoder: Encoder) -> Callable[[tuple[float, float]], np.ndarray]:
    """Decode a stretch of one file."""
    return lambda span: decode_stretch(path, encoder.sample_rate_hz, *span)


def window_runs(
    encoder: Encoder, folder: Path, queries: Sequence[MomentQuery], vectors: dict[str, np.ndarray], cache: PartsCache,
    progress: Callable[..., None],
) -> dict[str, MomentRun]:  # fmt: skip
    """The null models: all windows of a recording, ranked by their cosine with the query."""
    runs: dict[str, MomentRun] = {}
    for window_s, hop_s in ((10.0, 10.0), (2.5, 1.25)):
        run: MomentRun = {}
        recordings = sorted({query.recording for query in queries})
        for number, name in enumerate(recordings, start=1):
            times, rows = windows(encoder, folder / f"{name}.flac", window_s, hop_s, cache)
            for query in (q for q in queries if q.recording == name):
                scores = rows @ vectors[query.query_id]
                moments = [Moment(float(a), float(b), float(s)) for (a, b), s in zip(times, scores, strict=True)]
                run[query.query_id] = tuple(sorted(moments, key=lambda m: -m.score))
            progress(number, len(recordings), f"{window_s:g} s")
        runs[f"windows of {window_s:g} s"] = run
    return runs


def windows(encoder: Encoder, path: Path, window_s: float, hop_s: float, cache: PartsCache):
    """Times (W, 2) and vectors (W, D) of the windows of a file."""
    key = cache.key(sha256_file(path), encoder.fingerprint, (window_s, hop_s)) + "w"
    kept = cache.get(key, {"times": (None, 2), "vectors": (None, encoder.embed_dim)})
    if kept is None:
        cut = fixed_windows(decode(path, encoder.sample_rate_hz), encoder.sample_rate_hz, window_s, hop_s)
        times = np.array([(window.start_s, window.end_s) for window in cut])
        kept = {"times": times, "vectors": encoder.encode_audio([window.samples for window in cut])}
        cache.put(key, kept)
    return kept["times"], kept["vectors"]


def hit_seconds(encoder: Encoder, folder: Path) -> dict[str, float]:
    """Seconds of one core for the moments of ten hits with 14 s each: the first time, and from the cache."""
    files = sorted(folder.glob("*.flac"))[:TIMED_HITS]
    vector = encoder.encode_text(["a dog barks"])[0]
    seconds = {}
    if hasattr(encoder, "threads"):
        encoder.threads = 1
    examine(encoder, reader(files[0], encoder), [(0.0, 2.0)])  # opens the sessions
    with tempfile.TemporaryDirectory() as place:
        cache = PartsCache(Path(place))
        for name in ("first", "cached"):
            began = time.process_time()
            for path in files:
                stretches = examine(
                    encoder, reader(path, encoder), [(20.0, 20.0 + LONGEST_S)], sha256_file(path), cache
                )
                find_moments(stretches, vector, parameters_of(encoder.name))
            seconds[name] = round(time.process_time() - began, 3)
    return seconds


def objective(queries: Sequence[MomentQuery], run: MomentRun) -> float:
    """What --fit maximises: R1@0.5 + R1@0.7 + mAP."""
    return sum(float(per_query(queries, run, name).mean()) for name in ("R1@0.5", "R1@0.7", "mAP"))


def fit(
    model: str,
    queries: Sequence[MomentQuery],
    stretches: dict[str, list[Stretch]],
    vectors: dict[str, np.ndarray],
) -> int:
    """Coordinate ascent over ``TRIED``, then the lowest further peak by F1; writes the table of parameters."""

    def run(fitted: Parameters) -> MomentRun:
        return {q.query_id: find_moments(stretches[q.recording], vectors[q.query_id], fitted)[0] for q in queries}

    best = Parameters(keep=0.0)
    value = objective(queries, run(best))
    for _ in range(2):
        before = value
        for name, values in TRIED.items():
            for one in values:
                tried = replace(best, **{name: one})
                if tried != best and (new := objective(queries, run(tried))) > value + 1e-9:
                    best, value = tried, new
            sys.stdout.write(f"{name} {getattr(best, name)}: {value:.4f}\n")
            sys.stdout.flush()
        if value <= before:
            break
    whole = run(best)
    kept = {keep: f1(queries, whole, run(replace(best, keep=keep))) for keep in KEPT}
    best = replace(best, keep=max(kept, key=lambda keep: kept[keep]))
    sys.stdout.write(f"keep: {kept}\n")
    table = read_json(PARAMETERS_FILE)
    table["parameters"][model] = asdict(best)
    if model == "small":
        table["parameters"]["default"] = asdict(best)
    write_json(PARAMETERS_FILE, table)
    return 0


def f1(queries: Sequence[MomentQuery], whole: MomentRun, run: MomentRun) -> float:
    """F1 of single moments at IoU 0.5, over queries whose first moment is right (the others say nothing about keep)."""
    from askaudio.moments.metrics import iou

    hits = n_found = n_true = 0
    for query in queries:
        moments = run[query.query_id]
        if not moments or iou(whole[query.query_id][:1], query.moments).max() < 0.5:
            continue
        overlap = iou(moments, query.moments)
        hits += int((overlap.max(axis=0) >= 0.5).sum())
        n_found, n_true = n_found + len(moments), n_true + len(query.moments)
    return 2 * hits / max(1, n_found + n_true)


def write(
    args: argparse.Namespace, encoder: Encoder, queries: Sequence[MomentQuery], runs: dict[str, MomentRun],
    reports: dict[str, MomentReport], seconds: dict[str, float],
) -> None:  # fmt: skip
    """Run files beside the recordings; results.json and results.md in --out."""
    for name, run in runs.items():
        write_moment_run(run, queries, args.work / f"run-{name.replace(' ', '-')}.jsonl")
    path = args.out / "results.json"
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    )
    table[args.model] = {
        "command": f"python benchmarks/moments/run.py --model {args.model} --recordings {args.recordings}",
        "commit": commit.stdout.strip(), "fingerprint": encoder.fingerprint, "machine": f"{os.cpu_count()} cores",
        "parameters": asdict(parameters_of(encoder.name)),
        "seconds_for_ten_hits": seconds, "systems": {name: report.to_json() for name, report in reports.items()},
    }  # fmt: skip
    write_json(path, table)
    write_text(args.out / "results.md", markdown(table))
    for name, report in reports.items():
        sys.stdout.write(f"\n{name}\n{report.table()}\n")
    sys.stdout.write(f"\nten hits of 14 s: {seconds}\n")


def markdown(table: dict) -> str:
    """All results as tables."""
    names = ("R1@0.5", "R1@0.7", "mAP", "mIoU", "pointing")
    lines = [
        "# Moments in generated long recordings",
        "",
        "Written by `python benchmarks/moments/run.py`; sounds, lengths and levels: `data.py` and",
        "`src/askaudio/scenes/long_recordings.py`. Figures are percent, with 95 % intervals over recordings.",
        "Pointing: the middle of the first moment is in a true moment or at most 1 s beside it.",
    ]
    for model, result in table.items():
        systems, seconds = result["systems"], result["seconds_for_ten_hits"]
        first = next(iter(systems.values()))
        counts = f"{first['queries']} queries about {first['recordings']} recordings; commit {result['commit']}."
        cost = f"Ten hits of 14 s on one core: {seconds['first']:.2f} s, from the cache {seconds['cached']:.2f} s."
        lines += ["", f"## {model}", "", f"{counts} {cost}", ""]
        lines += ["| system | queries | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
        for system, report in systems.items():
            cells = [f"{100 * f['mean']:.1f} [{100 * f['low']:.1f}, {100 * f['high']:.1f}]"
                     for f in (report["figures"][name] for name in names)]  # fmt: skip
            lines.append(f"| **{system}** | {report['queries']} | " + " | ".join(cells) + " |")
        for group, system in itertools.product(first["groups"], systems):
            own = systems[system]["groups"][group]
            cells = [f"{100 * own['figures'][name]:.1f}" for name in names]
            lines.append(f"| {group}, {system} | {own['queries']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
