"""A catalogue in the plane: the first two principal components of the items' vectors. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.histories import Rows


def plane(
    vectors: NDArray[np.float32], listed: NDArray[np.bool_], limit: int
) -> tuple[Rows, NDArray[np.float64]]:
    """Rows int64 [m] and their places float64 [m, 2], of the listed items (bool [n]).

    Of more than ``limit`` every so-manyth is taken. Each component points where its greatest
    loading is positive, so that equal vectors give equal maps; one that is not there is 0.
    """
    rows = np.flatnonzero(listed)
    if len(rows) > limit:
        rows = rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]
    places = np.zeros((len(rows), 2))
    if len(rows) < 2:
        return rows, places
    centred = vectors[rows].astype(np.float64)
    centred -= centred.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    leading = axes[:, ::-1][:, :2]
    signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])])
    places[:, : leading.shape[1]] = centred @ (leading * signs)
    return rows, places
