"""Each part is computed once by whichever thread is free, and an error reaches the caller."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from models.encoder_store import load_encoder
from models.runtime.export import write_graphs
from models.runtime.files import make_runtime
from models.runtime.session import LoadedGraphs, OnnxEncoder
from models.runtime.side_by_side import side_by_side
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_part_is_computed_once(threads: int) -> None:
    done: list[int] = []
    side_by_side(done.append, range(100), threads)
    assert sorted(done) == list(range(100))
    side_by_side(done.append, [], threads)
    assert len(done) == 100


def test_two_threads_compute_at_once() -> None:
    both = threading.Barrier(2, timeout=10)
    side_by_side(lambda _: both.wait(), range(2), 2)
    assert not both.broken


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_and_the_rest_left(threads: int) -> None:
    done: list[int] = []

    def work(part: int) -> None:
        if part == 3:
            raise IndexError("no such row")
        done.append(part)

    with pytest.raises(IndexError, match="no such row"):
        side_by_side(work, range(10_000), threads)
    assert len(done) < 10_000


def test_vectors_are_the_same_however_many_threads(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=12)
    words = ["where is my parcel", "refund", "I want my money back please help", "lost now"]
    texts = [" ".join(words[: 1 + row % 4]) for row in range(150)]
    runtime = make_runtime(tmp_path, "0" * 64, lambda folder: write_graphs(encoder, folder, words))
    graphs = LoadedGraphs()
    one, two = (OnnxEncoder(graphs.get(runtime, "int8", count), "tiny") for count in (1, 2))
    assert (one.graph.calls, two.graph.calls) == (1, 2)
    assert np.allclose(one.embed(texts), two.embed(texts), atol=1e-5)
    assert graphs.get(runtime, "fp32", 2).calls == 1
