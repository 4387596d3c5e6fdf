"""A whole matrix of items as two short vectors each, so that FAISS can search what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ROUNDS = 5
SPARE = 16
"""Directions more than are kept, so that the last ones kept are found well."""


def factor_weights(
    weights: Floats, shown: Any, *, dimensions: int, seed: int
) -> tuple[Floats, Floats]:
    """Vectors ``taken`` and ``offered``, float32 [n, dimensions] both, whose products stand in for
    ``weights`` float32 [n, n].

    They lose least of the scores of the histories ``shown`` (CSR [users, n]), and not of the matrix
    itself: with H the histories and B the matrix, the leading directions V of HB give B ≈ (BV)Vᵀ.
    Found by subspace iteration. Source: Halko, Martinsson and Tropp, "Finding structure with
    randomness", 2011.
    """
    size = min(dimensions, len(weights))
    pairs = (shown.T @ shown).tocsr()

    def met(directions: Floats) -> Floats:
        """(HB)ᵀ(HB) times some directions; HB itself is never made."""
        product: Floats = weights.T @ (pairs @ (weights @ directions))
        return product

    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((len(weights), min(size + SPARE, len(weights))), np.float32)
    for _ in range(ROUNDS):
        basis = np.linalg.qr(met(basis))[0]
    values, vectors = np.linalg.eigh(basis.T @ met(basis))
    leading = basis @ vectors[:, np.argsort(-values)[:size]]
    offered = np.ascontiguousarray(leading, np.float32)
    return weights @ offered, offered
