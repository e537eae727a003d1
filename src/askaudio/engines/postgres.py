"""PostgreSQL with the pgvector extension: one table per collection, any number of readers and writers, transactions.

The address is one that PostgreSQL's own tools take, plus ``collection=NAME`` to keep several collections in a
database: ``postgresql://me@host/sounds?collection=foley``. Needs the extra ``pg`` and, once, the right to create the
extension.
Costs: a search scans all vectors (10 ms for 10,000 entries). ``save`` builds a graph index for more than HNSW_ROWS
entries; it is approximate (recall about 0.95) and answers in some milliseconds at a million entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np

from askaudio.core.errors import CollectionNotFoundError, IndexStoreError
from askaudio.core.extras import require
from askaudio.core.types import FloatArray
from askaudio.index.checksum import AuditedRow, checked, checksums_of, fault_of
from askaudio.index.entries import Capabilities, Entry, Identity, Match, Mode, StoredClip, doc_text
from askaudio.index.filters import DOC_NUMBERS, MEASURED, Compare, Filter, number_of, terms_of
from askaudio.index.ranking import rank_fetched
from askaudio.index.sql import Sql, postgres_sql
from askaudio.index.store import VectorStore
from askaudio.index.words import (
    RULES,
    WordMatch,
    carried_words,
    gather_words,
    matches_inside,
    name_of,
    rank_words,
    words_of,
)

HNSW_ROWS = 50_000
_PAGE = 2000
_HAS_COLUMN = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped"
_RULES = f"words by rules {RULES}"  # comment of the table: how its columns terms and words were made
_READ_RULES = "SELECT obj_description(to_regclass(%s), 'pg_class')"
_COLUMNS = ("entry_id", "clip_id", "doc", "start_s", "end_s", *DOC_NUMBERS, "terms", "words", "embedding", "checksum")


class PostgresStore(VectorStore):
    """A collection in a database.

    Args:
        url: Address with the collection's name and without password, for messages.
        connection: Open, in autocommit mode.
        name: Name of the collection.
        identity: Identity of the encoder.
        mode: "r" or "w".
    """

    def __init__(self, url: str, connection: Any, name: str, identity: Identity, mode: Mode) -> None:
        super().__init__(url, identity, mode)
        self.capabilities = Capabilities(
            durable_add=True, snapshots=False, readers_while_writing=True, writers=0, approximate=True
        )
        self._connection = connection
        self._name = name
        self._table = f"askaudio_{name}"
        self._checksum = "NULL::bigint"  # a table of an older version has no such column until something is written
        if self._all(_HAS_COLUMN, [self._table, "checksum"]):
            self._checksum = "checksum"
        # the columns of measured facts, which a table of an older version does not have
        self._absent = tuple(name for name in MEASURED if not self._all(_HAS_COLUMN, [self._table, name]))
        self._indexed = self._all(_READ_RULES, [self._table])[0][0] == _RULES
        if mode == "w" and not self._indexed:
            self._index_again()

    # --- methods of an engine ---------------------------------------------------------------------------------
    def _upsert(self, entries: list[Entry]) -> None:
        """COPY is the fastest way in but cannot replace rows, so it fills a temporary table that one INSERT merges."""
        columns = ", ".join(_COLUMNS)
        replaced = ", ".join(f"{c} = EXCLUDED.{c}" for c in _COLUMNS[1:])
        sums = checksums_of(entries, self.identity.embed_dim).tolist()
        with self._transaction() as cursor:
            cursor.execute(f"ALTER TABLE {self._table} ADD COLUMN IF NOT EXISTS checksum bigint")
            cursor.execute(f"CREATE TEMP TABLE incoming (LIKE {self._table}) ON COMMIT DROP")
            with cursor.copy(f"COPY incoming ({columns}) FROM STDIN") as copy:
                for entry, checksum in zip(entries, sums, strict=True):
                    copy.write_row([*_row(entry), checksum])
            cursor.execute(
                f"INSERT INTO {self._table} ({columns}) SELECT {columns} FROM incoming "
                f"ON CONFLICT (entry_id) DO UPDATE SET {replaced}"
            )
            self._changed(cursor)
        self._checksum = "checksum"

    def _search(self, vectors: FloatArray, top_k: int, where: Filter | None) -> list[list[Match]]:
        def best(query: FloatArray) -> list[Match]:
            return rank_fetched(query, top_k, lambda n: self._nearest(query, n, where))

        return [best(query) for query in vectors]

    def _nearest(self, query: FloatArray, count: int, where: Filter | None) -> list[Entry]:
        """The ``count`` entries nearest to a query (D,)."""
        condition, values = self._where(where)
        with self._transaction() as cursor:
            # both settings only matter with the graph index: how many candidates it keeps, and that it continues
            # until enough of them match the filter
            cursor.execute(f"SET LOCAL hnsw.ef_search = {min(1000, max(100, 2 * count))}")
            cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
            cursor.execute(
                f"SELECT {self._selected()} FROM {self._table} {condition} ORDER BY embedding <#> %s::vector LIMIT %s",
                [*values, _vector_text(query), count],
            )
            return [self._entry(row) for row in cursor.fetchall()]

    def _delete(self, where: Filter) -> int:
        condition, values = self._where(where)
        with self._transaction() as cursor:
            cursor.execute(f"DELETE FROM {self._table} {condition}", values)
            gone = int(cursor.rowcount)
            self._changed(cursor)
        return gone

    def _get(self, entry_ids: Sequence[str]) -> list[Entry]:
        condition, values = self._where(Compare("entry_id", "in", tuple(entry_ids)))
        rows = self._all(f"SELECT {self._selected()} FROM {self._table} {condition}", values)
        found = {row[0]: self._entry(row) for row in rows}
        return [found[key] for key in entry_ids if key in found]

    def _count(self, where: Filter | None) -> int:
        condition, values = self._where(where)
        return int(self._all(f"SELECT count(*) FROM {self._table} {condition}", values)[0][0])

    def _iterate(self, where: Filter | None, vectors: bool) -> Iterator[Entry]:
        fields = self._selected() if vectors else self._selected("NULL")
        return (self._entry(row) for row in self._pages(fields, where))

    def _pages(self, fields: str, where: Filter | None) -> Iterator[Any]:
        """Rows in the order of their ids.

        They are read page by page, each after the last id of the one before: no long transaction and no open cursor.

        Args:
            fields: Columns in SQL, the id first.
            where: A filter; None for all rows.
        """
        condition, values = self._where(where)
        after = f"{condition} AND" if condition else "WHERE"
        last = ""
        while True:
            rows = self._all(
                f"SELECT {fields} FROM {self._table} {after} entry_id > %s ORDER BY entry_id LIMIT {_PAGE}",
                [*values, last],
            )
            yield from rows
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def _audit(self) -> Iterator[AuditedRow]:
        numbers = [name for name in DOC_NUMBERS if name not in self._absent]
        repeated = "clip_id", *numbers, "terms", "words"  # columns that repeat the facts, for filters in SQL
        for row in self._pages(f"{self._selected()}, {', '.join(repeated)}", None):
            checksum = row[5]
            try:
                entry = _entry_of(row)
                expected = dict(zip(_COLUMNS, _row(entry), strict=False))
            except (ValueError, TypeError, AttributeError) as error:
                entry = Entry(row[0], "", np.zeros(0, np.float32))
                yield AuditedRow(entry, f"its facts cannot be read ({error})", checksum is not None)
                continue
            fault = fault_of(entry, checksum)
            if not fault and [expected[name] for name in repeated] != list(row[6:]):
                fault = "clip_id, numbers, terms or words differ from the facts they repeat"
            yield AuditedRow(entry, fault, checksum is not None)

    def _clips(self, where: Filter | None, offset: int, limit: int | None) -> list[StoredClip]:
        condition, values = self._where(where)
        rows = self._all(
            f"SELECT doc, count(*) FROM {self._table} {condition} GROUP BY clip_id, doc "
            'ORDER BY clip_id, doc COLLATE "C" LIMIT %s OFFSET %s',
            [*values, limit, offset],
        )
        found = [(json.loads(doc), int(windows)) for doc, windows in rows]
        return [StoredClip(clip, path, metadata, windows) for (clip, path, metadata), windows in found]

    def _count_clips(self) -> int:
        return int(self._all(f"SELECT count(DISTINCT clip_id) FROM {self._table}")[0][0])

    def _find_words(self, words: list[str], names: list[str], top_k: int, where: Filter | None) -> list[WordMatch]:
        if not self._indexed:  # opened for reading, and its words were made by older rules: exact, but slow
            return super()._find_words(words, names, top_k, where)
        count = f"SELECT count(DISTINCT clip_id) FROM {self._table} WHERE "
        tests = {word: _carries(word) for word in words}
        having = {word: int(self._all(count + sql, values)[0][0]) for word, (sql, values) in tests.items()}
        condition, values = self._where(where)
        carrying = " OR ".join(sql for sql, _ in tests.values())
        rows = self._all(
            f"SELECT DISTINCT clip_id, words, doc FROM {self._table} "
            f"{f'{condition} AND' if condition else 'WHERE'} ({carrying})",
            [*values, *(value for _, some in tests.values() for value in some)],
        )
        found = gather_words((clip, carried_words(words, carried)) for clip, carried, _ in rows)
        # not "doc::json ->> 1" in SQL: PostgreSQL cannot extract a path with bytes that are not UTF-8
        named = {clip for clip, _, doc in rows if name_of(json.loads(doc)[1]) in names}
        return rank_words(found, having, total=self._count_clips(), top_k=top_k, named=named)

    def version(self) -> str:
        """A counter in the database that every write increments."""
        return str(self._all("SELECT changes FROM askaudio_collections WHERE name = %s", [self._name])[0][0])

    def save(self) -> None:
        """Build the graph index if the table is large; added entries are durable already."""
        self._must_write()
        if self._count(None) > HNSW_ROWS:
            with self._transaction() as cursor:
                cursor.execute(
                    f"CREATE INDEX IF NOT EXISTS {self._table}_hnsw ON {self._table} "
                    "USING hnsw (embedding vector_ip_ops) WITH (m = 16, ef_construction = 64)"
                )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # --- internals --------------------------------------------------------------------------------------------
    def _selected(self, embedding: str = "embedding") -> str:
        """The columns that ``_entry`` reads."""
        return f"entry_id, doc, start_s, end_s, {embedding}, {self._checksum}"

    def _entry(self, row: Any) -> Entry:
        """The entry of a row, compared with its checksum."""
        try:
            return checked(_entry_of(row), row[5], self.url)
        except (ValueError, TypeError) as error:
            raise IndexStoreError(
                f"{self.url} is damaged: {row[0]}: {error}. Fix: askaudio collection repair --collection {self.url}"
            ) from error

    def _where(self, where: Filter | None) -> Sql:
        if where is None:
            return "", []
        sql, values = postgres_sql(where, self._absent)
        return f"WHERE {sql}", values

    def _index_again(self) -> None:
        """Make numbers, terms and words again by the present rules; vectors stay."""
        docs = self._all(f"SELECT DISTINCT clip_id, doc FROM {self._table}")
        changes = ", ".join(f"{column} = %s" for column in (*DOC_NUMBERS, "terms", "words"))
        update = f"UPDATE {self._table} SET {changes} WHERE clip_id = %s AND doc = %s"
        with self._transaction() as cursor:
            for column in MEASURED:
                cursor.execute(f"ALTER TABLE {self._table} ADD COLUMN IF NOT EXISTS {column} double precision")
            for clip_id, doc in docs:
                _, path, metadata = json.loads(doc)
                numbers = [number_of(metadata, name) for name in DOC_NUMBERS]
                cursor.execute(update, [*numbers, *_indexes(path, metadata), clip_id, doc])
            cursor.execute(f"COMMENT ON TABLE {self._table} IS '{_RULES}'")
            self._changed(cursor)
        self._indexed, self._absent = True, ()

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self.lock, _guarded(self.url), self._connection.transaction(), self._connection.cursor() as cursor:
            yield cursor

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self.lock, _guarded(self.url), self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            rows: list[Any] = cursor.fetchall()
            return rows

    def _changed(self, cursor: Any) -> None:
        cursor.execute("UPDATE askaudio_collections SET changes = changes + 1 WHERE name = %s", [self._name])


@contextmanager
def _guarded(url: str) -> Iterator[None]:
    """Raise PostgreSQL's errors as IndexStoreError; the transaction was rolled back."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise IndexStoreError(f"{url}: {reason}. Nothing was changed by this step") from error


