"""Score a system, from a run or from embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from askaudio.core.errors import ConfigError
from askaudio.core.types import Progress, silent
from askaudio.evaluation import sanity
from askaudio.evaluation.metrics import DEFAULT_METRICS
from askaudio.evaluation.ranks import BLOCK_SCORES, Ties, check_ties, ranks_of
from askaudio.evaluation.relevance import Relevance
from askaudio.evaluation.report import NAMES, Direction, Report
from askaudio.evaluation.run import Run


def evaluate(
    run: Run,
    relevance: Relevance,
    *,
    directions: Sequence[str] = ("t2a",),
    ties: Ties = "pessimistic",
    metrics: Sequence[str] = DEFAULT_METRICS,
    n_missing_clips: int = 0,
    protocol: Mapping[str, str] | None = None,
    checks: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> Report:
    """Score a run.

    Args:
        run: Scores of clips for texts. For ``directions=("a2t",)`` of ranked lists: of texts for clips.
        relevance: Text-to-audio relevance (captions are queries, clips the gallery), for every direction.
        directions: ``t2a``, ``a2t`` or both; both needs a full score matrix or embeddings.
        ties: ``pessimistic``: equal scores count against the system; ``expected``: mean over their random order.
        metrics: Names that are printed; ``report[...]`` computes any other metric.
        n_missing_clips: Clips that could not be scored and are not in the gallery.
        protocol: More entries of the protocol line, by name.
        checks: More values of sanity checks, by name (``sanity.check_embeddings``).
        progress: Called with the number of ranked queries.

    Returns:
        The report; ``report["t2a/R@10"]``, ``report.table()``, ``report.save(folder)``.

    Raises:
        DataError: Ids that the relevance lacks, NaN scores, a full matrix with holes.
        ConfigError: Unknown direction, tie rule or metric.

    Example:
        >>> from askaudio.evaluation.evaluate import evaluate
        >>> from askaudio.evaluation.relevance import Relevance
        >>> from askaudio.evaluation.run import Run
        >>> relevance = Relevance.from_dict({"a dog barks": ["dog.wav"]}, gallery_ids=["dog.wav", "cat.wav"])
        >>> evaluate(Run.from_dict({"a dog barks": {"dog.wav": 0.9, "cat.wav": 0.1}}), relevance)["t2a/R@1"]
        1.0
    """
    check_ties(ties)
    unknown = [d for d in directions if d not in NAMES]
    if unknown or not directions:
        raise ConfigError(f"directions are t2a and a2t, got {list(directions)}")
    found: dict[str, Direction] = {}
    notes: list[str] = []
    for d in directions:
        judged = relevance if d == "t2a" else relevance.transposed()
        system = run
        if d == "a2t" and not (run.is_sparse and len(directions) == 1):  # clips without a caption are no queries
            system = run.aligned(relevance).transposed().of_queries(judged.query_ids)
        missing = system.missing_queries(judged)
        if missing:
            notes.append(f"{missing:,} of {judged.n_queries:,} {d} queries have no row in the run and count as misses")
        ranks = ranks_of(system, judged, progress)
        found[d] = Direction(ranks, judged.query_ids, judged.query_units, judged.fingerprint)
    figures = dict(checks or {}) | sanity.check_texts(relevance)
    figures |= sanity.check_ranks({d: v.ranks for d, v in found.items()})
    about = {
        "relevance": f"by {relevance.kind}",
        "R@k": "fraction" if any(m.endswith("-fraction") for m in metrics) else "any-of-n",
    } | dict(protocol or {})
    return Report(
        name=run.name,
        directions=found,
        ties=ties,
        n_clips=relevance.n_gallery,
        n_captions=relevance.n_queries,
        metrics=tuple(metrics),
        n_missing_clips=n_missing_clips,
        protocol=about,
        checks=figures,
        warnings=(*notes, *sanity.warnings_of(figures, relevance)),
    )


def evaluate_embeddings(
    audio: npt.ArrayLike,
    text: npt.ArrayLike,
    relevance: Relevance | npt.ArrayLike,
    *,
    name: str = "embeddings",
    ties: Ties = "pessimistic",
    metrics: Sequence[str] = DEFAULT_METRICS,
    n_missing_clips: int = 0,
    protocol: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Report:
    """Score embeddings in both directions.

    Args:
        audio: (N, D) clip embeddings, in the order of the relevance's gallery.
        text: (Q, D) text embeddings, in the order of its queries.
        relevance: A ``Relevance``, or (Q,) the clip row that owns each caption.
        name: Name of the system.
        ties: Tie rule.
        metrics: Names that are printed.
        n_missing_clips: Clips that could not be encoded.
        protocol: More entries of the protocol line.
        progress: Called with the number of ranked queries.

    Raises:
        DataError: Shapes that differ, or a value that is not finite.
        ConfigError: Unknown tie rule or metric.
    """
    audio, text = np.asarray(audio, dtype=np.float32), np.asarray(text, dtype=np.float32)
    judged = relevance if isinstance(relevance, Relevance) else Relevance.from_owner(relevance, len(audio))
    run = Run.from_embeddings(text, audio, judged.query_ids, judged.gallery_ids, name)
    if (
        judged.n_queries * judged.n_gallery <= BLOCK_SCORES
    ):  # if they fit into memory, compute the scores once for both directions
        run = Run.from_matrix(run.scores.block(0, judged.n_queries), judged.query_ids, judged.gallery_ids, name)
    return evaluate(
        run,
        judged,
        directions=("t2a", "a2t"),
        ties=ties,
        metrics=metrics,
        n_missing_clips=n_missing_clips,
        protocol=protocol,
        checks=sanity.check_embeddings(audio, text),
        progress=progress,
    )
