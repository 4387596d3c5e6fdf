"""A score is the sum of its parts, each weighed by what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommendation.history_matrix import history_weights
from models.recommendation.recommender import Blend, Recommender
from models.recommendation.scoring import PARTS
from shared.histories import Histories
from tests.fakes.small_catalogue import BLEND, drawn_histories, fitted

pytestmark = pytest.mark.unit
USERS = np.array([3, 0, 17, 39])


@pytest.fixture(scope="module", params=["sequence_linear", "als"])
def world(request: pytest.FixtureRequest) -> tuple[Recommender, Histories]:
    return fitted(request.param)


def test_parts_add_up(world: tuple[Recommender, Histories]) -> None:
    recommender, histories = world
    parts = recommender.parts_of_users(histories, USERS)
    assert tuple(parts) == PARTS
    assert all(part.any() for part in parts.values())
    summed = parts["behaviour"] + parts["text"] + parts["popular"]
    np.testing.assert_allclose(recommender.score_users(histories, USERS), summed, atol=1e-6)


def test_parts_are_what_the_formula_says(world: tuple[Recommender, Histories]) -> None:
    recommender, histories = world
    parts = recommender.parts_of_users(histories, USERS)
    weight = np.where(recommender.fitted, BLEND.text, BLEND.new_text)
    for place, user in enumerate(USERS.tolist()):
        history = histories.of_user(user)
        weights = history_weights(history, BLEND.decay)
        taken = sum(w * recommender.texts.taken[r] for r, w in zip(history.rows, weights))  # noqa: B905
        text = recommender.texts.offered @ taken * weight
        np.testing.assert_allclose(parts["text"][place], text, atol=1e-5)
        popular = BLEND.popular * recommender.popularity / (1 + np.abs(weights).sum())
        np.testing.assert_allclose(parts["popular"][place], popular, rtol=1e-5)
        behaviour = recommender.behaviour.scores(history, BLEND.decay) * recommender.fitted
        np.testing.assert_allclose(parts["behaviour"][place], behaviour, atol=1e-5)


def test_what_nobody_took_has_the_behaviour_it_borrows(
    world: tuple[Recommender, Histories],
) -> None:
    recommender, histories = world
    new = ~recommender.fitted
    assert new.sum() >= 3
    parts = recommender.parts_of_users(histories, USERS)
    assert not parts["behaviour"][:, new].any()
    assert parts["text"][:, new].all()
    lends = replace(recommender, blend=replace(BLEND, borrowed=0.5))
    found = lends.parts_of_users(histories, USERS)
    known = found["behaviour"][:, ~new]
    np.testing.assert_array_equal(known, parts["behaviour"][:, ~new])
    np.testing.assert_array_equal(found["text"], parts["text"])
    lending = parts["behaviour"].copy()
    for place, user in enumerate(USERS.tolist()):
        history = histories.of_user(user)
        for row, weight in zip(history.rows, history_weights(history, BLEND.decay), strict=True):
            lending[place, row] += weight * recommender.behaviour.own[row]
    lent = recommender.borrowed.lent(lending)
    np.testing.assert_allclose(found["behaviour"][:, new], 0.5 * lent, atol=1e-6)
    assert lent.any()


def test_an_ablation_is_one_part_alone(world: tuple[Recommender, Histories]) -> None:
    recommender, histories = world
    whole = Blend(BLEND.decay, 1.0, 1.0, 1.0)
    parts = replace(recommender, blend=whole).parts_of_users(histories, USERS)
    text = recommender.only("text")(histories, USERS)
    np.testing.assert_allclose(text, parts["text"], atol=1e-5)
    behaviour = recommender.only("behaviour")(histories, USERS)
    known = recommender.fitted
    np.testing.assert_allclose(behaviour[:, known], parts["behaviour"][:, known], atol=1e-5)
    popular = recommender.only("popular")(histories, USERS)
    np.testing.assert_array_equal(popular, np.tile(recommender.popularity, (4, 1)))
    popular[:] = 0.0
    assert recommender.popularity.any(), "the evaluator writes in what it is given"
    with pytest.raises(ValueError, match="none of"):
        recommender.only("luck")


def test_of_an_unknown_user_the_popular_come_first(world: tuple[Recommender, Histories]) -> None:
    recommender, _ = world
    nobody = Histories(
        recommender.item_ids, ("new",), np.array([0, 0]), np.zeros(0, np.int64),
        np.zeros(0, np.float32), np.zeros(0),
    )  # fmt: skip
    scores = recommender.score_users(nobody, np.array([0]))[0]
    np.testing.assert_allclose(scores, BLEND.popular * recommender.popularity, rtol=1e-6)


def test_the_more_is_known_the_less_popularity_counts() -> None:
    weights = BLEND.popular_weights(np.array([0.0, 1.0, 9.0], np.float32))
    np.testing.assert_allclose(weights, [0.05, 0.025, 0.005], rtol=1e-6)


def test_nobody_asked() -> None:
    recommender, _ = fitted()
    histories = drawn_histories(np.random.default_rng(0), users=2, items=32)
    assert recommender.score_users(histories, np.zeros(0, np.int64)).shape == (0, 32)
