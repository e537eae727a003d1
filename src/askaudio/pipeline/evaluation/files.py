"""Write an evaluation to a folder: report, run file, further tests, figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from askaudio.audio.decode import stream_windows
from askaudio.audio.logmel import LogMel
from askaudio.core.files import write_json
from askaudio.core.types import FloatArray, Json
from askaudio.evaluation import figures
from askaudio.evaluation.long_tail import BucketReport
from askaudio.evaluation.run_files import write_run
from askaudio.pipeline.evaluate import Evaluation, ModelEvaluation

WORST_QUERIES = 6
DRAWN_S = 10.0


class FurtherReport(Protocol):
    """The report of a further test."""

    def table(self) -> str:
        """A table in plain text."""
        ...

    def to_json(self) -> Json:
        """All numbers."""
        ...


def write_evaluation(
    evaluation: Evaluation,
    folder: Path | str,
    further: Mapping[str, FurtherReport] | None = None,
    *,
    depth: int = 100,
    run_format: str = "jsonl",
) -> list[Path]:
    """Write ``report.json``, ``ranks.npz``, the run file, and ``NAME.json`` for each further test.

    Args:
        evaluation: What to write.
        folder: Made where it does not exist.
        further: Name -> report of a further test.
        depth: Best clips of each query in the run file.
        run_format: ``jsonl``, ``trec``, ``csv`` or ``parquet``.

    Returns:
        The files.
    """
    folder = Path(folder)
    evaluation.report.save(folder)
    run_file = folder / f"{'t2a' if 't2a' in evaluation.report.directions else 'a2t'}.{run_format}"
    write_run(evaluation.run, run_file, depth)
    written = [folder / "report.json", folder / "ranks.npz", run_file]
    for name, report in (further or {}).items():
        write_json(folder / f"{name}.json", report.to_json())
        written.append(folder / f"{name}.json")
    return written


def draw_evaluation(evaluation: Evaluation, folder: Path | str, buckets: BucketReport | None = None) -> list[Path]:
    """Draw recall, ranks, head to tail, and for a model the queries that it answers worst.

    Args:
        evaluation: What to draw.
        folder: Where ``recall.png``, ``ranks.png``, ``buckets.png`` and ``worst.png`` go.
        buckets: Report of ``frequency_buckets``.

    Returns:
        The files.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder, report = Path(folder), evaluation.report
    metrics = [m for m in report.metrics if m.startswith(("R@", "mAP", "nDCG", "MRR"))]
    figures.recall_figure([report], folder / "recall.png", metrics)
    figures.rank_figure(report, folder / "ranks.png")
    written = [folder / "recall.png", folder / "ranks.png"]
    if buckets is not None:
        figures.bucket_figure(buckets, folder / "buckets.png", f"{report.name}: {report.counts_line()}")
        written.append(folder / "buckets.png")
    if isinstance(evaluation, ModelEvaluation):
        _draw_worst(evaluation, folder / "worst.png")
        written.append(folder / "worst.png")
    return written


def _draw_worst(evaluation: ModelEvaluation, path: Path) -> None:
    """Spectrogram of the right clip beside that of the clip ranked first, for the queries with the worst ranks."""
    relevance, log_mel = evaluation.relevance, LogMel()
    files = {clip.clip_id: clip.path for clip in evaluation.clips}
    place = {query: i for i, query in enumerate(relevance.query_ids)}
    rows = []
    for query, rank in figures.worst_queries(evaluation.report, WORST_QUERIES):
        scores = evaluation.run.scores.block(place[query], place[query] + 1)[0]
        right = relevance.gallery_ids[relevance.items[relevance.indptr[place[query]]]]
        first = relevance.gallery_ids[int(scores.argmax())]
        rows.append((f'"{relevance.texts[query]}": rank {rank:g} of {len(scores):,}', right, first))

    def spectrogram(clip_id: str) -> FloatArray:
        window = next(stream_windows(files[clip_id], log_mel.sample_rate_hz, DRAWN_S, DRAWN_S))
        return log_mel(window.samples)

    figures.worst_queries_figure(rows, spectrogram, path)
