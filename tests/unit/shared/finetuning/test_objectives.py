from __future__ import annotations

import numpy as np
import pytest
import torch

from shared.finetuning.objectives import (
    Batch,
    Supervised,
    class_weights,
    classification_loss,
    consistency_loss,
)
from shared.finetuning.recipe import make_recipe

pytestmark = pytest.mark.unit


def test_passes_that_agree_cost_nothing() -> None:
    logits = torch.tensor([[1.0, 2.0], [0.0, -3.0]])
    assert float(consistency_loss(logits, logits + 5.0)) == pytest.approx(0.0, abs=1e-6)


def test_it_is_half_the_symmetric_divergence() -> None:
    one, other = torch.tensor([[0.0, 0.0]]), torch.tensor([[np.log(3.0), 0.0]])
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    expected = (np.sum(p * np.log(p / q)) + np.sum(q * np.log(q / p))) / 2
    assert float(consistency_loss(one, other)) == pytest.approx(expected, rel=1e-5)
    assert float(consistency_loss(other, one)) == pytest.approx(expected, rel=1e-5)


def test_it_is_a_mean_over_the_batch() -> None:
    one, other = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    twice = consistency_loss(one.repeat(4, 1), other.repeat(4, 1))
    assert float(twice) == pytest.approx(float(consistency_loss(one, other)))


LOGITS = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]))
TRUTH = torch.tensor([0, 2])
"""Right with probability .7 and .4."""


def test_focal_loss_is_as_written_by_hand() -> None:
    found = classification_loss(LOGITS, TRUTH, focal_gamma=2.0)
    expected = (-np.log(0.7) * 0.3**2 - np.log(0.4) * 0.6**2) / 2
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_without_gamma_is_cross_entropy() -> None:
    plain = float(classification_loss(LOGITS, TRUTH))
    assert plain == pytest.approx((-np.log(0.7) - np.log(0.4)) / 2, rel=1e-5)
    assert float(classification_loss(LOGITS, TRUTH, focal_gamma=1e-9)) == pytest.approx(plain)


def test_focal_loss_weighs_classes_and_examples_as_means_do() -> None:
    found = classification_loss(
        LOGITS, TRUTH, focal_gamma=1.0, weights=torch.tensor([1.0, 9.0, 3.0]),
        example_weights=torch.tensor([2.0, 0.5]),
    )  # fmt: skip
    one, other = -np.log(0.7) * 0.3, -np.log(0.4) * 0.6
    assert float(found) == pytest.approx((2 * one + 1.5 * other) / 3.5, rel=1e-5)


def test_weights_of_examples_agree_with_torch_where_torch_knows_them() -> None:
    weights = torch.tensor([1.0, 9.0, 3.0])
    theirs = torch.nn.CrossEntropyLoss(weight=weights)(LOGITS, TRUTH)
    ours = classification_loss(LOGITS, TRUTH, weights=weights, example_weights=torch.ones(2))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_focal_loss_leaves_the_gradient_to_what_is_wrong() -> None:
    """An easy example's share of the gradient falls as gamma rises."""

    def share(gamma: float) -> float:
        logits = LOGITS.clone().requires_grad_()
        classification_loss(logits, TRUTH, focal_gamma=gamma).backward()
        assert logits.grad is not None
        easy, hard = logits.grad.norm(dim=1).tolist()
        return easy / (easy + hard)

    shares = [share(gamma) for gamma in (0.0, 1.0, 2.0, 4.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < shares[0] / 2


def test_focal_gradient_is_finite_where_nothing_is_left_to_learn() -> None:
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    classification_loss(logits, torch.tensor([0, 0]), focal_gamma=0.5).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_balanced_class_weights_are_as_scikit_learn_has_them() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    truth = np.array([0] * 90 + [1] * 9 + [2])
    ours = class_weights(truth, 4, "balanced")
    assert ours is not None
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=truth)
    np.testing.assert_allclose(ours[:3], theirs * 3 / 4, rtol=1e-6)
    assert ours[3] == 1.0
    assert class_weights(truth, 4, "none") is None


@pytest.mark.parametrize(
    "fields", [{"loss": "focal"}, {"class_weights": "balanced"}, {"sampling": "balanced"}]
)
def test_what_the_recipe_says_reaches_the_loss(fields: dict[str, str]) -> None:
    truth = np.array([0, 0, 0, 2])
    plain = Supervised.of(make_recipe(), truth, 3)
    chosen = Supervised.of(make_recipe(**fields), truth, 3)
    batch = Batch(
        torch.zeros(2, 1, dtype=torch.long), torch.ones(2, 1, dtype=torch.long), TRUTH,
        np.array([0, 3]), 0, 1,
    )  # fmt: skip
    losses = [float(each(lambda ids, mask: LOGITS, batch)) for each in (plain, chosen)]
    assert (losses[0] == losses[1]) is ("sampling" in fields), "sampling chooses rows, not losses"
