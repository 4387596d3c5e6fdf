from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from shared.finetuning.new_class import fit_new_class

pytestmark = pytest.mark.unit

Floats = NDArray[np.float64]


def clusters(per_class: int, classes: int, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Unit vectors around one axis a class."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(classes), per_class)
    rows = np.eye(8)[truth] + random.normal(scale=0.2, size=(len(truth), 8))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), truth


def test_the_new_class_wins_its_own_examples_and_none_of_the_others() -> None:
    vectors, truth = clusters(12, 4)
    old = vectors @ (20 * np.eye(8)[:3]).T
    weight, bias = fit_new_class(vectors, truth == 3, old)
    new = vectors @ weight + bias
    assert ((new > old.max(axis=1)) == (truth == 3)).all()


def test_without_old_classes_to_beat_it_is_logistic_regression() -> None:
    """One old class of logit 0 leaves sigmoid(z): scikit-learn fits the same."""
    vectors, truth = clusters(30, 2, seed=1)
    weight, bias = fit_new_class(
        vectors, truth == 1, np.zeros((len(vectors), 1)), regularisation=3.0
    )
    fitted = LogisticRegression(C=3.0, tol=1e-8, max_iter=1_000).fit(vectors, truth)
    assert np.allclose(weight, fitted.coef_[0], atol=1e-2)
    assert bias == pytest.approx(fitted.intercept_[0], abs=1e-2)


def test_old_classes_that_score_higher_make_the_new_one_bid_higher() -> None:
    vectors, truth = clusters(12, 3, seed=2)
    old = vectors @ (20 * np.eye(8)[:2]).T
    weight, bias = fit_new_class(vectors, truth == 2, old)
    more_weight, more_bias = fit_new_class(vectors, truth == 2, old + 5.0)
    own = vectors[truth == 2]
    assert ((own @ more_weight + more_bias) > (own @ weight + bias) + 4.0).all()


@pytest.mark.parametrize("is_new", [np.zeros(4, dtype=bool), np.ones(4, dtype=bool)])
def test_examples_of_both_sides_are_needed(is_new: NDArray[np.bool_]) -> None:
    with pytest.raises(ValueError, match="of its own and of the others"):
        fit_new_class(np.eye(4), is_new, np.zeros((4, 2)))
