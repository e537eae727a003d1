"""The parts of an evaluation: data and relevance, embeddings, further tests, files. Works without torch."""
