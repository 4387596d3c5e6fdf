"""All vectors at eight bits a coordinate: what is nearest among some of them, without floats.

A quarter of the memory is read, products are of whole numbers, and searches that come side by side
read it once together, so that looking at everything costs a fifth of what it costs in floats.
Nothing is trained and no neighbourhood has to exist: a catalogue of any kind is found as well. What
is lost is order among near equals: ask for more than are needed and score those exactly. How much
is lost on real embeddings is measured by ``benchmarks/shortlists.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.runtime.session import open_session
from models.shared_pass import SharedPass

Floats = NDArray[np.float32]
Levels = NDArray[np.int8]
Products = NDArray[np.int32]
Rows = NDArray[np.int64]

LEVELS = 127
"""Of a stored coordinate, on either side of 0."""

QUERY_LEVELS = 63
"""Of a query's: two products of neighbours then fit the 16 bits in which processors without
AVX-512 VNNI add them (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

ZERO = 64
"""What 0 of a query is stored as: ONNX Runtime is fastest for unsigned times signed."""

BLOCK = 131_072
"""Vectors of a graph, of which several copies are in memory while it is made."""

TOGETHER = 8
"""Searches that share a pass: each costs a fifth of one alone; more gain little, and wait."""

SAMPLED = 2_048
"""Products from which it is guessed how great the greatest are."""


class EightBitIndex:
    """Made of vectors float32 [n, d], which it does not keep. Never changes; safe for concurrent
    searches.

    Each coordinate has a scale of its own, which the query takes over: coordinates of different
    sizes (factors beside texts) keep their precision. The products are ONNX Runtime's
    ``MatMulInteger``, which reads the query at seven bits.
    """

    def __init__(self, vectors: Floats) -> None:
        self._count = len(vectors)
        greatest = np.abs(vectors).max(axis=0, initial=0.0)
        self._scale = np.where(greatest > 0, greatest / LEVELS, 1.0).astype(np.float32)
        self._blocks = [
            _products_with(np.rint(vectors[start : start + BLOCK] / self._scale).astype(np.int8))
            for start in range(0, self._count, BLOCK)
        ]
        self._pass: SharedPass[NDArray[np.uint8], list[Products]] = SharedPass(
            self._products, most=TOGETHER
        )

    def __len__(self) -> int:
        return self._count

    def nearest(self, query: Floats, count: int, allowed: NDArray[np.bool_]) -> Rows:
        """At most ``count`` allowed rows (bool [n]) int64 of the greatest products with a query
        float32 [d], greatest first; all that are allowed where they are fewer."""
        if not self._count:
            return np.zeros(0, np.int64)
        asked = query * self._scale
        greatest = float(np.abs(asked).max(initial=0.0))
        if greatest > 0:
            asked = asked * np.float32(QUERY_LEVELS / greatest)
        parts = self._pass((np.rint(asked) + ZERO).astype(np.uint8))
        products = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return greatest_rows(products, count, allowed)

    def _products(self, asked: list[NDArray[np.uint8]]) -> list[list[Products]]:
        """Of each query, block by block."""
        queries = {"query": np.stack(asked)}
        found = [block.run(None, queries)[0] for block in self._blocks]
        return [[block[place] for block in found] for place in range(len(asked))]


def greatest_rows(products: Products, count: int, allowed: NDArray[np.bool_]) -> Rows:
    """At most ``count`` allowed rows (bool [n]) of the greatest products int32 [n], greatest first.

    A sample tells above which product about three times as many lie: only those are ordered.
    """
    least = np.iinfo(np.int32).min
    left = products if allowed.all() else np.where(allowed, products, np.int32(least))
    sample = left[:: max(1, len(left) // SAMPLED)]
    above = min(len(sample), 1 + 3 * count * len(sample) // len(left))
    floor = np.partition(sample, len(sample) - above)[len(sample) - above]
    rows = np.flatnonzero(left >= floor)
    if len(rows) < count or floor == least:
        rows = np.flatnonzero(allowed)
    found = left[rows]
    if len(rows) > count:
        best = np.argpartition(found, len(found) - count)[len(found) - count :]
        rows, found = rows[best], found[best]
    ordered: Rows = rows[np.argsort(-found.astype(np.int64), kind="stable")]
    return ordered


def _products_with(levels: Levels) -> Any:
    """A session that gives the products int32 [q, n] of queries uint8 [q, d] with levels [n, d]."""
    from onnx import TensorProto, helper, numpy_helper

    count, width = levels.shape
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["query", "levels", "zero"], ["products"])],
        "products",
        [helper.make_tensor_value_info("query", TensorProto.UINT8, [None, width])],
        [helper.make_tensor_value_info("products", TensorProto.INT32, [None, count])],
        [
            numpy_helper.from_array(np.ascontiguousarray(levels.T), "levels"),
            numpy_helper.from_array(np.array(ZERO, np.uint8), "zero"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    return open_session(model.SerializeToString(), 1)
