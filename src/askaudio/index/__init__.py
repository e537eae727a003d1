"""What all engines share: entries, filters, exact ranking, word search, and the contract ``VectorStore``."""
