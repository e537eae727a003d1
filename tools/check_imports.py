"""Check the import rules of the package, and print its import graph.

    python tools/check_imports.py                  exit code 1 and one line per fault
    python tools/check_imports.py --graph          packages, layers, sizes, imports and cycles as a table
    python tools/check_imports.py --graph --root DIR   the same for another checkout

The rules: a package imports only packages of lower layers; no import cycles between files, late and type-only imports
and the benchmark scripts included; no torch outside the packages that train; heavy libraries are imported inside
functions in the command line; no package holds more than a tenth of the lines.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# package -> layer; a package may import any package of a lower layer, none of its own layer or above
LAYERS = {
    "core": 1,
    "audio": 2, "config": 2, "evaluation": 2, "index": 2, "knowledge": 2, "losses": 2,
    "ask": 3, "data": 3, "encoders": 3, "engines": 3,
    "checks": 4, "ingest": 4, "models": 4, "scenes": 4,
    "export": 5, "interop": 5, "search": 5, "training": 5,
    "pipeline": 6, "server": 6,
    "cli": 7,
}  # fmt: skip
# these packages work with torch uninstalled
TORCH_FREE = {
    "audio", "checks", "cli", "config", "core", "data", "encoders", "engines", "evaluation", "index", "ingest",
    "scenes", "search", "server",
}  # fmt: skip
# imported only inside functions of the command line, so that ``--help`` is instant
HEAVY = {
    "numpy", "torch", "lancedb", "faiss", "onnxruntime", "lightning", "soundfile", "fastapi", "matplotlib", "rich",
    "yaml", "scipy", "uvicorn", "tokenizers",
}  # fmt: skip
# files that choose one of several implementations and import only the chosen one
LATE_ALLOWED = {"encoders/load.py", "engines/open.py"}
# old module names that saved files contain: they only import the new module
OLD_NAMES = {"models/st_module.py"}
BAD_NAMES = {"utils.py", "common.py", "helpers.py"}
LARGEST_SHARE = 0.10


@dataclass
class Import:
    """One import statement: the module it names, its line, and where it stands in the file."""

    module: str
    line: int
    late: bool  # inside a function
    typing_only: bool


@dataclass
class Module:
    """One file of the package."""

    path: Path
    name: str  # relative path
    dotted: str
    lines: int
    docstring: bool
    imports: list[Import] = field(default_factory=list)

    @property
    def package(self) -> str:
        """Top-level package; "" for files beside the packages."""
        return self.name.split("/")[0] if "/" in self.name else ""


def read_modules(folder: Path, dotted_root: str) -> dict[str, Module]:
    """All files below a folder, keyed by dotted name."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        dotted = ".".join([dotted_root, *name.removesuffix(".py").removesuffix("__init__").strip("/").split("/")])
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        module = Module(path, name, dotted.strip("."), source.count("\n") + 1, ast.get_docstring(tree) is not None)
        module.imports = list(_imports(tree, module.dotted))
        modules[module.dotted] = module
    return modules


