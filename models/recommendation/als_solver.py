"""Weighted least squares for one side of a factorisation, exactly and in bounded memory.

For each row r of a sparse table, with fixed factors f_c of the columns, ``RowSolver`` finds

    argmin_x  Σ_c b_rc (f_c·x)²             over unobserved c, b_rc = row_weight_r · column_weight_c
            + Σ_c (b_rc + d_rc)(p_rc - f_c·x)²     over observed c
            + λ |x - prior_r|²

The background Σ b f fᵀ is diagonal in the eigenbasis of the columns' Gram matrix, whatever the
row's weight, so a row with h observations costs one h by h system (Woodbury's identity), not one
of the size of the factors. Rows with more observations than factors are solved directly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.histories import Rows

Reals = NDArray[np.float64]
Factors = NDArray[np.float32]

BLOCK_BYTES = 32 * 2**20
"""What the gathered factors of one block of rows may hold."""


@dataclass(frozen=True, eq=False, slots=True)
class Observed:
    """A sparse table by rows: the entries of row r are ``starts[r]:starts[r + 1]``.

    One each an entry: ``columns`` int64, none twice in a row; ``weights`` float64 above 0 (d, the
    confidence beyond the background); ``targets`` float64 (p: 1 for liked, 0 for disliked).
    """

    starts: Rows
    columns: Rows
    weights: Reals
    targets: Reals

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> Rows:
        """How many entries each row has."""
        return np.diff(self.starts)

    def transposed(self, columns: int) -> Observed:
        """The same table by its columns, of which there are so many."""
        order = np.argsort(self.columns, kind="stable")
        starts = np.searchsorted(self.columns[order], np.arange(columns + 1))
        owners = np.repeat(np.arange(self.rows), self.lengths)
        return Observed(
            starts.astype(np.int64), owners[order], self.weights[order], self.targets[order]
        )


class RowSolver:
    """Solves rows against fixed factors (float32 [m, f]) of the columns.

    ``column_weights`` (float64 [m]) is each column's part of the background, ``regularisation`` λ.
    ``gram`` (float64 [f, f]) is the weighted Gram matrix of all columns where ``factors`` are only
    some of them; it is computed where it is left out.
    """

    def __init__(
        self,
        factors: Factors,
        column_weights: Reals,
        regularisation: float,
        *,
        gram: Reals | None = None,
    ) -> None:
        self._column_weights = column_weights
        self._regularisation = regularisation
        whole = weighted_gram(factors, column_weights) if gram is None else gram
        values, self._basis = np.linalg.eigh(whole)
        self._background = np.maximum(values, 0.0)
        self._rotated = (factors @ self._basis.astype(np.float32)).astype(np.float32)

    def solve(
        self, observed: Observed, row_weights: Reals, priors: Factors | None = None
    ) -> Factors:
        """The solution of each row, float32 [rows, f].

        ``row_weights`` float64 [rows] is each row's part of the background; ``priors`` float32
        [rows, f] is what the solution is drawn to, zero where it is left out. A row with neither
        entries nor background is at its prior.
        """
        size = self._rotated.shape[1]
        solved = np.zeros((observed.rows, size), np.float32)
        if priors is not None:
            solved[:] = priors
        lengths = observed.lengths
        for rows in _blocks(lengths, row_weights, size):
            pull = None if priors is None else self._regularisation * (priors[rows] @ self._basis)
            diagonal = np.outer(row_weights[rows], self._background) + self._regularisation
            if lengths[rows[-1]] <= size:
                found = self._few(observed, rows, row_weights[rows], diagonal, pull)
            else:
                row = int(rows[0])
                found = self._many(observed, row, float(row_weights[row]), diagonal[0], pull)[None]
            solved[rows] = found @ self._basis.T
        return solved

    def _few(
        self,
        observed: Observed,
        rows: Rows,
        row_weights: Reals,
        diagonal: Reals,
        pull: Reals | None,
    ) -> Reals:
        """Rows of at most as many entries as factors, through their h by h systems."""
        lengths = observed.lengths[rows]
        places = np.arange(int(lengths.max()))
        there = places < lengths[:, None]
        entries = np.where(there, observed.starts[rows][:, None] + places, 0)
        if not there.any():
            return np.zeros_like(diagonal) if pull is None else pull / diagonal
        columns = np.where(there, observed.columns[entries], 0)
        roots = np.sqrt(np.where(there, observed.weights[entries], 0.0))
        targets = np.where(there, observed.targets[entries], 0.0)
        factors = self._rotated[columns].astype(np.float64)
        confidence = row_weights[:, None] * self._column_weights[columns] + roots**2
        right = np.einsum("rh,rhf->rf", confidence * targets, factors)
        if pull is not None:
            right += pull
        base = right / diagonal
        factors *= roots[:, :, None]
        inner = factors / diagonal[:, None, :] @ factors.transpose(0, 2, 1)
        inner[:, places, places] += 1.0
        back = np.linalg.solve(inner, factors @ base[:, :, None])
        corrected: Reals = base - (factors.transpose(0, 2, 1) @ back)[:, :, 0] / diagonal
        return corrected

    def _many(
        self, observed: Observed, row: int, row_weight: float, diagonal: Reals, pull: Reals | None
    ) -> Reals:
        """One row of more entries than factors, its f by f system summed up in pieces."""
        size = len(diagonal)
        system = np.diag(diagonal)
        right = np.zeros(size) if pull is None else pull[0].copy()
        piece = max(1, BLOCK_BYTES // (8 * size))
        for start in range(int(observed.starts[row]), int(observed.starts[row + 1]), piece):
            cut = slice(start, min(start + piece, int(observed.starts[row + 1])))
            columns, weights = observed.columns[cut], observed.weights[cut]
            factors = self._rotated[columns].astype(np.float64)
            system += factors.T @ (factors * weights[:, None])
            confidence = row_weight * self._column_weights[columns] + weights
            right += (confidence * observed.targets[cut]) @ factors
        return np.linalg.solve(system, right)


def weighted_gram(factors: Factors, weights: Reals) -> Reals:
    """Σ w_c f_c f_cᵀ, float64 [f, f], summed up in pieces."""
    size = factors.shape[1]
    gram = np.zeros((size, size))
    piece = max(1, BLOCK_BYTES // (8 * size))
    for start in range(0, len(factors), piece):
        part = factors[start : start + piece].astype(np.float64)
        gram += part.T @ (part * weights[start : start + piece, None])
    return gram


def _blocks(lengths: Rows, row_weights: Reals, size: int) -> Iterator[Rows]:
    """Rows in blocks of like length that fit the memory bound, the longest of a block last.

    Rows with neither entries nor background are in none; those longer than ``size`` stand alone.
    """
    open_rows = np.flatnonzero((lengths > 0) | (row_weights > 0))
    order = open_rows[np.argsort(lengths[open_rows], kind="stable")]
    start = 0
    while start < len(order):
        width = max(1, int(lengths[order[start]]))
        if width > size:
            end = start + 1
        else:
            most = max(1, BLOCK_BYTES // (8 * size * 2 * width))
            alike = np.searchsorted(lengths[order], min(2 * width, size), "right")
            end = min(start + most, int(alike))
        yield order[start : max(end, start + 1)]
        start = max(end, start + 1)
