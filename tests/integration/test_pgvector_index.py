"""The index in PostgreSQL keeps the laws of all, and is one for all processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from sqlalchemy import Engine, text

from models.pgvector_index import EXACT_UP_TO, PgVectorIndex, vectors_available
from shared.errors import StorageError
from shared.storage.engine import migrate, open_database, reading
from tests.fakes import vector_index_laws as laws
from tests.fakes.vector_index_laws import Make, in_neighbourhoods, names, unit_vectors

pytestmark = pytest.mark.integration


@pytest.fixture
def server(migrated_postgres: str) -> Iterator[Engine]:
    """A migrated PostgreSQL database, which has pgvector."""
    engine = open_database(migrated_postgres)
    yield engine
    engine.dispose()


@pytest.fixture(params=[False, True], ids=["whole", "graph"])
def make(request: pytest.FixtureRequest, server: Engine) -> Make:
    """Makes indexes that are searched whole, or by a graph."""

    def build(ids: Sequence[str], vectors: np.ndarray) -> PgVectorIndex:
        return PgVectorIndex.build(server, "laws", ids, vectors, graph=request.param)

    return build


@pytest.mark.parametrize(
    "law",
    [
        laws.hits_equal_an_exhaustive_search_by_value,
        laws.a_small_index_gives_all_it_has_and_an_empty_one_gives_nothing,
        laws.queries_of_another_length_are_refused,
    ],
)
def test_it_keeps_the_law(make: Make, law: Callable[[Make], None]) -> None:
    law(make)


@pytest.mark.parametrize("lengths", ["equal", "different"])
def test_the_nearest_of_real_neighbourhoods_are_found_by_value(
    make: Make, lengths: str, request: pytest.FixtureRequest
) -> None:
    exactly = request.node.callspec.params["make"] is False
    laws.the_nearest_of_real_neighbourhoods_are_found_by_value(make, lengths, exactly=exactly)


@pytest.mark.parametrize(
    ("rows", "k"), [(0, 1), (1, 3), (90, 5), (90, 90), (61, 120), (1500, 1200)]
)
def test_there_are_never_fewer_hits_than_there_can_be(make: Make, rows: int, k: int) -> None:
    laws.there_are_never_fewer_hits_than_there_can_be(make, rows, k, seed=3)


@laws.REFUSED
def test_what_does_not_fit_together_is_refused(
    make: Make, ids: list[str], vectors: np.ndarray, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        make(ids, vectors)


def test_a_graph_is_built_by_size_and_used(server: Engine) -> None:
    few = PgVectorIndex.build(server, "few", names(10), unit_vectors(10))
    many = PgVectorIndex.build(
        server, "many", names(EXACT_UP_TO + 1), in_neighbourhoods(EXACT_UP_TO + 1)
    )
    assert (few.graph, many.graph) == (False, True)
    long = PgVectorIndex.build(server, "long", names(3), unit_vectors(3, 2100), graph=True)
    assert not long.graph
    assert len(long.search(unit_vectors(1, 2100), 2)[0]) == 2
    queries = in_neighbourhoods(20, seed=1)
    exact = PgVectorIndex.build(
        server, "exact", names(EXACT_UP_TO + 1), in_neighbourhoods(EXACT_UP_TO + 1), graph=False
    ).search(queries, 10)

    def found(looks: int) -> int:
        hits = many.looking_at(looks).search(queries, 10)
        return sum(
            len({hit.id for hit in a} & {hit.id for hit in b})
            for a, b in zip(hits, exact, strict=True)
        )

    assert found(10) < found(400)  # it looks at a part, and at more when it is told
    assert found(400) >= 190


def test_others_of_that_name_take_the_place_and_the_same_are_stored_once(server: Engine) -> None:
    first = PgVectorIndex.build(server, "one", ["a"], np.eye(1, 4))
    assert PgVectorIndex.build(server, "one", ["a"], np.eye(1, 4)).digest == first.digest
    assert _tables(server) == 1
    second = PgVectorIndex.build(server, "one", ["b", "c"], np.eye(2, 3))
    assert (_tables(server), len(PgVectorIndex(server, "one"))) == (1, 2)
    assert second.search(np.eye(1, 3), 1)[0][0].id == "b"
    with pytest.raises(StorageError, match="'one' cannot be searched"):
        first.search(np.eye(1, 4), 1)
    second.remove()
    assert _tables(server) == 0
    with pytest.raises(StorageError, match="no vector index 'one'"):
        PgVectorIndex(server, "one")


def test_builders_at_once_build_one(server: Engine) -> None:
    vectors = unit_vectors(300)
    failed: list[BaseException] = []

    def build() -> None:
        try:
            PgVectorIndex.build(server, "shared", names(300), vectors)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert _tables(server) == 1


def test_without_the_extension_it_says_what_to_do(server: Engine, sqlite_engine: Engine) -> None:
    assert vectors_available(server)
    migrate(server, "0006", back=True)
    assert not vectors_available(server)
    for engine, says in ((server, "install the extension"), (sqlite_engine, "use PostgreSQL")):
        with pytest.raises(StorageError, match=says):
            PgVectorIndex.build(engine, "one", ["a"], np.eye(1, 4))
    migrate(server)
    assert len(PgVectorIndex.build(server, "one", ["a"], np.eye(1, 4))) == 1


def _tables(engine: Engine) -> int:
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'triptych_vectors'"
    with reading(engine) as connection:
        return int(connection.scalar(text(query)) or 0) - 1