def _imports(tree: ast.Module, dotted: str) -> Iterator[Import]:
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    typing_only = {id(n) for block in blocks for n in ast.walk(block)}
    late = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: counted from the package that holds the file
                base = ".".join([*dotted.split(".")[: -node.level], *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            yield Import(name, node.lineno, id(node) in late, id(node) in typing_only)


def edges(modules: dict[str, Module]) -> dict[str, set[str]]:
    """Dotted name -> modules that it imports; ``from a.b import c`` is a.b.c where that is a module, else a.b."""
    graph: dict[str, set[str]] = {}
    for dotted, module in modules.items():
        named = (i.module if i.module in modules else i.module.rpartition(".")[0] for i in module.imports)
        graph[dotted] = {name for name in named if name in modules and name != dotted}
    return graph


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def check_module(module: Module) -> Iterator[str]:
    """Faults of one file: names, docstring, layers, torch, late imports."""
    if module.path.name in BAD_NAMES:
        yield f"{module.name}:1: choose a name that says what the file holds"
    if not module.docstring:
        yield f"{module.name}:1: the file needs a docstring that says what it is"
    package = module.package
    if package and package not in LAYERS:
        yield f"{module.name}:1: package {package} has no layer in tools/check_imports.py"
        return
    for found in module.imports:
        where, parts = f"{module.name}:{found.line}", found.module.split(".")
        at_import = not found.late and not found.typing_only
        if parts[0] == "torch" and package in TORCH_FREE and at_import:
            yield f"{where}: {package} must work without torch"
        if parts[0] == "lightning" and package not in ("training", "interop"):
            yield f"{where}: only training and interop import lightning"
        if parts[0] in HEAVY and package == "cli" and at_import:
            yield f"{where}: the command line imports {parts[0]} only inside functions"
        if parts[0] != "askaudio" or len(parts) < 2 or not package or module.name in OLD_NAMES:
            continue
        other = parts[1]
        if other in LAYERS and other != package and LAYERS[other] >= LAYERS[package]:
            yield f"{where}: {package} (layer {LAYERS[package]}) must not import {other} (layer {LAYERS[other]})"
        if found.late and package not in ("cli", "server") and module.name not in LATE_ALLOWED:
            yield f"{where}: import {found.module} at the top of the file"


def check(root: Path) -> list[str]:
    """All faults of a checkout."""
    modules = read_modules(root / "src" / "askaudio", "askaudio")
    faults = sorted({fault for module in modules.values() for fault in check_module(module)})
    kept = {name: m for name, m in modules.items() if m.name not in OLD_NAMES}
    if cycle := find_cycle(edges(kept)):
        faults.append("import cycle: " + " -> ".join(cycle))
    for folder in ("benchmarks", "reproduce", "examples"):
        for place in sorted({p.parent for p in (root / folder).rglob("*.py")}):
            scripts = _scripts(place)
            if cycle := find_cycle(edges(scripts)):
                faults.append(f"import cycle in {place.relative_to(root)}: " + " -> ".join(cycle))
    total = sum(m.lines for m in modules.values())
    for package, lines in _sizes(modules).items():
        if lines > LARGEST_SHARE * total:
            faults.append(f"{package}: {lines} of {total} lines; split it (the limit is {LARGEST_SHARE:.0%})")
    return faults


def _scripts(folder: Path) -> dict[str, Module]:
    """Scripts of one folder, by the bare or relative names under which they import each other."""
    modules = read_modules(folder, "scripts")
    for module in list(modules.values()):
        for found in module.imports:
            if f"scripts.{found.module.split('.')[0]}" in modules:
                found.module = f"scripts.{found.module}"
    return modules


def _sizes(modules: dict[str, Module]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for module in modules.values():
        if module.package:
            sizes[module.package] = sizes.get(module.package, 0) + module.lines
    return sizes


def print_graph(root: Path) -> None:
    """Packages from top to bottom: computed layer, files, lines, and what each imports."""
    modules = read_modules(root / "src" / "askaudio", "askaudio")
    modules = {name: m for name, m in modules.items() if m.name not in OLD_NAMES}
    graph = edges(modules)
    sizes = _sizes(modules)
    between: dict[str, set[str]] = {package: set() for package in sizes}
    for dotted, targets in graph.items():
        package = modules[dotted].package
        if package:
            between[package] |= {modules[t].package for t in targets} - {package, ""}
    layer: dict[str, int] = {}
    if not find_cycle(between):
        for package in TopologicalSorter(between).static_order():
            layer[package] = 1 + max((layer[p] for p in between[package]), default=0)
    total = sum(m.lines for m in modules.values())
    sys.stdout.write(f"{'package':<12} {'layer':>5} {'files':>5} {'lines':>6} {'share':>6}  imports\n")
    for package in sorted(sizes, key=lambda p: (-layer.get(p, 0), p)):
        files = sum(m.package == package for m in modules.values())
        sys.stdout.write(
            f"{package:<12} {layer.get(package, '-'):>5} {files:>5} {sizes[package]:>6} "
            f"{sizes[package] / total:>6.1%}  {' '.join(sorted(between[package]))}\n"
        )
    n, found = len(sizes), sum(map(len, between.values()))
    cycle = find_cycle(graph)
    sys.stdout.write(
        f"{n} packages, {max(layer.values(), default=0)} layers, {len(modules)} files, {total} lines; {found} of "
        f"{n * (n - 1) // 2} possible imports between packages; "
        f"cycles between packages: {' -> '.join(find_cycle(between)) or 'none'}; "
        f"between files: {' -> '.join(cycle) or 'none'}\n"
    )


def main() -> int:
    """Check, or print the graph; 1 when there are faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", action="store_true", help="print the import graph instead of checking")
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout to read")
    args = parser.parse_args()
    if args.graph:
        print_graph(args.root)
        return 0
    faults = check(args.root)
    sys.stdout.write("\n".join(faults) + "\n" if faults else "imports follow the rules\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
