"""Four engines that store and search vectors behind one contract, ``index.store.VectorStore``.

    exact.py      all in memory, every search a full scan: the reference that the other engines must equal
    local/        the default: a LanceDB table in a folder, with an in-memory cache for fast search
    objects.py    the same LanceDB table on object storage (S3, GCS, Azure), without a cache
    postgres.py   PostgreSQL with pgvector

The other files serve all of them: ``address.py`` and ``open.py`` choose an engine, ``check.py`` and ``copy.py`` work on
any store. ``lance_table.py`` and ``writer_lock.py`` are parts that two engines share.
"""
