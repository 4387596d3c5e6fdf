from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.finetuning.label_propagation import neighbour_graph, propagate


def on_a_circle(degrees: NDArray[np.float64]) -> NDArray[np.float32]:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_a_label_flows_along_a_chain() -> None:
    """Two arcs: their ends are nearer to the other arc's label than to their own."""
    first, second = np.arange(0, 41, 4.0), np.arange(60, 101, 4.0)
    vectors = on_a_circle(np.concatenate([first, second]))
    labelled = np.full(len(vectors), -1)
    labelled[0], labelled[len(first)] = 0, 1
    even = np.full((len(vectors), 2), 0.5)
    found = propagate(neighbour_graph([vectors], 3), even, labelled, 0.95)
    np.testing.assert_array_equal(found.argmax(axis=1), [0] * len(first) + [1] * len(second))
    # By distance alone the last text of the first arc, at 40 degrees, belongs to the label at 60.
    assert found[len(first) - 1, 0] > 0.5


def test_the_neighbours_overrule_a_model_that_is_not_sure() -> None:
    draw = np.random.default_rng(1)
    vectors = on_a_circle(np.concatenate([draw.normal(0, 4, 30), draw.normal(90, 4, 30)]))
    model = np.repeat([[0.8, 0.2], [0.2, 0.8]], 30, axis=0)
    model[3] = [0.4, 0.6]
    unlabelled = np.full(60, -1)
    found = propagate(neighbour_graph([vectors], 5), model, unlabelled, 0.9)
    assert found[3].argmax() == 0
    np.testing.assert_array_equal(found.argmax(axis=1), np.repeat([0, 1], 30))


def test_labelled_texts_keep_their_labels_and_rows_are_probabilities() -> None:
    draw = np.random.default_rng(2)
    raw = draw.normal(size=(50, 8))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    labelled = np.full(50, -1)
    labelled[:10] = draw.integers(4, size=10)
    model = draw.dirichlet(np.ones(4), size=50)
    found = propagate(neighbour_graph([vectors, vectors], 6), model, labelled, 0.95)
    np.testing.assert_array_equal(found[:10].argmax(axis=1), labelled[:10])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found > 0).all()


def test_without_a_share_the_model_is_believed() -> None:
    vectors = on_a_circle(np.array([0.0, 10.0, 20.0]))
    model = np.array([[0.7, 0.3], [0.4, 0.6], [0.1, 0.9]])
    found = propagate(neighbour_graph([vectors], 2), model, np.full(3, -1), 0.0)
    np.testing.assert_allclose(found, model, atol=1e-6)


def test_the_graph_is_symmetric_without_loops_even_among_equal_texts() -> None:
    vectors = on_a_circle(np.array([0.0, 0.0, 0.0, 45.0, 90.0]))
    graph = neighbour_graph([vectors], 2)
    dense = graph.toarray()
    np.testing.assert_allclose(dense, dense.T, atol=1e-6)
    np.testing.assert_array_equal(np.diag(dense), 0.0)
    assert graph.shape == (5, 5)


@pytest.mark.parametrize("count", [1, 2])
def test_a_text_or_two_are_enough(count: int) -> None:
    vectors = on_a_circle(np.arange(count, dtype=np.float64))
    model = np.full((count, 3), 1 / 3)
    found = propagate(neighbour_graph([vectors], 10), model, np.full(count, -1), 0.9)
    assert np.isfinite(found).all()
