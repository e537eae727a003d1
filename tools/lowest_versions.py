"""Print pip constraints that pin each dependency to the lowest version that pyproject.toml allows.

    python tools/lowest_versions.py > lowest.txt               what `pip install askaudio` needs
    python tools/lowest_versions.py train hf > lowest.txt      these extras as well

``make test-lowest`` installs under these constraints and runs the tests that need no torch.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest(requirement: str) -> str | None:
    """``name>=1.2,<2`` -> ``name==1.2``; None without a lower bound. Extras are dropped: constraints have none."""
    found = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*[>=]=\s*([\w.]+)", requirement)
    return f"{found[1]}=={found[2]}" if found else None


def main() -> int:
    """Print one constraint a line."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    if unknown := [name for name in sys.argv[1:] if name not in extras]:
        sys.stderr.write(f"no extra {unknown[0]}; the extras are {', '.join(extras)}\n")
        return 2
    requirements = [*project["dependencies"], *(r for name in sys.argv[1:] for r in extras[name])]
    sys.stdout.write("".join(f"{pin}\n" for pin in dict.fromkeys(map(lowest, requirements)) if pin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
