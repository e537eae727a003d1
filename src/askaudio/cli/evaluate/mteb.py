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
    """Score the model on the named tasks and print one row per task; returns 0.

    Raises:
        ConfigError: No model, a task that mteb does not have, or a local task without --data.
    """
    from askaudio.core.errors import ConfigError
    from askaudio.core.extras import require
    from askaudio.core.files import write_json
    from askaudio.encoders.load import load_encoder

    if not args.model:
        raise ConfigError("--mteb scores a model: askaudio evaluate MODEL --mteb AudioCapsT2ARetrieval")
    require("mteb", "mteb")
    from askaudio.interop.mteb_encoder import MtebEncoder
    from askaudio.interop.mteb_task import evaluate_tasks

    tasks = [_task(name, args) for name in args.mteb.split(",")]
    with progress_bar("encoding") as progress:
        model = MtebEncoder(load_encoder(args.model), args.name or Path(args.model).name, progress)
        rows = evaluate_tasks(model, tasks)
    if args.out:
        write_json(args.out / "mteb.json", rows)
    if args.json:
        emit_json({"model": model.mteb_model_meta.name, "revision": model.mteb_model_meta.revision, "tasks": rows})
        return 0
    say(table(rows))
    return 0


def table(rows: list[Json]) -> str:
    """The metrics in percent, one line per task."""
    head = f"{'task':<28}" + "".join(f"{name.replace('_at_', '@'):>13}" for name in SHOWN)
    lines = [f"{row['task']:<28}" + "".join(f"{100 * row['scores'][name]:13.2f}" for name in SHOWN) for row in rows]
    note = "papers' R@k of audio-to-text (any of five captions) is mteb's hit_rate@k; recall@k there is another number"
    return "\n".join([head, *lines, note])


def _task(name: str, args: argparse.Namespace) -> Any:
    from askaudio.cli.evaluate.data import read_data
    from askaudio.interop.mteb_task import local_task, named_task

    if name not in LOCAL:
        return named_task(name)
    return local_task(read_data(args, need_audio=True).clips, name)  # type: ignore[arg-type]
