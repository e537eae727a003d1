"""``askaudio evaluate --mteb``: tasks of mteb by name, or the captioned sounds of --data as a task of mteb."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askaudio.cli.output import emit_json, progress_bar, say

if TYPE_CHECKING:
    from askaudio.core.types import Json

LOCAL = ("t2a", "a2t")
SHOWN = ("hit_rate_at_1", "hit_rate_at_5", "hit_rate_at_10", "map_at_10", "ndcg_at_10")


def run_mteb(args: argparse.Namespace) -> int:
    """Score the model on the named tasks and print one row a task; returns 0.

    Raises:
        ConfigError: No model, a task that mteb does not have, or a local task without --data.
    """
    from askaudio.core.errors import ConfigError
    from askaudio.core.extras import require
    from askaudio.core.files import write_json
    from askaudio.encoders.load import load

    if not args.model:
        raise ConfigError("--mteb scores a model: askaudio evaluate MODEL --mteb AudioCapsT2ARetrieval")
    mteb = require("mteb", "mteb")
    from askaudio.interop.mteb_encoder import MtebEncoder, undecoded

    tasks = [_task(mteb, name, args) for name in args.mteb.split(",")]
    rows: list[Json] = []
    with progress_bar("encoding") as bar:
        model = MtebEncoder(load(args.model), args.name or Path(args.model).name, bar)
        for task in tasks:
            result = mteb.evaluate(model, [undecoded(task)], cache=None, co2_tracker=False, show_progress_bar=False)
            rows += [row for task_result in result.task_results for row in _rows(task_result)]
    if args.out:
        write_json(args.out / "mteb.json", rows)
    if args.json:
        emit_json({"model": model.mteb_model_meta.name, "revision": model.mteb_model_meta.revision, "tasks": rows})
        return 0
    say(table(rows))
    return 0


def table(rows: list[Json]) -> str:
    """The figures in percent, one line a task."""
    head = f"{'task':<28}" + "".join(f"{name.replace('_at_', '@'):>13}" for name in SHOWN)
    lines = [f"{row['task']:<28}" + "".join(f"{100 * row['scores'][name]:13.2f}" for name in SHOWN) for row in rows]
    note = "papers' R@k of audio-to-text (any of five captions) is mteb's hit_rate@k; recall@k there is another number"
    return "\n".join([head, *lines, note])


def _task(mteb: Any, name: str, args: argparse.Namespace) -> Any:
    from askaudio.core.errors import ConfigError

    if name in LOCAL:
        from askaudio.cli.evaluate.inputs import read_data
        from askaudio.interop.mteb_task import local_task

        folder = Path(args.model)
        data = read_data(args, folder if (folder / "recipe.yaml").is_file() else None)
        return local_task(data.clips, name)  # type: ignore[arg-type]
    try:
        return mteb.get_task(name)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"mteb has no task {name!r}; for example AudioCapsT2ARetrieval, AudioCapsA2TRetrieval, "
            "ClothoT2ARetrieval.v2, ClothoA2TRetrieval.v2 (downloaded by mteb), or t2a and a2t with --data"
        ) from error


def _rows(result: Any) -> list[Json]:
    """One row for each split and subset that the task has."""
    return [
        {
            "task": result.task_name,
            "split": split,
            "subset": scores["hf_subset"],
            "main_score": scores["main_score"],
            "scores": {name: value for name, value in scores.items() if isinstance(value, (int, float))},
            "mteb": result.mteb_version,
        }
        for split, subsets in result.scores.items()
        for scores in subsets
    ]
