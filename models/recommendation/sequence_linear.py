"""The sequence-aware linear model of items, with their texts inside the solve.

Choi, Kim, Lee, Shim and Lee, "Session-aware linear item-item models for session-based
recommendation" (SLIST, 2021), in closed form with the zero diagonal of EASE (Steck, 2019), and the
items' texts as further rows of the same regression. With X the histories, P the pasts and F the
futures of their cuts, T the texts' words beside what the encoder has of them, a the plain share:

    G = a XᵀX + (1-a) PᵀP + t TTᵀ + λ I
    B = G⁻¹ (a XᵀX + (1-a) PᵀF + t TTᵀ) = I - G⁻¹ ((1-a) (PᵀP - PᵀF) + λ I)

so that one inverse and a product with a sparse matrix are all that is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommendation.gram_inverse import invert_in_place
from models.recommendation.history_matrix import interactions
from models.recommendation.recipe import MOST_ITEMS_SOLVED, RecommendRecipe
from shared.errors import TrainingError
from shared.histories import Histories, Rows

Floats = NDArray[np.float32]
BLOCK = 1024
TILE = 256
"""A block is turned in pieces that fit the processor's cache."""


def bytes_to_solve(items: int) -> int:
    """What the fit holds at its most: two matrices of all pairs of items, and some of a third."""
    return int(2.3 * 4 * items**2)


def fit_sequence_linear(
    histories: Histories, words: Any, recipe: RecommendRecipe, meanings: Floats | None = None
) -> Floats:
    """How much each item (row) speaks for each other (column), float32 [items, items].

    ``words`` are the items' weighted words, CSR [items, terms] with unit rows; ``meanings`` float32
    [items, e] unit rows of the encoder, which have ``meaning_share`` of the texts' weight where
    they are given. TrainingError, before anything is allocated, for more items than are solved
    whole.
    """
    size = histories.items
    if size > MOST_ITEMS_SOLVED:
        raise TrainingError(
            f"{size:,} items are too many to solve whole ({bytes_to_solve(size) / 2**30:.1f} GiB): "
            f"at most {MOST_ITEMS_SOLVED:,} are; fit factors instead",
            items=size,
        )
    taken = interactions(histories)
    pasts, futures = history_cuts(histories, recipe)
    share = np.float32(1.0 - recipe.plain_share)
    gram = _sum_of_texts(words, meanings, recipe)
    both = pasts.T @ pasts
    _add(gram, recipe.plain_share * (taken.T @ taken) + share * both)
    _add_to_diagonal(gram, recipe.regularisation)
    missing = (share * (both - pasts.T @ futures)).T.tocsr()
    # Symmetric, and in Fortran order: turned it is the same matrix in the order of sparse products.
    inverse = invert_in_place(gram).T
    diagonal = inverse.diagonal().copy()
    weights = np.empty((size, size), np.float32)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        # The columns start:stop of B, turned.
        block = missing[start:stop] @ inverse
        block += recipe.regularisation * inverse[start:stop]
        block *= -1.0
        places = np.arange(start, stop)
        block[places - start, places] += 1.0
        pull = block[places - start, places] / diagonal[start:stop]
        block -= inverse[start:stop] * pull[:, None]
        block[places - start, places] = 0.0
        for row in range(0, size, TILE):
            weights[row : row + TILE, start:stop] = block[:, row : row + TILE].T
    return weights


def history_cuts(histories: Histories, recipe: RecommendRecipe) -> tuple[Any, Any]:
    """The items before and behind each cut of each history, float32 CSR [cuts, items] both."""
    from scipy.sparse import csr_matrix

    liked = histories.keep(histories.strengths > 0)
    owners, places = liked.owners, np.arange(len(liked.rows))
    inner = places > liked.starts[:-1][owners]  # a cut stands before every event but the first
    cuts = int(inner.sum())
    number = np.full(len(places), -1, np.int64)
    number[inner] = np.arange(cuts)
    ends = liked.starts[1:][owners]

    def gathered(distances: int, sign: int) -> Any:
        rows: list[Rows] = []
        columns: list[Rows] = []
        values: list[Floats] = []
        for distance in range(distances):
            at = places + distance if sign > 0 else places - 1 - distance
            fits = inner & ((at < ends) if sign > 0 else (at >= liked.starts[:-1][owners]))
            rows.append(number[fits])
            columns.append(liked.rows[at[fits]])
            values.append(np.full(int(fits.sum()), recipe.gap_decay**distance, np.float32))
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return csr_matrix(entries, (cuts, histories.items))

    return gathered(recipe.past, -1), gathered(recipe.future, 1)


def _sum_of_texts(words: Any, meanings: Floats | None, recipe: RecommendRecipe) -> Floats:
    """``text_weight`` T Tᵀ as a dense matrix in Fortran order, of which only the lower triangle is
    filled: no more is read."""
    size = words.shape[0]
    gram = np.zeros((size, size), np.float32, order="F")
    if not recipe.text_weight:
        return gram
    share = 0.0 if meanings is None else recipe.meaning_share
    turned = words.T.tocsc()
    for start in range(0, size, BLOCK):
        cut, below = slice(start, min(start + BLOCK, size)), slice(start, size)
        near = (1.0 - share) * (words[below] @ turned[:, cut]).toarray()
        if meanings is not None and share:
            near += np.float32(share) * (meanings[below] @ meanings[cut].T)
        gram[below, cut] = recipe.text_weight * near
    return gram


def _add(gram: Floats, sparse: Any) -> None:
    entries = sparse.tocoo()
    entries.sum_duplicates()
    gram[entries.row, entries.col] += entries.data


def _add_to_diagonal(gram: Floats, value: float) -> None:
    places = np.arange(len(gram))
    gram[places, places] += np.float32(value)
