"""The nearest training vectors of a text, found in 8 bits and measured exactly.

How familiar a text is, and which class its neighbours vote for, depends on the training vectors
nearest to it. A product with all of them reads 15 MB for each message (10,000 vectors of 384
numbers), more than the encoder's own weights, and drives those out of the cache. So candidates come
from a copy in 8 bits, which is a quarter of that and one integer product; the similarities of the
candidates are then computed from the vectors themselves.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.neighbours import REACH, Neighbours, nearest_neighbours
from models.runtime.session import open_session

Floats = NDArray[np.float32]
LOGGER = logging.getLogger(__name__)

CANDIDATES = 32
"""Vectors that are measured exactly, of which the nearest count."""

FEW = 1_024
"""Vectors up to which a product with all of them costs no more."""

MOST_DIFFERENCE = 1e-3
"""Between a familiarity found so and the exact one; beyond it the exact one is computed."""

MOST_OF_VOTERS = REACH / 10
"""The same of each voter's similarity: it moves a vote by a tenth."""

_QUERIES = 64
"""Vectors of the bank that a new index is tried on."""

_STEPS = 63
"""Of a query's largest value: sums of two products then fit 16 bits, as older processors add."""


class NearestVectors:
    """A bank of unit vectors that is asked for the nearest; calls are safe from any thread.

    ``vectors`` is float32 [m, dimensions]. Where there are few, or where candidates in 8 bits
    prove to miss nearest ones, all are compared exactly: ``compressed`` says which.
    """

    def __init__(self, vectors: Floats) -> None:
        self._vectors = vectors
        self._session: Any = None
        if len(vectors) > max(FEW, CANDIDATES):
            self._session = _session(vectors)
            self._try_out()

    @property
    def compressed(self) -> bool:
        """Whether candidates are found in 8 bits."""
        return self._session is not None

    def find(self, queries: Floats) -> Neighbours:
        """The nearest of unit vectors [n, d], as ``nearest_neighbours`` but for the last digits."""
        if self._session is None:
            return nearest_neighbours(queries, self._vectors)
        found: NDArray[np.int64] = self._session.run(None, {"queries": queries})[0]
        return Neighbours.among(queries, self._vectors, found)

    def _try_out(self) -> None:
        """Ask for mixtures of the bank's vectors: they lie near it, and between its classes."""
        random = np.random.default_rng(0)
        pairs = random.integers(0, len(self._vectors), (2, _QUERIES))
        mixed = (
            self._vectors[pairs[0]]
            + random.random((_QUERIES, 1), np.float32) * (self._vectors[pairs[1]])
        )
        length = np.linalg.norm(mixed, axis=1, keepdims=True)
        queries = np.ascontiguousarray(mixed / np.maximum(length, 1e-6), dtype=np.float32)
        exact, found = nearest_neighbours(queries, self._vectors), self.find(queries)
        difference = float(np.abs(found.familiarity - exact.familiarity).max())
        of_voters = float(np.abs(found.similarity - exact.similarity).max())
        if not (difference <= MOST_DIFFERENCE and of_voters <= MOST_OF_VOTERS):
            LOGGER.warning(
                "nearest vectors in 8 bits are off by %.4f and %.4f, %s and %s may be: all are "
                "compared exactly",
                difference,
                of_voters,
                MOST_DIFFERENCE,
                MOST_OF_VOTERS,
            )
            self._session = None


def _session(vectors: Floats) -> Any:
    """A graph that gives the rows of the candidates, int64 [n, CANDIDATES], in no order."""
    from onnx import TensorProto, helper, numpy_helper

    scales = np.maximum(np.abs(vectors).max(axis=1) / 127, np.float32(1e-12))
    step = max(float(np.abs(vectors).max()) / _STEPS, 1e-12)
    arrays = {
        "bank": np.round(vectors / scales[:, None]).astype(np.int8).T,
        "scales": scales.astype(np.float32),
        "step": np.array(step, dtype=np.float32),
        "zero": np.array(_STEPS + 1, dtype=np.uint8),
        "least": np.array(-_STEPS * step, dtype=np.float32),
        "most": np.array(_STEPS * step, dtype=np.float32),
        "candidates": np.array([CANDIDATES], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Clip", ["queries", "least", "most"], ["clipped"]),
        helper.make_node("QuantizeLinear", ["clipped", "step", "zero"], ["query"]),
        helper.make_node(
            "MatMulIntegerToFloat",
            ["query", "bank", "step", "scales", "zero"],
            ["similarity"],
            domain="com.microsoft",
        ),
        helper.make_node("TopK", ["similarity", "candidates"], ["near", "rows"], sorted=0),
    ]
    graph = helper.make_graph(
        nodes,
        "nearest",
        [helper.make_tensor_value_info("queries", TensorProto.FLOAT, ["n", vectors.shape[1]])],
        [helper.make_tensor_value_info("rows", TensorProto.INT64, ["n", CANDIDATES])],
        [
            numpy_helper.from_array(np.ascontiguousarray(array), name)
            for name, array in arrays.items()
        ],
    )
    model = helper.make_model(
        graph,
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)],
    )
    return open_session(model.SerializeToString(), 1)
