"""Check the import rules of the package, and print its import graph.

    python tools/check_imports.py                  exit code 1 and one line per fault
    python tools/check_imports.py --graph          packages, layers, sizes, imports and cycles as a table
    python tools/check_imports.py --graph --root DIR   the same for another checkout

The rules: a package imports only packages of lower layers; there are no import cycles between files, where imports
inside functions, imports for types only and the benchmark scripts count too; torch is imported only by the packages
that train; the command line imports heavy libraries inside functions; no package holds more than a tenth of the lines.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# package -> layer; a package may import any package of a lower layer, none of its own layer or above
LAYERS = {
    "core": 1,
    "audio": 2, "config": 2, "evaluation": 2, "index": 2, "knowledge": 2, "losses": 2, "measurements": 2,
    "ask": 3, "data": 3, "encoders": 3, "engines": 3,
    "checks": 4, "ingest": 4, "models": 4, "moments": 4, "projects": 4, "scenes": 4,
    "delivery": 5, "duplicates": 5, "export": 5, "interop": 5, "search": 5, "tagging": 5, "training": 5,
    "pipeline": 6, "server": 6,
    "cli": 7,
}  # fmt: skip
# these packages work with torch uninstalled
TORCH_FREE = {
    "audio", "checks", "cli", "config", "core", "data", "delivery", "duplicates", "encoders", "engines", "evaluation",
    "index", "ingest", "measurements", "moments", "projects", "scenes", "search", "server", "tagging",
}  # fmt: skip
# imported only inside functions of the command line, so that ``--help`` is instant
HEAVY = {
    "numpy", "torch", "lancedb", "faiss", "onnxruntime", "lightning", "soundfile", "fastapi", "matplotlib", "rich",
    "yaml", "scipy", "uvicorn", "tokenizers",
}  # fmt: skip
LIGHTNING = {"training", "interop"}
# packages whose functions may import modules of askaudio, and single files that choose one of several implementations
LATE_PACKAGES = {"cli", "server"}
LATE_FILES = {"encoders/load.py", "engines/open.py"}
# old module names that saved files contain: they only import the new module
OLD_NAMES = {"models/st_module.py"}
BAD_NAMES = {"utils.py", "common.py", "helpers.py"}
SCRIPT_FOLDERS = ("benchmarks", "reproduce", "examples")
LARGEST_SHARE = 0.10


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        name: Dotted name; ``from a.b import c`` is ``a.b.c``, whether c is a module or not.
        line: Line of the statement.
        late: Inside a function.
        typing_only: Inside ``if TYPE_CHECKING:``.
    """

    name: str
    line: int
    late: bool
    typing_only: bool

    @property
    def at_start(self) -> bool:
        """Whether the import is executed when the file is imported."""
        return not self.late and not self.typing_only


@dataclass(frozen=True)
class Module:
    """One file.

    Attributes:
        path: Relative to the folder of the package, with "/".
        dotted: Dotted name.
        lines: Number of lines.
        has_docstring: Whether it begins with a docstring.
        imports: All imports, in any order.
    """

    path: str
    dotted: str
    lines: int
    has_docstring: bool
    imports: tuple[Import, ...]

    @property
    def package(self) -> str:
        """Name of the package of askaudio that holds the file; "" for files outside the packages."""
        return self.path.split("/")[0] if "/" in self.path else ""


Modules = dict[str, Module]  # by dotted name
Graph = dict[str, set[str]]  # name -> names that it imports


def read_modules(folder: Path, root_name: str) -> Modules:
    """All Python files below a folder whose dotted name is ``root_name``."""
    modules = {}
    for file in sorted(folder.rglob("*.py")):
        path = file.relative_to(folder).as_posix()
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(file))
        dotted = ".".join([root_name, *path.removesuffix(".py").split("/")])
        package = dotted.rpartition(".")[0]
        if file.name == "__init__.py":
            dotted = package
        has_docstring = ast.get_docstring(tree) is not None
        imports = tuple(_imports(tree, package))
        modules[dotted] = Module(path, dotted, source.count("\n") + 1, has_docstring, imports)
    return modules


def _imports(tree: ast.Module, package: str) -> Iterator[Import]:
    """Imports of a file in a package; relative ones are resolved."""
    typing_blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    typing_only = {id(n) for block in typing_blocks for statement in block.body for n in ast.walk(statement)}
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = {id(n) for function in functions for n in ast.walk(function)}
    for node in ast.walk(tree):
        for name in _names(node, package):
            yield Import(name, getattr(node, "lineno", 0), id(node) in late, id(node) in typing_only)


def _names(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:  # one dot is the package of the file, each further dot the package above
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, *([base] if base else [])])
    return [f"{base}.{alias.name}" for alias in node.names]


# --- graphs -----------------------------------------------------------------------------------------------------


def file_graph(modules: Modules) -> Graph:
    """Imports between files."""
    graph: Graph = {}
    for dotted, module in modules.items():
        names = {i.name if i.name in modules else i.name.rpartition(".")[0] for i in module.imports}
        graph[dotted] = {name for name in names if name in modules and name != dotted}
    return graph


def package_graph(modules: Modules) -> Graph:
    """Imports between packages."""
    graph: Graph = {module.package: set() for module in modules.values() if module.package}
    for dotted, imported in file_graph(modules).items():
        if package := modules[dotted].package:
            graph[package] |= {modules[name].package for name in imported} - {package, ""}
    return graph


