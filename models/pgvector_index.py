"""Nearest vectors in PostgreSQL, by pgvector: one copy for all processes that search it.

An index is a table of its own, filled once under a name and never changed; a row of
``triptych_vectors.indexes`` says what it holds. Small ones are searched whole, larger ones by an
HNSW graph. ``benchmarks/vectors_in_postgres.py`` measures it against FAISS, which is faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from models.approximate_index import equally_long
from models.vector_index import Hit, Vectors, checked_queries, checked_vectors
from shared.errors import StorageError
from shared.storage.engine import is_sqlite, reading

EXACT_UP_TO = 5_000
"""Beyond, reading all vectors takes PostgreSQL longer than walking a graph."""

MOST_DIMENSIONS = 2_000
"""pgvector builds no graph of longer vectors: those are searched whole."""

MOST_LOOKS = 1_000
"""The furthest that a search of pgvector looks in the graph before it goes on by rounds."""

_SCHEMA = "triptych_vectors"


class PgVectorIndex:
    """The index of that name. Safe for concurrent searches, one connection each.

    ``build`` makes it, the constructor opens what is there; ``looks`` is how many vectors a
    search of the graph keeps.
    """

    def __init__(self, engine: Engine, name: str, *, looks: int = 128) -> None:
        if looks < 1:
            raise ValueError(f"looks must be at least 1, not {looks}")
        self._engine = engine
        self.name = name
        self.looks = looks
        found = _described(engine, name)
        if found is None:
            raise StorageError(f"the database has no vector index {name!r}", name=name)
        self.dimensions: int = found.dimensions
        self.digest: str = found.digest
        self.graph: bool = found.graph
        self._count: int = found.count
        self._stored: int = found.stored
        self._table = f"{_SCHEMA}.{found.store}"

    @classmethod
    def build(
        cls,
        engine: Engine,
        name: str,
        ids: Sequence[str],
        vectors: Vectors,
        *,
        graph: bool | None = None,
        looks: int = 128,
    ) -> Self:
        """Store the vectors float32 [n, dimensions] under a name, and open them.

        The same ids and vectors are stored once, whoever builds them and however often; others
        take the place of those of that name in one transaction. A graph is built beyond
        ``EXACT_UP_TO`` vectors, or as ``graph`` says. Raises ValueError for vectors that do not
        fit their ids, StorageError where the database has no pgvector.
        """
        matrix = checked_vectors(ids, vectors)
        digest = digest_of(ids, matrix)
        rows, dimensions = matrix.shape
        if graph is None:
            graph = rows > EXACT_UP_TO
        graph = graph and dimensions < MOST_DIMENSIONS
        store = "v" + hashlib.sha256(f"{name}\0{digest}\0{graph}".encode()).hexdigest()[:32]
        require_vectors(engine)
        with engine.begin() as connection:
            _lock(connection, name)
            if (present := _described(connection, name)) is None or present.store != store:
                if present is not None:
                    connection.execute(text(f"DROP TABLE {_SCHEMA}.{present.store}"))
                    _forget(connection, name)
                points = equally_long(matrix) if graph else matrix
                _fill(connection, f"{_SCHEMA}.{store}", ids, points)
                if graph:
                    _build_graph(connection, store, rows, points.shape[1])
                connection.execute(
                    text(
                        f"INSERT INTO {_SCHEMA}.indexes VALUES"
                        " (:name, :dimensions, :stored, :count, :digest, :graph, :store)"
                    ),
                    {
                        "name": name, "dimensions": dimensions, "stored": points.shape[1],
                        "count": rows, "digest": digest, "graph": graph, "store": store,
                    },
                )  # fmt: skip
        return cls(engine, name, looks=looks)

    def __len__(self) -> int:
        return self._count

    def looking_at(self, looks: int) -> Self:
        """The same index with searches that look that far."""
        return type(self)(self._engine, self.name, looks=looks)

    def search(self, queries: Vectors, k: int) -> list[list[Hit]]:
        """At most ``k`` hits a query (float32 [n, dimensions]), the nearest first.

        As many as an exact search gives: a query for which the graph found too few is searched
        again in all vectors. Raises StorageError where the database is gone, or the index
        replaced since it was opened.
        """
        wanted = checked_queries(queries, self.dimensions, k)
        if not len(self) or not len(wanted):
            return [[] for _ in wanted]
        count = min(k, len(self))
        wanted = np.pad(wanted, ((0, 0), (0, self._stored - self.dimensions)))
        try:
            with reading(self._engine) as connection:
                return self._search(connection, wanted, count)
        except DBAPIError as error:
            raise StorageError(
                f"the vector index {self.name!r} cannot be searched: {str(error.orig).strip()}",
                name=self.name,
            ) from error

    def remove(self) -> None:
        """Take the index out of the database."""
        with self._engine.begin() as connection:
            _lock(connection, self.name)
            connection.execute(text(f"DROP TABLE IF EXISTS {self._table}"))
            _forget(connection, self.name)

    def _search(self, connection: Connection, queries: Vectors, count: int) -> list[list[Hit]]:
        # <#> is the negative inner product; with "+ 0" the graph cannot answer the same question,
        # whatever plan the server keeps: https://github.com/pgvector/pgvector#querying
        whole = "(vector <#> CAST(:query AS vector)) + 0"
        if not self.graph or count > MOST_LOOKS:
            return [self._read(connection, whole, query, count) for query in queries]
        looks = min(MOST_LOOKS, max(self.looks, count))
        connection.execute(
            text(
                "SELECT set_config('hnsw.ef_search', :looks, true),"
                " set_config('enable_seqscan', 'off', true)"
            ),
            {"looks": str(looks)},
        )
        near = "vector <#> CAST(:query AS vector)"
        found = [self._read(connection, near, query, count) for query in queries]
        return [
            hits if len(hits) == count else self._read(connection, whole, query, count)
            for query, hits in zip(queries, found, strict=True)
        ]

    def _read(self, connection: Connection, order: str, query: Vectors, count: int) -> list[Hit]:
        asked = f"SELECT id, -(vector <#> CAST(:query AS vector)) FROM {self._table}"
        found = connection.execute(
            text(f"{asked} ORDER BY {order} LIMIT :count"),
            {"query": _written(query), "count": count},
        )
        return [Hit(id, float(similarity)) for id, similarity in found]


def vectors_available(engine: Engine) -> bool:
    """Whether the database can hold vector indexes."""
    if is_sqlite(engine.url):
        return False
    with reading(engine) as connection:
        return bool(connection.scalar(text(f"SELECT to_regclass('{_SCHEMA}.indexes') IS NOT NULL")))


def require_vectors(engine: Engine) -> None:
    """Raises StorageError, which says what to do, where the database holds no vector indexes."""
    if is_sqlite(engine.url):
        raise StorageError("SQLite holds no vector indexes: use PostgreSQL, or FAISS")
    if not vectors_available(engine):
        raise StorageError(
            "the database has no pgvector: install the extension, then run"
            " `triptych db downgrade --to 0006` and `triptych db upgrade`; or use FAISS"
        )


def digest_of(ids: Sequence[str], vectors: Vectors) -> str:
    """SHA-256 of what an index is made of, as hexadecimal digits."""
    digest = hashlib.sha256(np.ascontiguousarray(vectors, "<f4").tobytes())
    for id in ids:
        digest.update(id.encode() + b"\0")
    return digest.hexdigest()


def _described(source: Engine | Connection, name: str) -> Any:
    query = text(f"SELECT * FROM {_SCHEMA}.indexes WHERE name = :name")
    if isinstance(source, Connection):
        return source.execute(query, {"name": name}).one_or_none()
    require_vectors(source)
    with reading(source) as connection:
        return connection.execute(query, {"name": name}).one_or_none()


def _lock(connection: Connection, name: str) -> None:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _forget(connection: Connection, name: str) -> None:
    connection.execute(text(f"DELETE FROM {_SCHEMA}.indexes WHERE name = :name"), {"name": name})


def _fill(connection: Connection, table: str, ids: Sequence[str], vectors: Vectors) -> None:
    """By COPY in its binary form: a row is two fields, each with its length before it."""
    dimensions = vectors.shape[1]
    connection.execute(
        text(
            f'CREATE TABLE {table} (id text COLLATE "C" PRIMARY KEY,'
            f" vector vector({dimensions}) STORAGE PLAIN NOT NULL)"
            if dimensions <= MOST_DIMENSIONS
            else f'CREATE TABLE {table} (id text COLLATE "C" PRIMARY KEY,'
            f" vector vector({dimensions}) NOT NULL)"
        )
    )
    driver: Any = connection.connection.driver_connection
    from pgvector import Vector

    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        for id, vector in zip(ids, vectors, strict=True):
            copy.write_row((id.encode(), Vector(vector).to_binary()))
    connection.execute(text(f"ANALYZE {table}"))


def _build_graph(connection: Connection, store: str, rows: int, dimensions: int) -> None:
    # A graph that does not fit this memory is built on disk, at a fraction of the speed.
    needed = rows * (4 * dimensions + 400) // 2**20 + 64
    connection.execute(text(f"SET LOCAL maintenance_work_mem = '{min(needed, 2_000)}MB'"))
    connection.execute(
        text(
            f"CREATE INDEX {store}_graph ON {_SCHEMA}.{store} USING hnsw"
            " (vector vector_ip_ops) WITH (m = 16, ef_construction = 100)"
        )
    )


def _written(vector: Vectors) -> str:
    """The vector as pgvector reads it, each number with the digits that float32 has."""
    return "[" + ",".join(map(str, vector)) + "]"
