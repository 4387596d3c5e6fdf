"""Partners and the contrastive loss, compared with what is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shared.errors import SettingsError
from shared.finetuning.batching import TokenisedTexts
from shared.finetuning.contrastive import Pairs, contrastive_loss, partners
from shared.finetuning.objectives import Batch, Forward, Supervised
from shared.finetuning.recipe import make_recipe

pytestmark = pytest.mark.unit


def test_a_partner_is_another_of_the_class_and_each_comes_up() -> None:
    truth = np.array([2, 0, 2, 1, 0, 2, 2])
    drawn = np.array(
        [partners(truth, np.arange(7), np.random.default_rng(seed)) for seed in range(200)]
    )
    for row, label in enumerate(truth):
        others = set(np.flatnonzero(truth == label)) - {row}
        assert set(drawn[:, row]) == (others or {row}), "itself only where it is alone"
    counts = np.bincount(drawn[:, 0], minlength=7)
    assert counts[[2, 5, 6]].min() > 40, "evenly"
    some = np.array([5, 3])
    again = [partners(truth, some, np.random.default_rng(9)) for _ in range(2)]
    np.testing.assert_array_equal(*again)
    assert again[0][1] == 3


def by_hand(vectors: np.ndarray, truth: list[int], temperature: float) -> float:
    """The definition, member by member."""
    found = []
    for i in range(len(truth)):
        alike = [j for j in range(len(truth)) if j != i and truth[j] == truth[i]]
        if not alike:
            continue
        chances = {
            j: np.exp(vectors[i] @ vectors[j] / temperature) for j in range(len(truth)) if j != i
        }
        found.append(-np.mean([np.log(chances[j] / sum(chances.values())) for j in alike]))
    return float(np.mean(found))


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_the_loss_is_that_of_its_definition(temperature: float) -> None:
    vectors = np.random.default_rng(0).normal(size=(7, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truth = [0, 1, 0, 2, 1, 0, 3]
    found = contrastive_loss(torch.tensor(vectors), torch.tensor(truth), temperature)
    assert float(found) == pytest.approx(by_hand(vectors, truth, temperature), rel=1e-4)


def test_nothing_alike_costs_nothing_and_has_gradients() -> None:
    vectors = torch.eye(3).requires_grad_()
    loss = contrastive_loss(vectors, torch.arange(3), 0.1)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.isfinite(vectors.grad).all()  # type: ignore[arg-type]


def test_classes_apart_cost_less_than_classes_mixed() -> None:
    corner = torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 1])).float()
    apart = contrastive_loss(corner, torch.tensor([0, 0, 1, 1]), 0.1)
    mixed = contrastive_loss(corner, torch.tensor([0, 1, 0, 1]), 0.1)
    assert float(apart) < 1e-3
    assert float(mixed) > 5


class Lines:
    """A module whose vectors are looked up by the sum of the ids, and what it was asked."""

    def __init__(self) -> None:
        self.table = torch.nn.functional.normalize(torch.randn(100, 4), dim=1)
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.last = torch.zeros(0, 4)

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.seen.append((ids, mask))
        self.last = self.table[(ids * mask).sum(1)]
        return self.last[:, :3] * 5


class Told:
    """The labels' own loss, which keeps the batch that it was given."""

    passes = 1

    def __init__(self) -> None:
        self.batch: Batch | None = None

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        self.batch = batch
        return Supervised()(module, batch)


def test_texts_are_read_beside_their_partners() -> None:
    torch.manual_seed(0)
    texts = TokenisedTexts.of([[7], [8, 1, 2, 3], [9, 9], [5], [6, 6]], pad_id=50)
    truth = np.array([0, 0, 1, 2, 1])
    lines, told = Lines(), Told()
    rows = np.array([2, 0, 3])
    ids, mask = texts.batch(rows)
    batch = Batch(ids, mask, torch.from_numpy(truth[rows]), rows, 4, 10)

    def pairs(weight: float, seed: int = 0) -> Pairs:
        return Pairs(told, texts, truth, lambda: lines.last, 0.2, weight, seed)

    found = float(pairs(0.25)(lines, batch))
    assert len(lines.seen) == 4, "the batch, and each of its three partners"
    assert told.batch is batch
    torch.testing.assert_close(lines.seen[0][0], ids)
    beside = [(ids * mask).sum(1).tolist() for ids, mask in lines.seen[1:]]
    assert beside == [[5], [12], [14]], "the partners of 3, 2 and 0 by length"
    sums = [18, 7, 5, 5, 12, 14]
    expected = 0.25 * by_hand(lines.table[sums].numpy(), [1, 0, 2, 2, 1, 0], 0.2)
    expected += 0.75 * float(Supervised()(lines, batch))
    assert found == pytest.approx(expected, rel=1e-4)
    assert float(pairs(0.25)(lines, batch)) == found, "drawn by seed and step alone"
    assert pairs(0.5).passes == 2


def test_without_weight_only_the_labels_are_read() -> None:
    torch.manual_seed(0)
    texts = TokenisedTexts.of([[7], [8]], pad_id=50)
    lines, rows = Lines(), np.array([0, 1])
    batch = Batch(*texts.batch(rows), torch.tensor([0, 1]), rows, 0, 1)
    pairs = Pairs(Supervised(), texts, np.array([0, 1]), lambda: lines.last, weight=0.0)
    assert float(pairs(lines, batch)) == float(Supervised()(lines, batch))
    assert len(lines.seen) == 2, "once here, once there"


def test_settings_are_checked() -> None:
    assert make_recipe(**{"contrastive.weight": 1}).contrastive.weight == 1
    for field, value in (("weight", 1.5), ("temperature", 0), ("names", -1), ("pairs", 3)):
        with pytest.raises(SettingsError, match=field):
            make_recipe(**{f"contrastive.{field}": value})
