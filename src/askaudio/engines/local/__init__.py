"""The default engine: a LanceDB table on disk and an in-memory search cache beside it."""
