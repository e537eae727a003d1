"""List the named models, show their cards, and fetch the models that are not shipped.

Examples:
  askaudio models                                    all named models
  askaudio models --measure                          measure the installed ones on this machine, too
  askaudio models show efficientat                   its model card: data, licences, figures, weaknesses
  askaudio models compare small efficientat --data ~/sounds/manifest.jsonl     which is better on your own sounds
  askaudio models pull efficientat                   fetch its files once (4 MB), checked against their checksums
  askaudio models pull clap --from /media/usb        the same on a machine without a network
  askaudio models pull hf:laion/clap-htsat-fused     any ClapModel or sentence-transformers model (extra hf)
  askaudio index ~/sounds --model efficientat        use one

Pulled files are kept in ~/.cache/askaudio/models, or in the folder ASKAUDIO_MODELS. No other command downloads.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from askaudio.cli.output import count_of, emit_json, progress_bar, say
from askaudio.core.errors import ConfigError

if TYPE_CHECKING:
    from askaudio.core.types import Json
    from askaudio.encoders.encoder import Encoder
    from askaudio.encoders.registry import Model

HELP = "list models, show their cards, fetch the ones that are not shipped"
VERBS = ("list", "show", "pull", "compare")
SPEEDS_FILE = "speeds.json"
REPEAT = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio models``."""
    parser.add_argument("verb", nargs="?", default="list", choices=list(VERBS), help="default: list")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="show, pull: one model; compare: two or more, any spec"
    )
    parser.add_argument("--from", dest="source", metavar="FOLDER", help="pull: take the files from here instead")
    parser.add_argument("--measure", action="store_true", help="list: measure the speed of the installed models")
    parser.add_argument("--data", metavar="SPEC", help="compare: sounds with texts or labels, see askaudio data")
    parser.add_argument("--split", default="all", choices=("train", "val", "test", "all"), help="compare: default all")


def run(args: argparse.Namespace) -> int:
    """Do one of the verbs."""
    if args.verb == "list":
        if args.names or args.source:
            raise ConfigError("list takes no name and no --from; did you mean: askaudio models pull NAME?")
        return _list(args)
    if args.verb == "compare":
        return _compare(args)
    if len(args.names) != 1:
        raise ConfigError(f"which model? For example: askaudio models {args.verb} efficientat")
    args.name = args.names[0]
    return _show(args) if args.verb == "show" else _pull(args)


def _compare(args: argparse.Namespace) -> int:
    from askaudio.data.readers.open import open_dataset
    from askaudio.encoders.load import load
    from askaudio.search.model_table import answer_all, difference, table

    if len(args.names) < 2 or not args.data:
        raise ConfigError(
            "compare needs two models or more, and sounds: askaudio models compare small efficientat --data SPEC"
        )
    clips = open_dataset(args.data)
    chosen = list(clips if args.split == "all" else clips.split(args.split))
    rows = []
    for name in args.names:
        with progress_bar(f"answering with {name}", "sounds") as bar:
            rows.append(answer_all(load(name), chosen, bar))
    gains = {row.name: difference(rows[0], row) for row in rows[1:] if row.queries == rows[0].queries}
    if args.json:
        emit_json({"sounds": len(chosen), "models": [r.figures() for r in rows], "R@10_gain": gains})
    else:
        say(table(rows, gains))
    return 0


def _list(args: argparse.Namespace) -> int:
    from askaudio.encoders.registry import MODELS, models_folder

    speeds = _speeds(args.measure)
    rows = [{**describe(model), **speeds.get(model.name, {})} for model in MODELS.values()]
    if args.json:
        emit_json({"folder": str(models_folder()), "models": rows})
        return 0
    for row in rows:
        say(f"{row['name']:<12} {row['about']}")
        dim = f"embedding of {row['embed_dim']}" if row["embed_dim"] else "embedding unknown"
        say(f"{'':<12} {_state(row)}; {row['megabytes']:.1f} MB, {dim}; {row['licence']}; {row['languages']}")
        if "x_real_time" in row:
            say(f"{'':<12} here: {row['x_real_time']:,.0f} x real time on one core, a text in {row['text_ms']:.1f} ms")
        for score in row["scores"]:
            say(f"{'':<12} {score['what']} ({score['source']})")
    say("\nalso: an encoder or run folder, onnx:FOLDER, hf:NAME_OR_FOLDER, toy")
    return 0


