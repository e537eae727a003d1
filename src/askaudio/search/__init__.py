"""One encoder and one store: text or audio in, hits out; and the ingestion that fills the store."""
