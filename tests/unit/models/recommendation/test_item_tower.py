"""The tower's maps: where they start, what they learn, and what followed what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommendation.item_tower import (
    TAUGHT_BY,
    ItemTower,
    followed_cuts,
    train_item_tower,
)
from shared.histories import Histories
from tests.fakes.small_catalogue import (
    RECIPE,
    catalogue_of,
    drawn_histories,
    histories_over,
    items_of,
)

pytestmark = pytest.mark.unit
ITEMS = items_of()
DENSE = catalogue_of(ITEMS).dense


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_with_all_directions_scores_are_those_of_texts() -> None:
    tower = ItemTower.of_texts(DENSE, DENSE.shape[1])
    offered = tower.of_candidates(DENSE)
    np.testing.assert_allclose(cosines(tower.of_history(DENSE)), cosines(DENSE), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(offered, axis=1), 1.0, rtol=1e-5)


def test_fewer_directions_keep_what_says_most() -> None:
    tower = ItemTower.of_texts(DENSE, 4)
    kept = np.linalg.norm(DENSE @ tower.taken) ** 2
    values = np.linalg.svd(DENSE, compute_uv=False) ** 2
    assert kept == pytest.approx(values[:4].sum(), rel=1e-4)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gap_decay", [0.7, 1.0])
def test_what_followed_is_the_next_event_also_where_items_repeat(
    seed: int, gap_decay: float
) -> None:
    histories = drawn_histories(np.random.default_rng(seed), users=10, items=4)
    recipe = replace(RECIPE, gap_decay=gap_decay, past=3, future=4)
    pasts, followed = followed_cuts(histories, recipe)
    expected_pasts: list[np.ndarray] = []
    expected: list[int] = []
    for user in range(10):
        history = histories.of_user(user)
        rows = history.rows[history.strengths > 0].tolist()
        for cut in range(1, len(rows)):
            past = np.zeros(4)
            for distance, row in enumerate(reversed(rows[max(0, cut - 3) : cut])):
                past[row] += gap_decay**distance
            expected_pasts.append(past / past.sum())
            expected.append(rows[cut])
    assert followed.tolist() == expected
    np.testing.assert_allclose(pasts.toarray(), np.array(expected_pasts), rtol=1e-5)


def few_events(histories: Histories) -> Histories:
    return histories.keep(np.arange(len(histories.rows)) < TAUGHT_BY // 2)


@pytest.mark.parametrize("users", [0, 1, 3])
def test_with_little_to_learn_from_the_maps_stay(users: int) -> None:
    histories = few_events(histories_over(ITEMS, users=users))
    tower = train_item_tower(histories, DENSE, RECIPE, seed=1)
    started = ItemTower.of_texts(DENSE, RECIPE.tower_dimensions)
    np.testing.assert_array_equal(tower.taken, started.taken)
    np.testing.assert_array_equal(tower.offered, started.offered)


def test_histories_without_a_second_event() -> None:
    histories = histories_over(ITEMS, users=30)
    firsts = histories.keep(np.isin(np.arange(len(histories.rows)), histories.starts[:-1]))
    pasts, followed = followed_cuts(firsts, RECIPE)
    assert pasts.shape == (0, len(ITEMS))
    assert followed.shape == (0,)


def test_one_seed_gives_one_tower_and_the_generator_is_left_alone() -> None:
    import torch

    histories = histories_over(ITEMS, users=60)
    torch.manual_seed(5)
    first = train_item_tower(histories, DENSE, RECIPE, seed=1)
    drawn = float(torch.rand(1))
    torch.manual_seed(5)
    assert drawn == float(torch.rand(1))
    again = train_item_tower(histories, DENSE, RECIPE, seed=1)
    other = train_item_tower(histories, DENSE, RECIPE, seed=2)
    np.testing.assert_array_equal(first.taken, again.taken)
    np.testing.assert_array_equal(first.offered, again.offered)
    assert not np.array_equal(first.offered, other.offered)


def test_it_learns_what_follows() -> None:
    histories = histories_over(ITEMS, users=120)
    recipe = replace(RECIPE, tower_epochs=30, tower_rate=3e-3, tower_dropout=0.0)
    losses: list[float] = []
    steps: list[tuple[int, int]] = []

    def report(step: int, of: int, loss: float) -> None:
        steps.append((step, of))
        losses.append(loss)

    train_item_tower(histories, DENSE, recipe, seed=1, report=report)
    assert losses[-1] < losses[0] - 0.1
    assert steps[-1][0] == steps[-1][1] == len(steps)
