"""Who may teach, with how much, and what the loss of a soft label is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from shared.finetuning.objectives import Batch, Supervised
from shared.finetuning.self_training import (
    SelfTrainingSettings,
    SoftLabels,
    familiar_texts,
    matching_temperature,
    repetitions,
    select,
)

pytestmark = pytest.mark.unit


def test_only_sure_and_familiar_texts_teach() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.05, 0.95], [0.99, 0.01]])
    sure = probabilities.max(axis=1)
    familiar = np.array([True, True, True, False])
    settings = SelfTrainingSettings(confidence=0.8, sharpness=1.0)
    found = select(probabilities, sure, familiar, settings)
    assert found.rows.tolist() == [0, 2], "one is unsure, one a stranger however sure"
    np.testing.assert_allclose(found.targets, probabilities[[0, 2]], atol=1e-6)


def test_no_class_has_a_multiple_of_the_others() -> None:
    sure = np.concatenate([np.linspace(0.81, 0.99, 30), np.full(3, 0.9), np.full(3, 0.9)])
    label = np.concatenate([np.zeros(30), np.ones(3), np.full(3, 2)]).astype(int)
    probabilities = np.full((36, 4), 0.0)
    probabilities[np.arange(36), label] = sure
    probabilities[:, 3] = 1 - sure
    settings = SelfTrainingSettings(confidence=0.8, most_of_mean=1.5)
    found = select(probabilities, sure, np.ones(36, dtype=bool), settings)
    taken = np.bincount(label[found.rows], minlength=3)
    assert taken.tolist() == [18, 3, 3], "1.5 times the mean of 12 over the classes with any"
    assert set(range(12, 30)) <= set(found.rows.tolist()), "the surest of a class stay"
    assert (np.diff(found.rows) > 0).all()


def test_nobody_sure_gives_nothing() -> None:
    probabilities = np.full((5, 3), 1 / 3)
    found = select(probabilities, np.full(5, 1 / 3), np.ones(5, bool), SelfTrainingSettings())
    assert found.rows.shape == (0,)
    assert found.targets.shape == (0, 3)


def test_sharpness_raises_probabilities_that_still_sum_to_one() -> None:
    probabilities = np.array([[0.6, 0.4]])
    settings = SelfTrainingSettings(confidence=0.5, sharpness=2.0)
    found = select(probabilities, np.array([0.6]), np.ones(1, dtype=bool), settings)
    np.testing.assert_allclose(found.targets, [[0.36 / 0.52, 0.16 / 0.52]], atol=1e-6)


def test_strangers_are_farther_than_labelled_texts_from_one_another() -> None:
    nearest = familiar_texts(
        np.linspace(0.5, 0.9, 101), np.array([0.4, 0.52, 0.8]), SelfTrainingSettings(strangers=0.02)
    )
    assert nearest.tolist() == [False, True, True]


@pytest.mark.parametrize("accuracy", [0.6, 0.8, 0.95])
def test_the_mean_of_what_is_believed_matches_the_accuracy(accuracy: float) -> None:
    logits = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32) * 4
    temperature = matching_temperature(logits, accuracy)
    believed = torch.softmax(torch.from_numpy(logits) / temperature, dim=1).max(dim=1).values
    assert float(believed.mean()) == pytest.approx(accuracy, abs=1e-3)


def test_labels_are_repeated_until_they_have_their_share() -> None:
    settings = SelfTrainingSettings(labelled_share=0.25)
    assert repetitions(100, 3_000, settings) == 10
    assert repetitions(3_000, 100, settings) == 1


def _batch(rows: list[int], truth: list[int]) -> Batch:
    ids = torch.ones(len(rows), 3, dtype=torch.int64)
    return Batch(ids, ids, torch.tensor(truth), np.array(rows), 0, 1)


def test_hard_targets_give_the_supervised_loss() -> None:
    logits = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 0.2]])
    targets = np.zeros((4, 3), dtype=np.float32)
    targets[2, 1], targets[0, 2] = 1, 1
    soft = SoftLabels(targets, np.ones(4, np.float32), np.zeros(4, dtype=bool))
    batch = _batch([2, 0], [1, 2])
    expected = Supervised()(lambda ids, mask: logits, batch)
    assert float(soft(lambda ids, mask: logits, batch)) == pytest.approx(float(expected))
    assert soft.passes == 1


def test_weights_and_consistency_count_by_row() -> None:
    passes = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 2.0], [3.0, 1.0]])
    targets = np.array([[0.7, 0.3], [0.5, 0.5]], dtype=np.float32)
    weights, unlabelled = np.array([0.5, 1.0], np.float32), np.array([True, False])
    soft = SoftLabels(targets, weights, unlabelled, consistency=2.0)
    assert soft.passes == 2
    loss = float(soft(lambda ids, mask: passes, _batch([0, 1], [0, 0])))
    repeated = torch.from_numpy(targets).repeat(2, 1)
    entropy = functional.cross_entropy(passes, repeated, reduction="none")
    one, other = passes[0].log_softmax(0), passes[2].log_softmax(0)
    forth = (one.exp() * (one - other)).sum()
    back = (other.exp() * (other - one)).sum()
    apart = float(forth + back) / 2
    expected = float((entropy * torch.tensor([0.5, 1, 0.5, 1])).mean()) + 2.0 * 0.5 * apart
    assert loss == pytest.approx(expected, rel=1e-5)