def _carries(word: str) -> Sql:
    """Condition that an entry carries a word of a query, as ``words.carried_words`` defines it."""
    if matches_inside(word):
        return "EXISTS (SELECT 1 FROM unnest(words) w WHERE strpos(w, %s) > 0)", [word]
    return "words @> %s::text[]", [[word]]


def _indexes(path: str, metadata: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    return sorted(terms_of(path, metadata)), sorted(words_of(path, metadata))


def _vector_text(vector: FloatArray) -> str:
    return f"[{','.join(map(repr, vector.tolist()))}]"


def _row(entry: Entry) -> list[Any]:
    numbers = [number_of(entry.metadata, name) for name in DOC_NUMBERS]
    terms, words = _indexes(entry.path, entry.metadata)
    doc = doc_text(entry.clip_id, entry.path, entry.metadata)
    vector = _vector_text(entry.vector)
    return [entry.entry_id, entry.clip_id, doc, entry.start_s, entry.end_s, *numbers, terms, words, vector]


def _entry_of(row: Any) -> Entry:
    entry_id, doc, start, end, embedding = row[:5]
    clip, path, metadata = json.loads(doc)
    vector = np.zeros(0, np.float32) if embedding is None else np.asarray(json.loads(embedding), np.float32)
    return Entry(entry_id, clip, vector, start, end, path, metadata)


def _split_url(url: str) -> tuple[str, str, str]:
    """(address for PostgreSQL, name of the collection, address without password for messages)."""
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    name = dict(options).get("collection", "default")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise IndexStoreError(
            f"collection={name!r}: expected a lower-case word of letters, digits and _, at most 40 long"
        )
    rest = urlencode([(key, value) for key, value in options if key != "collection"])
    shown = re.sub(r":[^:@/]*@", "@", parts.netloc)
    address = urlunsplit((parts.scheme, parts.netloc, parts.path, rest, ""))
    return address, name, urlunsplit((parts.scheme, shown, parts.path, f"collection={name}", ""))


def open_postgres(url: str, mode: Mode, identity: Identity | None) -> tuple[PostgresStore, bool]:
    """Open a collection in a database; with mode "w" and an identity, create it if it does not exist.

    Args:
        url: Address with ``collection=NAME``; without it the name is "default".
        mode: "r" or "w".
        identity: Identity of the encoder in use.

    Returns:
        The store, and whether the collection existed before.

    Raises:
        IndexStoreError: Not reachable, pgvector is not installed there, or no collection of that name.
        MissingExtraError: psycopg is not installed.
    """
    psycopg = require("psycopg", "pg")
    address, name, shown = _split_url(url)
    with _guarded(shown):
        connection = psycopg.connect(address, autocommit=True)
    try:
        stored = _read_identity(connection, name, shown)
        if stored is not None:
            return PostgresStore(shown, connection, name, stored, mode), True
        if mode == "r" or identity is None:
            raise CollectionNotFoundError(shown)
        _create(connection, name, identity, shown)
        return PostgresStore(shown, connection, name, identity, mode), False
    except BaseException:
        connection.close()
        raise


def _read_identity(connection: Any, name: str, url: str) -> Identity | None:
    with _guarded(url), connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('askaudio_collections')")
        if cursor.fetchone()[0] is None:
            return None
        cursor.execute("SELECT identity FROM askaudio_collections WHERE name = %s", [name])
        row = cursor.fetchone()
        return None if row is None else Identity.from_json(json.loads(row[0]), url)


def _create(connection: Any, name: str, identity: Identity, url: str) -> None:
    table = f"askaudio_{name}"
    numbers = ", ".join(f"{column} double precision" for column in DOC_NUMBERS)
    with _guarded(url), connection.transaction(), connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS askaudio_collections "
            "(name text PRIMARY KEY, identity text NOT NULL, changes bigint NOT NULL DEFAULT 0)"
        )
        cursor.execute(
            f'CREATE TABLE IF NOT EXISTS {table} (entry_id text COLLATE "C" PRIMARY KEY, clip_id text COLLATE "C", '
            f"doc text, start_s double precision, end_s double precision, {numbers}, terms text[], words text[], "
            f"embedding vector({identity.embed_dim}), checksum bigint)"
        )
        for column, kind in (("clip_id", "btree"), ("terms", "gin"), ("words", "gin")):
            cursor.execute(f"CREATE INDEX IF NOT EXISTS {table}_{column} ON {table} USING {kind} ({column})")
        cursor.execute(
            "INSERT INTO askaudio_collections (name, identity) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [name, json.dumps(identity.to_json())],
        )
