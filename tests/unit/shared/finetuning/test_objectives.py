from __future__ import annotations

import numpy as np
import pytest
import torch

from shared.finetuning.objectives import consistency_loss

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
