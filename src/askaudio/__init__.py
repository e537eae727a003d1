"""askaudio: find any sound by describing it. Public names are loaded on first use, so importing costs nothing."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# public name -> module that holds it
_HOMES = {
    "ASK": "askaudio.ask.objective",
    "KnowledgeBase": "askaudio.knowledge.base.knowledge_base",
    "DualEncoder": "askaudio.models.dual_encoder",
    "SearchEngine": "askaudio.search.engine",
    "evaluate": "askaudio.evaluation.evaluate",
    "load": "askaudio.encoders.load",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'askaudio' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
