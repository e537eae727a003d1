"""The LangChain retriever of examples/ returns the hits of the engine."""

from pathlib import Path

import numpy as np
import pytest

from askaudio.encoders.toy import ToyEncoder
from askaudio.engines.open import open_store
from askaudio.index.entries import Entry, Identity
from askaudio.search.engine import SearchEngine

pytest.importorskip("langchain_core")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_documents_are_the_engines_hits(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import langchain_retriever as module

    encoder = ToyEncoder(16)
    store = open_store("memory:", "w", Identity.of(encoder))
    vectors = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    facts = [{"caption": "rain on tin"}, *[{}] * 5]
    store.add(
        Entry(f"{i}#0", str(i), vector, 0.0, 1.0, f"/s/{i}.wav", facts[i]) for i, vector in enumerate(vectors)
    )  # fmt: skip
    engine = SearchEngine(store, encoder)
    found = module.SoundRetriever(engine=engine, top_k=3).invoke("rain")
    hits = engine.search(text="rain", top_k=3)
    assert [d.id for d in found] == [h.clip_id for h in hits] and len(found) == 3
    assert [d.metadata["score"] for d in found] == [h.score for h in hits]
    of_zero = next(d for d in module.SoundRetriever(engine=engine, top_k=6).invoke("rain") if d.id == "0")
    assert of_zero.page_content == "rain on tin"
    assert [d.id for d in module.SoundRetriever(engine=engine, where="path~3.wav").invoke("rain")] == ["3"]
