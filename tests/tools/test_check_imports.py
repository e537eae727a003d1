"""The import rules, on small made-up packages: each fault gives exactly its own line."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check_imports.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_imports", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_imports"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def layers(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that do not change with the real ones."""
    names = {"core": 1, "index": 2, "losses": 2, "engines": 3, "models": 4, "search": 4, "interop": 5, "server": 5}
    monkeypatch.setattr(tool, "LAYERS", {**names, "cli": 7})


class Checkout:
    """A folder with files of a package; other packages make up most of the lines, so that none is too large."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for n in range(11):
            self.write(f"src/askaudio/filler{n}.py", "\n" * 20)

    def write(self, path: str, code: str, docstring: str = '"""A file."""') -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{docstring}\n{code}", encoding="utf-8")

    def package(self, path: str, code: str, docstring: str = '"""A file."""') -> None:
        self.write(f"src/askaudio/{path}", code, docstring)


@pytest.fixture
def checkout(tmp_path: Path, layers: None) -> Checkout:
    return Checkout(tmp_path)


def test_imports_downward_are_no_fault(tool: ModuleType, checkout: Checkout) -> None:
    checkout.package("core/types.py", "import numpy")
    checkout.package("index/store.py", "from askaudio.core.types import Json\nfrom askaudio.index import words")
    checkout.package("index/words.py", "from ..core import types")
    checkout.package("cli/main.py", "def main():\n    import numpy\n    from askaudio.index.store import VectorStore")
    checkout.package("models/tower.py", "import torch")
    checkout.package("engines/open.py", "def open_store():\n    from askaudio.engines.exact import ExactStore")
    assert tool.check(checkout.root) == []


@pytest.mark.parametrize(
    ("path", "code", "fault"),
    [
        (
            "index/store.py",
            "x = 1\nfrom askaudio.search.engine import SearchEngine",
            "3: index (layer 2) must not import search (layer 4)",
        ),
        ("index/store.py", "from askaudio.losses import ntxent", "2: index (layer 2) must not import losses (layer 2)"),
        ("index/store.py", "from ..search import engine", "2: index (layer 2) must not import search (layer 4)"),
        ("core/a/b.py", "from ...index import store", "2: core (layer 1) must not import index (layer 2)"),
        ("core/__init__.py", "from ..index import store", "2: core (layer 1) must not import index (layer 2)"),
        ("index/store.py", "import askaudio.server.app as app", "2: index (layer 2) must not import server (layer 5)"),
        (
            "index/store.py",
            "def f():\n    from askaudio.core import types",
            "3: import askaudio.core.types at the top of the file",
        ),
        (
            "index/store.py",
            "def f():\n    from . import words",
            "3: import askaudio.index.words at the top of the file",
        ),
        (
            "index/store.py",
            "import torch.nn",
            "2: index must work without torch; move the import into a function or the file to another package",
        ),
        ("models/tower.py", "def f():\n    import lightning", "3: only interop and training import lightning"),
        (
            "cli/main.py",
            "from numpy import zeros",
            "2: the command line imports numpy only inside functions, so that --help is fast",
        ),
        ("odd/file.py", "import torch", "1: package odd has no layer in tools/check_imports.py"),
        ("core/utils.py", "", "1: choose a name that says what the file holds"),
    ],
)
def test_one_fault(tool: ModuleType, checkout: Checkout, path: str, code: str, fault: str) -> None:
    checkout.package(path, code)
    assert tool.check(checkout.root) == [f"{path}:{fault}"]


def test_torch_for_types_or_inside_a_function_is_allowed(tool: ModuleType, checkout: Checkout) -> None:
    code = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import torch"
    checkout.package("index/store.py", code)
    assert tool.check(checkout.root) == []
    checkout.package(
        "index/store.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x = 1\nelse:\n    import torch"
    )
    (fault,) = tool.check(checkout.root)
    assert fault.startswith("index/store.py:6: index must work without torch")


def test_a_file_without_docstring(tool: ModuleType, checkout: Checkout) -> None:
    checkout.package("core/types.py", "x = 1", docstring="")
    assert tool.check(checkout.root) == ["core/types.py:1: the file needs a docstring that says what it is"]


def test_a_cycle_for_types_only(tool: ModuleType, checkout: Checkout) -> None:
    checkout.package(
        "core/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from askaudio.core.b import B"
    )
    checkout.package("core/b.py", "from askaudio.core import c")
    checkout.package("core/c.py", "from askaudio.core.a import A")
    (fault,) = tool.check(checkout.root)
    place, cycle = fault.split(": import cycle ")
    names = cycle.split(" -> ")
    assert place == "src/askaudio"
    assert names[0] == names[-1] and sorted(names[1:]) == [f"askaudio.core.{name}" for name in "abc"]
    follows = {
        "askaudio.core.a": "askaudio.core.b",
        "askaudio.core.b": "askaudio.core.c",
        "askaudio.core.c": "askaudio.core.a",
    }
    assert all(follows[first] == second for first, second in pairwise(names))


def test_a_cycle_of_an_old_name_does_not_count(tool: ModuleType, checkout: Checkout) -> None:
    checkout.package("models/st_module.py", "from askaudio.interop.module import *")
    checkout.package("interop/module.py", "from askaudio.models import st_module")
    assert tool.check(checkout.root) == []


@pytest.mark.parametrize("statement", ["import {}", "from {} import x", "from . import {}", "from .{} import x"])
def test_a_cycle_between_benchmark_scripts(tool: ModuleType, checkout: Checkout, statement: str) -> None:
    checkout.write("benchmarks/speed/run.py", "def f():\n    " + statement.format("tune"))
    checkout.write("benchmarks/speed/tune.py", statement.format("run"))
    checkout.write("benchmarks/other/run.py", "import tune")  # a script of another folder is another script
    (fault,) = tool.check(checkout.root)
    assert fault in (
        "benchmarks/speed: import cycle scripts.run -> scripts.tune -> scripts.run",
        "benchmarks/speed: import cycle scripts.tune -> scripts.run -> scripts.tune",
    )


def test_a_package_that_is_too_large(tool: ModuleType, checkout: Checkout) -> None:
    checkout.package("core/types.py", "\n" * 33)  # 35 lines of 277
    assert tool.check(checkout.root) == ["core: 35 of 277 lines, the limit is 10%; split the package"]


def test_the_graph_counts_packages_layers_and_imports(tool: ModuleType, checkout: Checkout) -> None:
    checkout.package("core/types.py", "")
    checkout.package("index/store.py", "from askaudio.core.types import Json")
    checkout.package("search/engine.py", "from askaudio.index import store\nfrom askaudio.core import types")
    rows = tool.graph_table(checkout.root).splitlines()
    assert [row.split()[:3] for row in rows[1:4]] == [["search", "3", "1"], ["index", "2", "1"], ["core", "1", "1"]]
    assert rows[1].split()[5:] == ["core", "index"]
    assert rows[4].startswith("3 packages, 3 layers, 14 files, ")
    assert "3 of 3 possible imports between packages; cycles between packages: none; between files: none" in rows[4]


def test_this_checkout_follows_the_rules(tool: ModuleType) -> None:
    assert tool.check(TOOL.parents[1]) == []
