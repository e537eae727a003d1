"""The knowledge base: entries, embeddings, neighbors, and its division among processes."""
