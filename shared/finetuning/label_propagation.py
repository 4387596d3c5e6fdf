"""Label propagation: labels flow from text to text along a graph of nearest neighbours.

A model judges each text by itself. Among many unlabelled texts it is also seen which ones lie close
together: a text between two classes belongs with the crowd that it stands in. Each text starts with
what the model says of it, takes on what its neighbours say, and labelled texts keep their labels.

Source: Zhou et al., "Learning with local and global consistency", 2004 (the iteration); Iscen et
al., "Label propagation for deep semi-supervised learning", 2019, arXiv:1904.04717 (on the vectors
of a network that learns, with weights that are a power of the cosine). Starting unlabelled texts
from the model's own probabilities, and holding labelled ones, are ours: docs/tried.md has what
each is worth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

POWER = 8
"""Cosines are raised to it: a neighbour at .9 counts twice as much as one at .82."""

STEPS = 50
"""Passes over the graph; by then nothing of weight moves at the usual ``share``."""


def neighbour_graph(
    views: Sequence[NDArray[np.float32]], neighbours: int, power: float = POWER
) -> sparse.csr_matrix:
    """Weights of a symmetric graph of nearest neighbours, sparse [n, n], normalised by degree.

    ``views`` are unit vectors float32 [n, d] by different encoders: their cosines are averaged.
    ``neighbours`` is how many a text takes up by itself; more may take up the text.
    """
    import faiss

    joined = np.concatenate(views, axis=1) / np.sqrt(len(views))
    joined = np.ascontiguousarray(joined, dtype=np.float32)
    count = len(joined)
    index = faiss.IndexFlatIP(joined.shape[1])
    index.add(joined)
    # The text itself is found, too, but not always first where another has the same words.
    cosines, found = index.search(joined, min(count, neighbours + 1))
    rows = np.repeat(np.arange(count), found.shape[1])
    columns, weights = found.ravel(), np.maximum(cosines.ravel(), 0.0) ** power
    apart = rows != columns
    one_way = sparse.csr_matrix(
        (weights[apart], (rows[apart], columns[apart])), shape=(count, count), dtype=np.float32
    )
    both = one_way + one_way.T
    degree = np.asarray(both.sum(axis=1)).ravel()
    scale = sparse.diags(1.0 / np.sqrt(np.maximum(degree, 1e-9)))
    return (scale @ both @ scale).tocsr()


def propagate(
    graph: sparse.csr_matrix,
    probabilities: NDArray[np.float64],
    labelled: NDArray[np.int64],
    share: float,
    steps: int = STEPS,
) -> NDArray[np.float64]:
    """Probabilities float64 [n, k] after the labels have flowed.

    ``probabilities`` [n, k] is what the model says of each text, ``labelled`` int64[n] the class
    number of labelled texts and -1 elsewhere. ``share`` in [0, 1) is what a text takes from its
    neighbours; the rest it keeps of its start.
    """
    known = np.flatnonzero(labelled >= 0)
    certain = np.zeros((len(known), probabilities.shape[1]), dtype=np.float32)
    certain[np.arange(len(known)), labelled[known]] = 1.0
    start = probabilities.astype(np.float32)
    start[known] = certain
    state = start
    for _ in range(steps if share else 0):
        state = share * (graph @ state) + (1 - share) * start
        # A labelled text passes on all that reaches it as its own class: crowds keep their weight.
        reached = np.maximum(state[known].sum(axis=1, keepdims=True), 1.0)
        state[known] = certain * reached
    result = np.maximum(state.astype(np.float64), 1e-9)
    return np.asarray(result / result.sum(axis=1, keepdims=True), dtype=np.float64)
