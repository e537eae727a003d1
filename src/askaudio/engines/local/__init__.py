"""The default engine: a LanceDB table in a folder, and beside it a cache from which searches are answered.

store.py          the engine: writes go to the table, reads to the current view
cache.py          the files of the cache: how they are written, and brought up to date from the table
view.py           one state of the collection: base and delta; all read operations
columns.py        the layout of base and delta; filters
strings.py, vector_file.py    columns of texts and of vectors on disk
word_search.py    word search in the inverted indexes
accelerator.py    approximate search with faiss, for large bases
"""
