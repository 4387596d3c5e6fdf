"""The distillation loss against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shared.errors import TrainingError
from shared.finetuning.distillation import Taught, check_answers, softened
from shared.finetuning.objectives import Batch, Supervised

pytestmark = pytest.mark.unit

DRAW = np.random.default_rng(0)
TEACHER = DRAW.normal(size=(6, 3)).astype(np.float32)
STUDENT = torch.tensor(DRAW.normal(size=(6, 3)), dtype=torch.float32)
TRUTH = np.array([0, 1, 2, 0, 1, 2])


def batch(rows: list[int]) -> Batch:
    ids = torch.tensor(rows)[:, None]
    return Batch(ids, torch.ones_like(ids), torch.from_numpy(TRUTH[rows]), np.array(rows), 0, 1)


def module(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return STUDENT[ids[:, 0]]


def test_softened_answers_are_probabilities() -> None:
    hot, cold = softened(TEACHER, 10.0), softened(TEACHER, 0.1)
    np.testing.assert_allclose(hot.sum(axis=1), 1.0, rtol=1e-6)
    assert (hot.max(axis=1) < cold.max(axis=1)).all()
    assert np.isfinite(softened(TEACHER * 1e4, 1.0)).all()


def test_more_answers_than_memory_holds_are_refused() -> None:
    check_answers(10_000, 5_000)
    with pytest.raises(TrainingError, match="10,001 texts of 5,000 classes"):
        check_answers(10_001, 5_000)


def test_the_loss_is_the_papers() -> None:
    rows, temperature = [4, 1, 2], 3.0
    answers = softened(TEACHER, temperature)
    loss = Taught(Supervised(), answers, None, temperature, 0.3, 0.7)(module, batch(rows))
    student = STUDENT[rows].double().numpy()
    logs = student / temperature
    logs = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    target = answers[rows].astype(np.float64)
    divergence = (target * (np.log(target) - logs)).sum(axis=1).mean()
    plain = student - np.log(np.exp(student).sum(axis=1, keepdims=True))
    labels = -plain[np.arange(3), TRUTH[rows]].mean()
    assert float(loss) == pytest.approx(0.3 * labels + 0.7 * 9 * divergence, rel=1e-5)


def test_a_student_that_agrees_pays_nothing() -> None:
    answers = softened(STUDENT.numpy(), 2.0)
    loss = Taught(Supervised(), answers, None, 2.0, 0.0, 1.0)(module, batch([0, 5]))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_other_columns_are_left_alone() -> None:
    answers = softened(STUDENT.numpy()[:, [2, 0]], 2.0)
    held = Taught(Supervised(), answers, np.array([2, 0]), 2.0, 0.0, 1.0)
    assert float(held(module, batch([0, 1, 2]))) == pytest.approx(0.0, abs=1e-6)


def test_two_passes_are_both_compared() -> None:
    answers = softened(TEACHER, 2.0)
    once = Taught(Supervised(), answers)(module, batch([0, 1]))
    twice = Taught(Supervised(consistency=1.0), answers)
    assert twice.passes == 2
    assert float(twice(module, batch([0, 1]))) == pytest.approx(float(once), rel=1e-5)
