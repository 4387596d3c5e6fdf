"""Approximate search against exact search on 100,000 real embeddings, one thread.

    python -m benchmarks.vector_search          a quarter of an hour the first time, then 4 minutes

The texts are those of the public data sets under TRIPTYCH_DATA: titles, plots, questions, headlines
and utterances, and halves of the longer ones until there are enough. They are embedded once by the
packaged MiniLM and kept under TRIPTYCH_HOME. Texts that are not stored are the queries: how far a
search looks is tuned on half of them and reported on the other half. Never on uniform random
vectors, which have no neighbourhoods to find. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.approximate_index import HnswSnapshot, IvfIndex
from models.vector_index import FlatIndex, VectorIndex

STORED, QUERIES, NEIGHBOURS = 100_000, 2_000, 10
REACH_RECALL, REACH_RATE = 0.99, 5.0
MARGIN = 0.002
"""How far above the reach the tuning half has to be, so that the other half is not below it."""

LOOK_AT = {
    "ivf": (32, 64, 96, 128, 144, 160, 176, 192),
    "hnsw": (32, 48, 64, 96, 128, 192, 256, 384),
}


@dataclass(frozen=True)
class SearchRate:
    """``recall`` of the exact ten nearest, queries a second one at a time and in batches of 100;
    ``looks`` is how far each search looked (lists of IVF, candidates of HNSW)."""

    index: str
    looks: int | None
    recall: float
    one_at_a_time: float
    in_batches: float
    times_flat: float
    times_flat_in_batches: float
    build_seconds: float
    megabytes: float


def texts_of(data: Path, count: int) -> list[str]:
    """That many different texts of the public data sets, whole ones first, then halves."""
    whole = list(dict.fromkeys(" ".join(text.split()) for text in _whole_texts(data)))
    halves = [
        " ".join(words)
        for text in whole
        if len(all_words := text.split()) >= 8
        for words in (all_words[: len(all_words) // 2], all_words[len(all_words) // 2 :])
    ]
    texts = list(dict.fromkeys([*whole, *halves]))
    if len(texts) < count:
        raise SystemExit(f"{data} holds {len(texts)} texts, and {count} are needed")
    return texts[:count]


def _whole_texts(data: Path) -> Iterator[str]:
    for path, columns in (
        ("amazon_beauty_2014/items.csv", ("title",)),
        ("movielens_latest_small/overviews.csv", ("title", "overview")),
        ("sentfin/SEntFiN.csv", ("Title",)),
        ("banking77/train.csv", ("text",)),
        ("banking77/test.csv", ("text",)),
    ):
        with (data / path).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield from (row[column] for column in columns if row[column].strip())
    faq = data / "ecommerce_faq" / "Ecommerce_FAQ_Chatbot_dataset.json"
    for entry in json.loads(faq.read_text(encoding="utf-8"))["questions"]:
        yield from (entry["question"], entry["answer"])
    for rows in json.loads((data / "clinc150" / "data_full.json").read_text("utf-8")).values():
        yield from (text for text, _ in rows)
    phrases = data / "financial_phrasebank" / "Sentences_50Agree.txt"
    for line in phrases.read_text(encoding="latin-1").splitlines():
        yield line.rpartition("@")[0]


def embedded(texts: Sequence[str], folder: Path) -> NDArray[np.float32]:
    """The vectors of the texts, float32 [n, 384]; kept in the folder under the texts' hash."""
    from safetensors.numpy import load_file, save_file

    name = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    kept = folder / f"{name}.safetensors"
    if not kept.exists():
        from models.encoder_store import load_encoder

        print(f"embedding {len(texts)} texts, once", file=sys.stderr)
        vectors = load_encoder().embed(texts)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": vectors}, kept)
    return load_file(kept)["vectors"]


def recall_of(index: VectorIndex, queries: NDArray[np.float32], exact: Sequence[set[str]]) -> float:
    """The share of the exact nearest that are found."""
    found = index.search(queries, NEIGHBOURS)
    hits = (len(near & {hit.id for hit in one}) for near, one in zip(exact, found, strict=True))
    return sum(hits) / sum(map(len, exact))


def rate_of(index: VectorIndex, queries: NDArray[np.float32], batch: int, seconds: float) -> float:
    """Queries a second in batches of that size, over about that many seconds."""
    started, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        start = done % (len(queries) - batch + 1)
        index.search(queries[start : start + batch], NEIGHBOURS)
        done += batch
    return done / passed


