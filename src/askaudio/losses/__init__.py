"""Contrastive losses on embeddings: one file a loss, a plain function and a thin module each."""
