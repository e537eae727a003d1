"""The whole product in five minutes, from nothing: no file, no network, two cores.

Makes a captioned library of scenes from synthesised sounds, indexes a part of it with the shipped model and answers
three queries. Where the extra ``train`` is installed, it then trains a small model on the library, evaluates it on
scenes that were not in training, and answers the queries with it. Every step is a command that you can use on your own
sounds; it is printed before it runs. If the demo is stopped, run it again: it continues.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askaudio.cli.output import emit_json, progress_bar, say
from askaudio.core.errors import MissingExtraError
from askaudio.core.extras import require

HELP = "make sounds, index, search, train and evaluate, with nothing but this package"

EXAMPLES = """examples:
  askaudio demo                     into the folder demo/
  askaudio demo --open              and open the search page at the end
  askaudio demo --out /tmp/demo --quick
  askaudio demo --json > demo.json

afterwards:
  askaudio search "a bell rings" --collection demo/collection
  askaudio serve --collection demo/collection
"""

QUERIES = ("a telephone is ringing", "a dog is barking", "an owl hoots in the distance")


@dataclass(frozen=True)
class Size:
    """How much is made and trained.

    Attributes:
        counts: Scenes of each split.
        duration_s: Length of a scene.
        overrides: Keys of the recipe ``demo``.
    """

    counts: dict[str, int]
    duration_s: float
    overrides: tuple[str, ...]


FULL = Size({"train": 1000, "val": 100, "test": 250}, 5.0, ())
QUICK = Size(
    {"train": 48, "val": 8, "test": 12}, 4.0, ("train.epochs=2", "train.batch_size=16", "model.embed_dim=64")
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``askaudio demo``."""
    parser.epilog = EXAMPLES
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything (default: demo)")
    parser.add_argument("--seed", type=int, default=0, help="other sounds, other first weights")
    parser.add_argument("--open", action="store_true", help="at the end, open the search page in the browser")
    parser.add_argument("--quick", action="store_true", help="a run of seconds that shows every step and learns little")


def run(args: argparse.Namespace) -> int:
    """Run the steps one after another; the exit code is that of the first that fails."""
    demo = Demo(args.out, args.seed, QUICK if args.quick else FULL, args.json)
    code = demo.run()
    if code == 0 and args.json:
        emit_json(demo.results)
    if code == 0 and args.open:
        from askaudio.cli import main

        return main(["serve", "--collection", str(demo.collection), "--open"])
    return code


class Demo:
    """The steps of the demo.

    Args:
        out: Folder for library, run and collection.
        seed: Of sounds and weights.
        size: How much.
        as_json: Collect results instead of printing them.
    """

    def __init__(self, out: Path, seed: int, size: Size, as_json: bool) -> None:
        self.library, self.trained = out / "library", out / "run"
        self.shipped_collection, self.trained_collection = out / "collection-small", out / "collection"
        self.collection = self.shipped_collection  # the newest that was made
        self.seed, self.size, self.as_json = seed, size, as_json
        self.results: dict[str, Any] = {"seconds": {}}

    def run(self) -> int:
        """All steps; 0 when all went well."""
        began = time.monotonic()
        self._captions = self._sounds()
        code = self._index_and_ask("small")
        if not code and not (code := self._train()):
            self.results["seconds"]["all"] = round(time.monotonic() - began, 1)
            self._what_next()
        return code

    def _train(self) -> int:
        """Train, evaluate, index and search; where the extra is missing, say how to install it and skip all that."""
        try:
            for module in ("torch", "lightning", "onnx", "onnxscript"):
                require(module, "train")
        except MissingExtraError as error:
            self.results["training"] = {"skipped": str(error)}
            self._say("\nThe training part of the demo needs more packages. Install them and run the demo again:")
            self._say("  pip install 'askaudio[train]'")
            return 0
        for name, command in (("train", self._train_command()), ("evaluate", ["evaluate", str(self.trained)])):
            if code := self._step(name, command):
                return code
        self.collection = self.trained_collection
        return self._index_and_ask(str(self.trained))

    def _index_and_ask(self, model: str) -> int:
        sounds = str(self.library / "audio" / "test")
        if code := self._step("index", ["index", sounds, "--collection", str(self.collection), "--model", model]):
            return code
        for query in QUERIES:
            if code := self._ask(query, self._captions):
                return code
        return 0

    def _sounds(self) -> dict[str, str]:
        """Make the library; file name -> first caption."""
        from askaudio.scenes.library import synthesised_scenes
        from askaudio.scenes.write import write_scenes

        began = time.monotonic()
        scenes = synthesised_scenes(
            self.size.counts,  # type: ignore[arg-type]
            seed=self.seed,
            duration_s=self.size.duration_s,
            sample_rate_hz=16000,
        )
        kinds = len(scenes.source.labels)
        self._say(f"making {len(scenes)} scenes from {kinds} kinds of synthesised sound in {self.library}")
        with progress_bar("scenes") as progress:
            manifest = write_scenes(scenes, self.library, workers=os.cpu_count() or 1, progress=progress)
        self.results["library"] = {"clips": len(manifest), "captions": manifest.n_captions, "kinds": kinds}
        self.results["seconds"]["sounds"] = round(time.monotonic() - began, 1)
        for clip in manifest.split("test").clips[:3]:
            self._say(f'  {clip.path}: "{clip.captions[0].text}"')
        return {Path(clip.path).name: clip.captions[0].text for clip in manifest}

    def _train_command(self) -> list[str]:
        manifest = f"data.manifest={self.library / 'manifest.jsonl'}"
        cache = f"data.cache={self.library.parent / 'features'}"
        options = ["--out", str(self.trained)]
        if (self.trained / "state").exists():
            options.append("--resume")
        return ["train", "demo", manifest, cache, f"seed={self.seed}", *self.size.overrides, *options]

    def _step(self, name: str, command: list[str], show: bool = True) -> int:
        """Run one command of the command line; its JSON is kept, or its text shown."""
        from askaudio.cli import main

        self._say(f"\n$ askaudio {shlex.join(command)}")
        began = time.monotonic()
        if show and not self.as_json:
            code = main(command)
        else:
            text = io.StringIO()
            with redirect_stdout(text):
                code = main([*command, "--json"])
            if code == 0:
                self.results[name] = json.loads(text.getvalue())
        self.results["seconds"][name] = round(time.monotonic() - began, 1)
        return code

    def _ask(self, query: str, captions: dict[str, str]) -> int:
        """Search by sound alone (not by names and captions), and show what the hits really are."""
        command = ["search", query, "--collection", str(self.collection), "--top", "3", "--vectors-only"]
        if code := self._step(query, command, show=False):
            return code
        for rank, hit in enumerate(self.results[query], start=1):
            name = Path(hit["path"]).name
            self._say(f'  {rank}  {hit["score"]:+.3f}  {name}  it is: "{captions[name]}"')
        return 0

    def _what_next(self) -> None:
        minutes = self.results["seconds"]["all"] / 60
        self._say(f"\ndone in {minutes:.1f} minutes")
        if "evaluate" in self.results["seconds"]:
            self._say(f"R@10 by chance would be {1000 / self.size.counts['test']:.1f}.")
            self._say("The trained model knows synthesised sounds only.")
        self._say("For your own sounds:")
        self._say("  askaudio index ~/sounds                         make a folder searchable")
        self._say("  askaudio train demo data.manifest=~/captioned data.split=group    train on your captioned folder")
        self._say(f"  askaudio serve --collection {self.collection} --open     search these sounds in a browser")

    def _say(self, text: str) -> None:
        if not self.as_json:
            say(text)
