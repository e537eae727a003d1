"""Pages of the docs site that come from the code, so that they cannot go stale: commands, recipes, the reference.

mkdocs calls ``on_files`` and ``on_post_build`` (see mkdocs.yml, ``hooks``). To read the pages without mkdocs:
``python tools/docs_pages.py FOLDER``.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "askaudio"
# package -> what it is for, the first line of its page
PACKAGES = {
    "search": "Search a collection by text or sound. No torch.",
    "projects": "What people keep of a collection: favourites, projects, notes, searches. No torch.",
    "delivery": "A selection as copies, archive, list or timeline, with credits. No torch.",
    "ingest": "Write a collection: walk folders, encode files, follow changes. No torch.",
    "encoders": "Open and use encoders. No torch.",
    "index": "The contract of vector stores, filters and entries. No torch.",
    "engines": "The vector stores, one file per engine. No torch.",
    "audio": "Decoding, windows, log-mel. No torch.",
    "data": "Captioned data sets: manifest and readers. No torch.",
    "checks": "Checks of captioned data sets: faults, duplicates, leaks. No torch.",
    "scenes": "Generated sound scenes with captions. No torch.",
    "evaluation": "Metrics, protocol, intervals, comparisons. No torch.",
    "ask": "The ASK objective, its state and its refresh. Extra `train`.",
    "knowledge": "The knowledge base, reliability, injection and refinement. Extra `train`.",
    "losses": "Contrastive losses between audio and text. Extra `train`.",
    "models": "Dual encoders and towers that train. Extra `train`.",
    "training": "The trainer: data, batches, checkpoints. Extra `train`.",
    "pipeline": "From a recipe to a trained and evaluated model. Extra `train`.",
    "export": "Write trained models for search without torch. Extra `train`.",
    "interop": "Adapters to other libraries. Extra `train`, and that of the library.",
    "core": "Errors, files, types: what every package uses.",
}
# layer by layer readings of one file format: nothing that a program outside would call
LEFT_OUT = {"encoders/efficientat_tower.py", "encoders/onnx_bytes.py"}
CLI_WIDTH = "100"


def public_modules(package: str) -> list[str]:
    """Dotted names of a package's modules that define a public class or function, ``askaudio.NAME`` first."""
    sys.path.insert(0, str(PACKAGE.parent))
    import askaudio

    found = []
    for path in sorted((PACKAGE / package).rglob("*.py")):
        if path.relative_to(PACKAGE).as_posix() in LEFT_OUT:
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        named = [node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        if any(not name.startswith("_") for name in named):
            found.append(".".join(("askaudio", *path.relative_to(PACKAGE).with_suffix("").parts)))
    return sorted(found, key=lambda name: name not in askaudio._MODULES.values())


def package_page(package: str) -> str:
    """The reference of one package: a directive for mkdocstrings a module."""
    return f"# {package}\n\n{PACKAGES[package]}\n" + "".join(f"\n::: {name}\n" for name in public_modules(package))


def cli_page() -> str:
    """Every command's ``--help``, made by the parsers themselves."""
    sys.path.insert(0, str(PACKAGE.parent))
    from askaudio import cli

    os.environ["COLUMNS"] = CLI_WIDTH  # argparse breaks lines at the width of the terminal it thinks it has
    os.environ["NO_COLOR"] = "1"
    page = ["# Commands\n\n`askaudio COMMAND --help` prints the same. Exit codes: 0 done, 1 a check failed or "
            "nothing was found, 2 wrong input, 130 interrupted. Every command takes `--json`.\n"]  # fmt: skip
    for name, line in cli.COMMANDS.items():
        parser = cli._command_parser(name)[0]
        page.append(f"## askaudio {name}\n\n{_sentence(line)}\n\n{_fenced(parser.format_help())}")
        for verb, sub in _verbs(parser).items():
            page.append(f"### askaudio {name} {verb}\n\n{_fenced(sub.format_help())}")
    return "\n".join(page)


def recipes_page() -> str:
    """All keys with their defaults, and every shipped recipe as it is."""
    sys.path.insert(0, str(PACKAGE.parent))
    from askaudio.config.load import dump_recipe
    from askaudio.config.schema import Recipe

    keys = _fenced(dump_recipe(Recipe(), "all keys with their defaults"), "yaml")
    page = [
        "# Recipes\n\nWhat `askaudio train` takes: a shipped recipe by its name, or a `.yaml` file of your own with "
        "the keys that differ. Each key can be set behind it: `askaudio train demo train.lr=0.0005`.\n",
        f"## All keys\n\nWith their defaults, as `askaudio train --keys` prints them.\n\n{keys}",
    ]
    for path in sorted((PACKAGE / "config" / "recipes").glob("*.yaml")):
        page.append(f"## {path.stem}\n\n{_fenced(path.read_text(encoding='utf-8'), 'yaml')}")
    return "\n".join(page)


def generated_pages() -> dict[str, str]:
    """Path in docs/ -> Markdown, for every page that comes from the code."""
    packages = {f"reference/askaudio.{package}.md": package_page(package) for package in PACKAGES}
    return {"reference/commands.md": cli_page(), "reference/recipes.md": recipes_page(), **packages}


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs with the pages in docs/: adds those that come from the code."""
    from mkdocs.structure.files import File

    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_post_build(config: Any) -> None:
    """Called by mkdocs when all is written: no script of the theme may ask another site for anything.

    Raises:
        PluginError: A page would still load something from elsewhere.
    """
    from mkdocs.exceptions import PluginError

    site = Path(config["site_dir"])
    for script in site.glob("assets/javascripts/**/*.js"):
        text = script.read_text(encoding="utf-8")
        # polyfills and diagrams that the theme would fetch from a CDN when a page is opened in an unusual way
        kept = text.replace("https://unpkg.com/", "assets/none/")
        if kept != text:
            script.write_text(kept, encoding="utf-8")
    if loads := outside_loads(site):
        raise PluginError("these pages would ask other sites: " + "; ".join(loads[:5]))


def outside_loads(site: Path) -> list[str]:
    """What built pages would load from elsewhere, as ``page: address``."""
    elsewhere = r"[\"']?((?:https?:)?//[^\"' >)]+)"
    in_pages = re.compile(
        rf"<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc={elsewhere}"
        rf"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\bhref={elsewhere}"
    )
    in_sheets = re.compile(rf"(?:@import|url\()\s*{elsewhere}()")
    found = []
    for suffix, loading in (("html", in_pages), ("css", in_sheets)):
        for path in sorted(site.rglob(f"*.{suffix}")):
            hits = loading.finditer(path.read_text(encoding="utf-8"))
            found += [f"{path.relative_to(site)}: {hit[1] or hit[2]}" for hit in hits]
    return found


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(nested[0].choices) if nested else {}


def _fenced(text: str, language: str = "text") -> str:
    return f"````{language}\n{text.rstrip()}\n````\n"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def main() -> int:
    """Write the pages into a folder."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    for path, text in generated_pages().items():
        target = Path(sys.argv[1]) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
