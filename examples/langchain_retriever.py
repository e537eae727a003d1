"""A collection as a LangChain retriever.

pip install askaudio langchain-core
askaudio index ~/sounds
python examples/langchain_retriever.py "metal door slams in a hall"
"""

from __future__ import annotations

import sys

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from askaudio import SearchEngine


class SoundRetriever(BaseRetriever):
    """Texts in, recordings out: what is known of each as text, path and time in the metadata."""

    engine: SearchEngine
    top_k: int = 5
    where: str | None = None

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        hits = self.engine.search(text=query, top_k=self.top_k, where=self.where)
        return [Document(h.metadata.get("caption") or h.path, id=h.clip_id, metadata=h.to_json()) for h in hits]


if __name__ == "__main__":
    with SearchEngine.open() as engine:
        for document in SoundRetriever(engine=engine).invoke(sys.argv[1]):
            print(f"{document.metadata['match']:5.1f}  {document.metadata['path']}")
