"""All vectors at eight bits a coordinate: what is nearest among some of them, without floats.

A quarter of the memory is read, and products are of whole numbers, so that looking at everything
costs a third of what it costs in floats. Nothing is trained and no neighbourhood has to exist: a
catalogue of any kind is found as well. What is lost is order among near equals: ask for more than
are needed and score those exactly. How much is lost on real embeddings is measured by
``benchmarks/shortlists.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.vector_index import among, nearest_rows

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

LEVELS = 127
BLOCK = 16
"""Coordinates that are multiplied at once: vectors are filled up to a multiple."""


class EightBitIndex:
    """Made of vectors float32 [n, d], which it does not keep. Never changes; safe for concurrent
    searches.

    Each coordinate has a scale of its own, which the query takes over: coordinates of different
    sizes (factors beside texts) keep their precision. FAISS ``IndexScalarQuantizer``, whose
    products read the query at eight bits, too.
    """

    def __init__(self, vectors: Floats) -> None:
        import faiss

        count, self.dimensions = vectors.shape
        greatest = np.abs(vectors).max(axis=0, initial=0.0)
        self._scale = np.where(greatest > 0, greatest / LEVELS, 1.0).astype(np.float32)
        self._more = -self.dimensions % BLOCK
        width = self.dimensions + self._more
        self._faiss: Any = faiss.IndexScalarQuantizer(
            width, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
        )
        for start in range(0, count, 10_000):  # float copies of a part at a time
            levels = np.rint(vectors[start : start + 10_000] / self._scale)
            self._faiss.add(np.pad(levels, ((0, 0), (0, self._more))))

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def nearest(self, query: Floats, count: int, allowed: NDArray[np.bool_]) -> Rows:
        """At most ``count`` allowed rows (bool [n]) int64 of the greatest products with a query
        float32 [d], greatest first; all that are allowed where they are fewer."""
        asked = query * self._scale
        greatest = float(np.abs(asked).max(initial=0.0))
        if greatest > 0:
            asked = np.rint(asked * np.float32(LEVELS / greatest))
        return nearest_rows(self._faiss, np.pad(asked, (0, self._more)), count, among(allowed))