def rates_of(
    indexes: Mapping[str, VectorIndex], queries: NDArray[np.float32], batch: int, seconds: float
) -> dict[str, tuple[float, float]]:
    """Each index's best rate of five rounds, and the median of its ratios to flat in each round.

    The indexes take turns within a round: the machine is shared, and its load falls on all.
    """
    rounds = [
        {name: rate_of(index, queries, batch, seconds) for name, index in indexes.items()}
        for _ in range(5)
    ]
    return {
        name: (
            max(rates[name] for rates in rounds),
            statistics.median(rates[name] / rates["flat"] for rates in rounds),
        )
        for name in indexes
    }


def tuned(
    index: HnswSnapshot | IvfIndex, queries: NDArray[np.float32], exact: Sequence[set[str]]
) -> HnswSnapshot | IvfIndex:
    """The index looking as far as the reach needs on these queries, or as far as is tried."""
    for looks in LOOK_AT[index.kind]:
        index = index.looking_at(looks)
        recall = recall_of(index, queries, exact)
        print(f"{index.kind} looking at {looks}: {recall:.4f}", file=sys.stderr)
        if recall >= REACH_RECALL + MARGIN:
            break
    return index


def compare(vectors: NDArray[np.float32], *, seed: int, seconds: float) -> list[SearchRate]:
    """Each index over the first vectors, tuned on half of the others, reported on the rest."""
    mixed = np.random.default_rng(seed).permutation(len(vectors))
    stored, asked = vectors[mixed[:STORED]], vectors[mixed[STORED:]]
    half = len(asked) // 2
    ids = [str(row) for row in range(len(stored))]
    builds: dict[str, Callable[[], FlatIndex | HnswSnapshot | IvfIndex]] = {
        "flat": lambda: FlatIndex(ids, stored),
        "ivf": lambda: IvfIndex(ids, stored, seed=seed),
        "hnsw": lambda: HnswSnapshot(ids, stored),
    }
    indexes: dict[str, FlatIndex | HnswSnapshot | IvfIndex] = {}
    exact: list[set[str]] = []
    took: dict[str, float] = {}
    for name, build in builds.items():
        print(f"building {name}", file=sys.stderr)
        started = time.perf_counter()
        index = build()
        took[name] = time.perf_counter() - started
        if isinstance(index, FlatIndex):
            exact = [{hit.id for hit in hits} for hits in index.search(asked, NEIGHBOURS)]
        else:
            index = tuned(index, asked[:half], exact[:half])
        indexes[name] = index
    singly = rates_of(indexes, asked[half:], 1, seconds)
    batched = rates_of(indexes, asked[half:], 100, seconds)
    return [
        SearchRate(
            index=name,
            looks=None if isinstance(index, FlatIndex) else index.looks,
            recall=recall_of(index, asked[half:], exact[half:]),
            one_at_a_time=singly[name][0],
            in_batches=batched[name][0],
            times_flat=singly[name][1],
            times_flat_in_batches=batched[name][1],
            build_seconds=took[name],
            megabytes=saved_size(index) / 1e6,
        )
        for name, index in indexes.items()
    ]


def saved_size(index: FlatIndex | HnswSnapshot | IvfIndex) -> int:
    """Bytes of the index's file, which is about what it holds in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.safetensors"
        index.save(path)
        return path.stat().st_size


def main() -> None:
    import faiss
    import torch

    from shared.settings import Settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each timed turn")
    options = parser.parse_args()
    own = Settings()
    if own.data is None:
        raise SystemExit("set TRIPTYCH_DATA to the folder of the public data sets")
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    folder = own.home / "benchmarks" / "embeddings"
    vectors = embedded(texts_of(own.data, STORED + QUERIES), folder)
    rows = compare(vectors, seed=options.seed, seconds=options.seconds)
    print(
        json.dumps(
            {
                "stored": STORED,
                "queries": QUERIES // 2,
                "dimensions": vectors.shape[1],
                "neighbours": NEIGHBOURS,
                "threads": 1,
                "seed": options.seed,
                "reach": {"recall": REACH_RECALL, "times_flat": REACH_RATE},
                "indexes": [asdict(row) for row in rows],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
