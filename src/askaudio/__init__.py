"""Find any sound by describing it: audio-text retrieval, from training to search.

    import askaudio

    with askaudio.SearchEngine.build("~/sounds") as engine:
        for hit in engine.search("rain on a tin roof", avoid="thunder"):
            print(hit.path, hit.start_s, hit.end_s)

Every public name is loaded when it is first used, so ``import askaudio`` imports neither numpy nor torch. Type checkers
read the imports under ``TYPE_CHECKING`` and see the real types.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askaudio.ask.objective import ASK as ASK
    from askaudio.data.manifest import Manifest as Manifest
    from askaudio.data.readers.open import open_dataset as open_dataset
    from askaudio.encoders.load import load as load
    from askaudio.encoders.load import load_encoder as load_encoder
    from askaudio.evaluation.compare import compare as compare
    from askaudio.evaluation.evaluate import evaluate as evaluate
    from askaudio.evaluation.relevance import Relevance as Relevance
    from askaudio.evaluation.run import Run as Run
    from askaudio.knowledge.base.knowledge_base import KnowledgeBase as KnowledgeBase
    from askaudio.knowledge.injection.coarse import CoarseGrainedInjection as CoarseGrainedInjection
    from askaudio.knowledge.injection.fine import FineGrainedInjection as FineGrainedInjection
    from askaudio.knowledge.refinement.policies import NeverRefine as NeverRefine
    from askaudio.knowledge.refinement.policies import RefineEveryEpochs as RefineEveryEpochs
    from askaudio.knowledge.refinement.policies import RefineEverySteps as RefineEverySteps
    from askaudio.knowledge.refinement.policies import RefineOnDrift as RefineOnDrift
    from askaudio.losses.ntxent import NTXent as NTXent
    from askaudio.losses.sigmoid import SigmoidLoss as SigmoidLoss
    from askaudio.losses.soft_targets import SoftTargets as SoftTargets
    from askaudio.losses.text_similarity import TextSimilarityLoss as TextSimilarityLoss
    from askaudio.losses.transport import TransportLoss as TransportLoss
    from askaudio.losses.triplet import Triplet as Triplet
    from askaudio.models.dual_encoder import DualEncoder as DualEncoder
    from askaudio.pipeline.evaluate import evaluate_model as evaluate_model
    from askaudio.search.engine import SearchEngine as SearchEngine
    from askaudio.search.hits import Hit as Hit
    from askaudio.search.query import Part as Part

__version__ = "0.1.0"

# public name -> module that defines it, as in the imports above
_MODULES = {
    "ASK": "askaudio.ask.objective",
    "CoarseGrainedInjection": "askaudio.knowledge.injection.coarse",
    "DualEncoder": "askaudio.models.dual_encoder",
    "FineGrainedInjection": "askaudio.knowledge.injection.fine",
    "Hit": "askaudio.search.hits",
    "KnowledgeBase": "askaudio.knowledge.base.knowledge_base",
    "Manifest": "askaudio.data.manifest",
    "NTXent": "askaudio.losses.ntxent",
    "NeverRefine": "askaudio.knowledge.refinement.policies",
    "Part": "askaudio.search.query",
    "RefineEveryEpochs": "askaudio.knowledge.refinement.policies",
    "RefineEverySteps": "askaudio.knowledge.refinement.policies",
    "RefineOnDrift": "askaudio.knowledge.refinement.policies",
    "Relevance": "askaudio.evaluation.relevance",
    "Run": "askaudio.evaluation.run",
    "SearchEngine": "askaudio.search.engine",
    "SigmoidLoss": "askaudio.losses.sigmoid",
    "SoftTargets": "askaudio.losses.soft_targets",
    "TextSimilarityLoss": "askaudio.losses.text_similarity",
    "TransportLoss": "askaudio.losses.transport",
    "Triplet": "askaudio.losses.triplet",
    "compare": "askaudio.evaluation.compare",
    "evaluate": "askaudio.evaluation.evaluate",
    "evaluate_model": "askaudio.pipeline.evaluate",
    "load": "askaudio.encoders.load",
    "load_encoder": "askaudio.encoders.load",
    "open_dataset": "askaudio.data.readers.open",
}

__all__ = [*_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'askaudio' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
