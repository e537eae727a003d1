"""Entry of the one-file build: the command line, and the processes that it starts of itself."""

from __future__ import annotations

import multiprocessing
import runpy
import sys


def main() -> int:
    """Run the command line; ``-m MODULE`` runs a module, as the server starts its decoder and its indexing."""
    multiprocessing.freeze_support()
    if sys.argv[1:2] == ["-m"] and sys.argv[2:3] and sys.argv[2].startswith("askaudio."):
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return 0
    from askaudio.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
