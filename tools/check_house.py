"""Keep the house's rules: which way imports run, what is torch-free, no utils rooms, no late imports elsewhere.

Run: python tools/check_house.py    (exit 1 and one line a fault)
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "src" / "askaudio"
FLOORS = {
    "core": 1,
    "audio": 2, "index": 2, "evaluation": 2, "losses": 2, "knowledge": 2,
    "models": 3, "data": 3,
    "training": 4, "search": 4,
    "config": 5, "server": 5,
    "cli": 6,
}  # fmt: skip
# data may read audio and evaluation types; the rest of this table is what a smaller number alone would allow wrongly
FORBIDDEN = {
    ("search", "training"), ("search", "knowledge"), ("search", "losses"), ("search", "data"),
    ("training", "search"), ("training", "index"), ("training", "server"),
}  # fmt: skip
TORCH_FREE = {"core", "audio", "index", "evaluation", "search", "server", "cli"}
TORCH_FREE_FILES = {
    "models/__init__.py",
    "models/encoder.py",
    "models/toy.py",
    "models/onnx.py",
    "models/build.py",
    "models/session.py",
    "models/efficientat.py",
    "models/efficientat_tower.py",
    "models/efficientat_encoder.py",
    "models/onnx_bytes.py",
    "models/registry.py",
    "models/clap.py",
    "models/pull.py",
}
# heavy packages that the torch-free rooms may import only inside functions, so that --help and import stay fast
HEAVY_IN_CLI = {
    "numpy", "torch", "lancedb", "faiss", "onnxruntime", "lightning", "soundfile", "fastapi", "matplotlib", "rich",
    "yaml", "scipy", "uvicorn", "tokenizers",
}  # fmt: skip
# where optional rooms are opened, late imports of our own package are right
LATE_ALLOWED = {"models/build.py", "index/open.py", "config/assemble.py", "__init__.py"}
BAD_NAMES = {"utils.py", "common.py", "helpers.py"}


def _imports(tree: ast.AST) -> list[tuple[ast.stmt, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.append((node, node.module))
    return found


def _is_typing_only(tree: ast.Module, node: ast.stmt) -> bool:
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    return any(node in ast.walk(block) for block in blocks)


def check_file(path: Path) -> list[str]:
    """All faults of one file, each as ``path:line: what``."""
    name = path.relative_to(ROOT).as_posix()
    room = name.split("/")[0] if "/" in name else None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(tree.body)
    for node in tree.body:  # imports under a top-level try or if count as top level
        if isinstance(node, (ast.Try, ast.If)):
            top |= set(ast.walk(node))
    faults = [f"{name}:1: no room is called {path.name}"] if path.name in BAD_NAMES else []
    if not ast.get_docstring(tree):
        faults.append(f"{name}:1: the file does not say in its first lines what it is")
    for node, module in _imports(tree):
        where, parts = f"{name}:{node.lineno}", module.split(".")
        typing_only = _is_typing_only(tree, node)
        if parts[0] == "torch" or parts[0] == "lightning":
            light = room in TORCH_FREE or name in TORCH_FREE_FILES
            if light and node in top and not typing_only:
                faults.append(f"{where}: {room} must work without torch")
            if parts[0] == "lightning" and room != "training":
                faults.append(f"{where}: only training knows the trainer library")
        if room == "cli" and node in top and parts[0] in HEAVY_IN_CLI:
            faults.append(f"{where}: the command line imports {parts[0]} only inside functions")
        if parts[0] != "askaudio" or room is None or len(parts) < 2:
            continue
        other = parts[1]
        if other not in FLOORS:
            continue
        if other != room and (FLOORS[other] >= FLOORS[room] or (room, other) in FORBIDDEN):
            faults.append(f"{where}: {room} [{FLOORS[room]}] must not import {other} [{FLOORS[other]}]")
        late = node not in top
        if late and name not in LATE_ALLOWED and room not in ("cli", "server"):
            faults.append(f"{where}: a late import of {module} hides a circle; move the definition")
    return faults


def main() -> int:
    """Check every file; print the faults; 0 when there is none."""
    faults = [fault for path in sorted(ROOT.rglob("*.py")) for fault in check_file(path)]
    print("\n".join(faults) if faults else "the house stands: imports run one way")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
