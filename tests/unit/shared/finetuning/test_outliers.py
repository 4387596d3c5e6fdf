"""Outlier exposure: the loss against its formula, row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shared.finetuning.objectives import Batch, Supervised
from shared.finetuning.outliers import Exposed

pytestmark = pytest.mark.unit

LOGITS = torch.tensor(np.random.default_rng(0).normal(size=(6, 3)), dtype=torch.float32)
TRUTH = torch.tensor([0, 1, 2, 0, 3, 3])
"""The last two rows are of no class: their number is the one after the last."""
KNOWN = 4
EXPOSED = Exposed(Supervised(), KNOWN, weight=0.5)


def module(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return LOGITS[ids[:, 0]]


def batch(rows: list[int]) -> Batch:
    ids = torch.tensor(rows)[:, None]
    return Batch(ids, torch.ones_like(ids), TRUTH[rows], np.array(rows), 0, 1)


def test_without_an_outlier_the_loss_is_the_labels() -> None:
    rows = batch([3, 0, 2])
    assert float(EXPOSED(module, rows)) == float(Supervised()(module, rows))


def test_each_row_counts_by_its_kind() -> None:
    logs = torch.log_softmax(LOGITS.double(), dim=-1)
    labelled = -(logs[1, 1] + logs[3, 0]) / 2
    even = -logs[5].mean()
    loss = float(EXPOSED(module, batch([1, 5, 3])))
    assert loss == pytest.approx(float(2 / 3 * labelled + 0.5 * even / 3), rel=1e-5)


def test_a_part_of_outliers_alone_pays_for_being_sure() -> None:
    sure = Exposed(Supervised(), 0, weight=1.0)
    even = torch.zeros(1, 3)
    one = Batch(torch.tensor([[0]]), torch.ones(1, 1), torch.tensor([3]), np.array([0]), 0, 1)
    least = float(sure(lambda ids, mask: even, one))
    assert least == pytest.approx(np.log(3))
    assert float(sure(lambda ids, mask: torch.tensor([[4.0, 0.0, 0.0]]), one)) > least


def test_the_rows_of_the_labels_own_loss_are_theirs() -> None:
    """What goes by row, as weights of examples, is not asked about an outlier."""
    weights = np.array([1.0, 0.0, 1.0, 1.0], dtype=np.float32)
    weighted = Exposed(Supervised(example_weights=weights), KNOWN, weight=0.0)
    alone = Supervised(example_weights=weights)(module, batch([1, 2]))
    assert float(weighted(module, batch([4, 1, 2]))) == pytest.approx(float(alone) * 2 / 3)