def describe(model: Model) -> Json:
    """A model's registry entry as a JSON object."""
    return {
        "name": model.name,
        "about": model.about,
        "installed": model.is_installed(),
        "shipped": model.is_shipped() if model.shipped else None,
        "missing": [file.name for file in model.missing()],
        "megabytes": round(model.size_bytes / 1e6, 1),
        "embed_dim": model.embed_dim,
        "licence": model.licence,
        "languages": model.languages,
        "scores": [{"what": score.what, "source": score.source} for score in model.scores],
    }


def _state(row: Json) -> str:
    if row["installed"]:
        return "installed"
    if row["shipped"] is False:
        return "this package was built without its weights"
    return f"get it with: askaudio models pull {row['name']}"


def _show(args: argparse.Namespace) -> int:
    from askaudio.encoders.registry import find_model

    model = find_model(args.name)
    card = model.card()
    if args.json:
        files = [{"name": f.name, "url": f.url, "sha256": f.sha256, "bytes": f.size_bytes} for f in model.files]
        emit_json({**describe(model), "files": files, "card": card})
        return 0
    say(card.rstrip())
    for file in model.files:
        say(f"\n{file.name}: {file.size_bytes} bytes, sha256 {file.sha256}\n  {file.url}")
    return 0


def _pull(args: argparse.Namespace) -> int:
    from askaudio.encoders.load import load
    from askaudio.encoders.pull import pull, pull_from
    from askaudio.encoders.registry import find_model

    if args.name.startswith("hf:"):
        return _pull_huggingface(args)
    model = find_model(args.name)
    with progress_bar(f"pull {model.name}", "MB") as bar:
        fetched = pull_from(model, args.source, bar) if args.source else pull(model, bar)
    usable = model.is_shipped()
    if usable:
        load(model.name)  # finds a damaged file now, not at the first search
    if args.json:
        emit_json({**describe(model), "fetched": [str(path) for path in fetched]})
        return 0
    how_many = count_of(len(fetched), "file")
    say(f"{model.name}: {how_many} fetched into {model.folder}" if fetched else f"{model.name} is complete")
    if usable:
        say(f"next: askaudio index FOLDER --model {model.name}")
    else:
        say(f"this package was built without the shipped part of {model.name}; what was pulled is kept")
    return 0


def _pull_huggingface(args: argparse.Namespace) -> int:
    from askaudio.encoders.huggingface import fetch

    if args.source:
        raise ConfigError(f"a folder needs no pulling; use it as it is: --model hf:{args.source}")
    folder = fetch(args.name.removeprefix("hf:"))
    if args.json:
        emit_json({"name": args.name, "folder": str(folder)})
    else:
        say(f"{args.name}: {folder}\nnext: askaudio index FOLDER --model {args.name}")
    return 0


def _speeds(measure: bool) -> dict[str, Json]:
    """Model -> x_real_time and text_ms, measured on this machine now or in an earlier run."""
    from askaudio.core.files import read_json, write_json
    from askaudio.encoders.load import load
    from askaudio.encoders.registry import MODELS, models_folder

    kept_file = models_folder() / SPEEDS_FILE
    kept: dict[str, Json] = read_json(kept_file) if kept_file.is_file() else {}
    if not measure:
        return kept
    installed = [name for name, model in MODELS.items() if model.is_installed()]
    with progress_bar("measuring", "models") as bar:
        for number, name in enumerate(installed):
            bar(number, len(installed), name)
            kept[name] = measure_speed(load(name))
    write_json(kept_file, kept)
    return kept


def measure_speed(encoder: Encoder) -> Json:
    """CPU time to encode one decoded window and one text: the fastest of several runs.

    CPU time, not wall time, so that other programs on the machine do not change the result.
    """
    import numpy as np

    samples = round(encoder.window_s * encoder.sample_rate_hz)
    sound = (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)

    def seconds(work: Callable[[], object]) -> float:
        work()  # opens the graph
        took = []
        for _ in range(REPEAT):
            began = time.process_time()
            work()
            took.append(time.process_time() - began)
        return max(min(took), 1e-9)

    text = "a dog barks while rain falls on a tin roof"
    return {
        "x_real_time": round(encoder.window_s / seconds(lambda: encoder.encode_audio([sound])), 1),
        "text_ms": round(1000 * seconds(lambda: encoder.encode_text([text])), 2),
    }
