"""What a shortlist loses and costs beside exact products, on 100,000 real embeddings, one thread.

    python -m benchmarks.shortlists          a quarter of an hour the first time, then a minute

The catalogue is that of ``recommend_serving large``: titles of the public data sets. Users are of
two kinds: 30 items drawn anywhere, and 30 items around three interests. For each the candidates of
a list of ten (damped, so that 400 are wanted) are compared with the best by exact products in
floats: the share of the best 10, 100 and 400 that are among them, with every item allowed and with
a quarter. Prints one JSON object.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.recommendation.item_tower import ItemTower
from models.recommendation.recipe import RecommendRecipe
from models.recommendation.shortlist import Shortlist

USERS, EVENTS, DECAY, WANTED = 200, 30, 0.8, 400
Floats = NDArray[np.float32]


def users_of(stored: Floats, draw: np.random.Generator) -> dict[str, Floats]:
    """The vectors of users, float32 [users, d], by how they choose."""
    weights = (DECAY ** np.arange(EVENTS)).astype(np.float32)
    anchors = stored[draw.integers(len(stored), size=100)]
    near = np.argsort(-(anchors @ stored.T), axis=1)[:, :60]
    drawn = {
        "anywhere": draw.integers(len(stored), size=(USERS, EVENTS)),
        "three interests": np.stack(
            [
                near[
                    draw.choice(draw.integers(100, size=3), EVENTS), draw.integers(60, size=EVENTS)
                ]
                for _ in range(USERS)
            ]
        ),
    }
    return {name: np.einsum("e,ued->ud", weights, stored[rows]) for name, rows in drawn.items()}


def milliseconds(asked: Floats, answer: Callable[[Floats], object]) -> float:
    """The median of what one query takes, of the processor's time."""
    spent = []
    for query in asked:
        begun = time.thread_time()
        answer(query)
        spent.append(time.thread_time() - begun)
    return 1_000 * float(np.median(spent))


def compare(stored: Floats, *, seed: int) -> list[dict[str, object]]:
    """Each kind of user, with all items allowed and with a quarter of them."""
    draw = np.random.default_rng(seed)
    nobody = np.zeros(len(stored), np.float32)
    shortlist = Shortlist(np.zeros((len(stored), 0), np.float32), stored, nobody)
    none = np.zeros(0, np.float32)
    found = []
    for kind, asked in users_of(stored, draw).items():
        for share in (1.0, 0.25):
            allowed = draw.random(len(stored)) < share
            rows = np.flatnonzero(allowed)
            kept = stored[rows]

            def short(query: Floats, allowed: NDArray[np.bool_] = allowed) -> NDArray[np.int64]:
                return shortlist.rows(none, query, 0.0, allowed=allowed, wanted=WANTED)

            def exact(query: Floats, rows: NDArray[np.int64] = rows, kept: Floats = kept) -> object:
                scores = kept @ query
                return rows[np.argpartition(-scores, WANTED)[:WANTED]]

            best = [rows[np.argsort(-(kept @ query))[:WANTED]].tolist() for query in asked]
            listed = [set(short(query).tolist()) for query in asked]
            found.append(
                {
                    "users": kind,
                    "allowed": share,
                    "milliseconds": milliseconds(asked, short),
                    "exact_milliseconds": milliseconds(asked, exact),
                    **{
                        f"recall@{k}": float(
                            np.mean(
                                [len(a & set(b[:k])) / k for a, b in zip(listed, best, strict=True)]
                            )
                        )
                        for k in (10, 100, WANTED)
                    },
                }
            )
    return found


def main() -> None:
    import faiss
    from threadpoolctl import threadpool_limits

    from benchmarks.vector_search import STORED, embedded, texts_of
    from shared.settings import Settings

    own = Settings()
    if own.data is None:
        raise SystemExit("set TRIPTYCH_DATA to the folder of the public data sets")
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):
        vectors = embedded(texts_of(own.data, STORED), own.home / "benchmarks" / "embeddings")
        vectors -= vectors.mean(axis=0)
        tower = ItemTower.of_texts(vectors, RecommendRecipe().tower_dimensions)
        print(json.dumps({"items": STORED, "rows": compare(tower.of_candidates(vectors), seed=1)}))


if __name__ == "__main__":
    main()
