"""Laws of both models of behaviour: one user as many, addends add up, arrays come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommendation.behaviour import KINDS, LinearBehaviour
from models.recommendation.recommender import Recommender
from shared.histories import Histories, UserHistory
from tests.fakes.small_catalogue import fitted

pytestmark = pytest.mark.unit
ROWS = np.array([4, 0, 31, 9])
HISTORIES = [
    UserHistory.of([]),
    UserHistory.of([5]),
    UserHistory.of([5, 9, 5, 1], [1.0, -2.0, 3.0, 2.0]),
    UserHistory.of([0, 7, 0, 30], [1.0, 1.0, -2.0, 1.0]),
    UserHistory.of([2, 2], [1.0, -1.0]),
    UserHistory.of([8, 3], [-2.0, -2.0]),
]


@pytest.fixture(scope="module", params=sorted(KINDS))
def world(request: pytest.FixtureRequest) -> tuple[Recommender, Histories]:
    return fitted(request.param)


def test_many_users_score_as_each_alone(world: tuple[Recommender, Histories]) -> None:
    behaviour, histories = world[0].behaviour, world[1]
    users = np.array([7, 0, 33, 12])
    many = behaviour.score_users(histories, users, 0.7)
    alone = [behaviour.scores(histories.of_user(int(user)), 0.7) for user in users]
    np.testing.assert_allclose(many, np.stack(alone), atol=2e-5)
    assert np.ptp(many, axis=1).min() > 0.01


@pytest.mark.parametrize("history", HISTORIES)
def test_contributions_add_up(world: tuple[Recommender, Histories], history: UserHistory) -> None:
    behaviour = world[0].behaviour
    given = behaviour.contributions(history, ROWS, 0.7)
    assert given.shape == (len(history), len(ROWS))
    summed = given.sum(axis=0)
    np.testing.assert_allclose(summed, behaviour.scores(history, 0.7)[ROWS], atol=2e-5)


def test_events_of_no_strength_give_nothing(world: tuple[Recommender, Histories]) -> None:
    behaviour = world[0].behaviour
    history = UserHistory.of([5, 5, 9], [0.0, 1.0, 0.0])
    given = behaviour.contributions(history, ROWS, 0.7)
    assert not given[[0, 2]].any()
    assert given[1].any()


def test_what_is_near_does_not_depend_on_the_direction(
    world: tuple[Recommender, Histories],
) -> None:
    behaviour = world[0].behaviour
    near = np.stack([behaviour.similar(row) for row in range(behaviour.items)])
    np.testing.assert_allclose(near, near.T, atol=1e-5)
    assert near[4].argsort()[-5:].tolist() != near[5].argsort()[-5:].tolist()


def test_arrays_give_the_same_numbers_again(world: tuple[Recommender, Histories]) -> None:
    behaviour = world[0].behaviour
    again = KINDS[behaviour.kind].of_arrays(behaviour.arrays())
    for name, array in behaviour.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    history = HISTORIES[2]
    np.testing.assert_array_equal(again.scores(history, 0.7), behaviour.scores(history, 0.7))


def test_a_later_event_counts_more(world: tuple[Recommender, Histories]) -> None:
    """The newest of two items of one weight decides: order matters to both models."""
    behaviour = world[0].behaviour
    one, other = (behaviour.scores(UserHistory.of(rows), 0.5) for rows in ([4, 9], [9, 4]))
    assert np.abs(one - other).max() > 1e-3


def test_a_matrix_that_is_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        LinearBehaviour(np.zeros((3, 2), np.float32))


def test_factors_are_not_taken_for_items() -> None:
    model = fitted("als")[0]
    with pytest.raises(ValueError, match="different numbers of items"):
        replace(model, item_ids=model.item_ids[:-1])