def find_cycle(graph: Graph) -> list[str]:
    """One cycle, each name imported by the one before it, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def package_sizes(modules: Modules) -> dict[str, int]:
    """Lines per package."""
    sizes: dict[str, int] = {}
    for module in modules.values():
        if module.package:
            sizes[module.package] = sizes.get(module.package, 0) + module.lines
    return sizes


def without_old_names(modules: Modules) -> Modules:
    """The modules without those that exist only for saved files."""
    return {dotted: module for dotted, module in modules.items() if module.path not in OLD_NAMES}


# --- rules ------------------------------------------------------------------------------------------------------


def check(root: Path) -> list[str]:
    """All faults of a checkout."""
    modules = read_modules(root / "src" / "askaudio", "askaudio")
    faults = sorted({fault for module in modules.values() for fault in _module_faults(module)})
    faults += _cycle_faults(without_old_names(modules), "src/askaudio")
    for folder in SCRIPT_FOLDERS:
        for place in sorted({path.parent for path in (root / folder).rglob("*.py")}):
            faults += _cycle_faults(_scripts(place), place.relative_to(root).as_posix())
    return faults + list(_size_faults(modules))


def _module_faults(module: Module) -> Iterator[str]:
    first_line = f"{module.path}:1"
    if module.path.split("/")[-1] in BAD_NAMES:
        yield f"{first_line}: choose a name that says what the file holds"
    if not module.has_docstring:
        yield f"{first_line}: the file needs a docstring that says what it is"
    if module.package and module.package not in LAYERS:
        yield f"{first_line}: package {module.package} has no layer in tools/check_imports.py"
        return
    for found in module.imports:
        for fault in (_library_fault(module.package, found), _package_fault(module, found)):
            if fault:
                yield f"{module.path}:{found.line}: {fault}"


def _library_fault(package: str, found: Import) -> str:
    """What is wrong with the import of another library; "" if nothing is."""
    library = found.name.split(".")[0]
    if library == "torch" and package in TORCH_FREE and found.at_start:
        return f"{package} must work without torch; move the import into a function or the file to another package"
    if library == "lightning" and package not in LIGHTNING:
        return f"only {' and '.join(sorted(LIGHTNING))} import lightning"
    if library in HEAVY and package == "cli" and found.at_start:
        return f"the command line imports {library} only inside functions, so that --help is fast"
    return ""


def _package_fault(module: Module, found: Import) -> str:
    """What is wrong with an import between packages of askaudio; "" if nothing is."""
    package, parts = module.package, found.name.split(".")
    if parts[0] != "askaudio" or len(parts) < 2 or not package or module.path in OLD_NAMES:
        return ""
    other = parts[1]
    if other in LAYERS and other != package and LAYERS[other] >= LAYERS[package]:
        return f"{package} (layer {LAYERS[package]}) must not import {other} (layer {LAYERS[other]})"
    if found.late and package not in LATE_PACKAGES and module.path not in LATE_FILES:
        return f"import {found.name} at the top of the file"
    return ""


def _cycle_faults(modules: Modules, place: str) -> list[str]:
    cycle = find_cycle(file_graph(modules))
    return [f"{place}: import cycle {' -> '.join(cycle)}"] if cycle else []


def _size_faults(modules: Modules) -> Iterator[str]:
    total = sum(module.lines for module in modules.values())
    for package, lines in package_sizes(modules).items():
        if lines > LARGEST_SHARE * total:
            yield f"{package}: {lines} of {total} lines, the limit is {LARGEST_SHARE:.0%}; split the package"


def _scripts(folder: Path) -> Modules:
    """Scripts of one folder. They import each other by bare names, which are made relative to the folder here."""
    modules = read_modules(folder, "scripts")

    def resolved(found: Import) -> Import:
        bare = f"scripts.{found.name.split('.')[0]}"
        return replace(found, name=f"scripts.{found.name}") if bare in modules else found

    return {name: replace(m, imports=tuple(map(resolved, m.imports))) for name, m in modules.items()}


# --- output -----------------------------------------------------------------------------------------------------


def graph_table(root: Path) -> str:
    """Packages from top to bottom: layer computed from the imports, files, lines, and what each imports."""
    modules = without_old_names(read_modules(root / "src" / "askaudio", "askaudio"))
    sizes, between = package_sizes(modules), package_graph(modules)
    layers = _computed_layers(between)
    total = sum(module.lines for module in modules.values())
    rows = [f"{'package':<12} {'layer':>5} {'files':>5} {'lines':>6} {'share':>6}  imports"]
    for package in sorted(sizes, key=lambda p: (-layers.get(p, 0), p)):
        files = sum(module.package == package for module in modules.values())
        rows.append(
            f"{package:<12} {layers.get(package, '-'):>5} {files:>5} {sizes[package]:>6} "
            f"{sizes[package] / total:>6.1%}  {' '.join(sorted(between[package]))}"
        )
    n, edges = len(sizes), sum(map(len, between.values()))
    rows.append(
        f"{n} packages, {max(layers.values(), default=0)} layers, {len(modules)} files, {total} lines; "
        f"{edges} of {n * (n - 1) // 2} possible imports between packages; "
        f"cycles between packages: {' -> '.join(find_cycle(between)) or 'none'}; "
        f"between files: {' -> '.join(find_cycle(file_graph(modules))) or 'none'}"
    )
    return "\n".join(rows) + "\n"


def _computed_layers(between: Graph) -> dict[str, int]:
    """1 for packages that import none, else 1 more than the highest imported package; empty if there is a cycle."""
    layers: dict[str, int] = {}
    if not find_cycle(between):
        for package in TopologicalSorter(between).static_order():
            layers[package] = 1 + max((layers[other] for other in between[package]), default=0)
    return layers


def main() -> int:
    """Check, or print the graph; 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", action="store_true", help="print the import graph instead of checking")
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout to read")
    args = parser.parse_args()
    if args.graph:
        sys.stdout.write(graph_table(args.root))
        return 0
    faults = check(args.root)
    sys.stdout.write("\n".join(faults) + "\n" if faults else "imports follow the rules\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
