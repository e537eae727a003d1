"""``import askaudio``: every name is there, typed, and costs nothing before it is used."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import askaudio

SOURCE = Path(askaudio.__file__).parents[1]
TRAINING = {"ASK", "KnowledgeBase", "DualEncoder"}


def test_import_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import json, sys, time\n"
        "before = time.process_time()\n"
        "import askaudio\n"
        "spent = time.process_time() - before\n"
        "heavy = [m for m in ('numpy', 'torch', 'lancedb', 'onnxruntime') if m in sys.modules]\n"
        "print(json.dumps([spent, heavy]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    spent_s, heavy = json.loads(done.stdout)
    assert heavy == []
    assert spent_s < 0.1, f"{spent_s:.3f} s of CPU"


def test_every_name_resolves_to_its_own_object() -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    for name in askaudio.__all__:
        value = getattr(askaudio, name)
        if isinstance(value, type):
            assert value.__name__ == name
    assert askaudio.load is askaudio.load_encoder
    assert set(askaudio.__all__) <= set(dir(askaudio))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = askaudio.nothing


def test_mypy_sees_the_type_of_every_name(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("needs mypy")
    names = [name for name in askaudio.__all__ if name != "__version__"]
    lines = ["import askaudio", *(f"reveal_type(askaudio.{name})" for name in names)]
    lines.append('reveal_type(askaudio.SearchEngine.build("x").search("rain", avoid="thunder"))')
    (tmp_path / "snippet.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent", "snippet.py"]
    environment = {"MYPYPATH": str(SOURCE), "MYPY_CACHE_DIR": str(tmp_path / "cache"), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    revealed = [line.split("Revealed type is ")[1] for line in done.stdout.splitlines() if "Revealed type" in line]
    assert len(revealed) == len(names) + 1, done.stdout + done.stderr
    unknown = [name for name, text in zip(names, revealed, strict=False) if text.strip("'\"") == "Any"]
    assert unknown == []
    assert revealed[-1].strip('"') == "askaudio.search.hits.Hits"
