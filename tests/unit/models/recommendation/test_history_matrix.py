"""How much the events of a history count: against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommendation.history_matrix import (
    RECALLED,
    history_weights,
    interactions,
    weighted_histories,
)
from shared.histories import UserHistory
from tests.fakes.small_catalogue import drawn_histories

pytestmark = pytest.mark.unit


def test_weights_are_the_decay_times_the_root_of_the_strength() -> None:
    history = UserHistory.of([3, 1, 3, 0], [4.0, -9.0, 0.0, 1.0])
    expected = [0.5**3 * 2, -(0.5**2) * 3, 0.0, 1.0]
    np.testing.assert_allclose(history_weights(history, 0.5), expected, rtol=1e-6)


def test_events_long_ago_weigh_nothing() -> None:
    weights = history_weights(UserHistory.of([0] * (RECALLED + 5)), 1.0)
    assert np.count_nonzero(weights) == RECALLED
    assert not weights[:5].any()


def test_an_empty_history_has_no_weights() -> None:
    assert history_weights(UserHistory.of([]), 0.8).shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_weights_of_many_users_are_those_of_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    histories = drawn_histories(rng, users=12, items=6)
    users = rng.permutation(12)[:7]
    expected, sizes = np.zeros((7, 6)), np.zeros(7)
    for place, user in enumerate(users):
        history = histories.of_user(int(user))
        weights = history_weights(history, 0.7)
        for row, weight in zip(history.rows, weights, strict=True):
            expected[place, row] += weight
            sizes[place] += abs(weight)
    matrix, found = weighted_histories(histories, users, 0.7)
    np.testing.assert_allclose(matrix.toarray(), expected, atol=1e-6)
    np.testing.assert_allclose(found, sizes, rtol=1e-6)


def test_a_dislike_does_not_take_back_what_is_known_of_a_user() -> None:
    drawn = drawn_histories(np.random.default_rng(0), users=1, items=1)
    signs = np.where(np.arange(len(drawn.rows)) % 2, -4.0, 4.0).astype(np.float32)
    matrix, sizes = weighted_histories(replace(drawn, strengths=signs), np.array([0]), 1.0)
    assert len(signs) > 1
    assert abs(matrix).sum() <= 2
    assert sizes[0] == 2 * len(signs)


def test_interactions_are_what_was_liked_once_each() -> None:
    histories = drawn_histories(np.random.default_rng(3), users=9, items=4)
    expected = np.zeros((9, 4))
    for user in range(9):
        history = histories.of_user(user)
        expected[user, history.rows[history.strengths > 0]] = 1.0
    assert expected.sum() < (histories.strengths > 0).sum(), "some events repeat"
    np.testing.assert_array_equal(interactions(histories).toarray(), expected)
