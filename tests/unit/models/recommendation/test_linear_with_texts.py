"""A matrix with texts in it says what behaviour and texts say side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.recommendation.behaviour import LinearBehaviour
from models.recommendation.history_matrix import history_weights
from models.recommendation.linear_with_texts import LinearWithTexts
from shared.histories import UserHistory

pytestmark = pytest.mark.unit
N, DECAY = 1500, 0.8
RNG = np.random.default_rng(0)
LINEAR = LinearBehaviour(RNG.standard_normal((N, N)).astype(np.float32))
TAKEN, OFFERED = RNG.standard_normal((2, N, 6)).astype(np.float32)
BOTH = LinearWithTexts.of(LINEAR, TAKEN, OFFERED)


@settings(max_examples=30, deadline=None)
@given(events=st.lists(st.tuples(st.integers(0, N - 1), st.sampled_from([1.0, 3.0, -2.0, 0.0]))))
def test_sums_and_their_parts(events: list[tuple[int, float]]) -> None:
    history = UserHistory.of([row for row, _ in events], [strength for _, strength in events])
    user = history_weights(history, DECAY) @ TAKEN[history.rows]
    alone = LINEAR.scores(history, DECAY)
    summed, own = BOTH.summed(history, DECAY)
    np.testing.assert_allclose(own, user, atol=1e-5)
    np.testing.assert_allclose(summed, alone + OFFERED @ user, atol=1e-3)
    np.testing.assert_allclose(BOTH.scores(history, DECAY), alone, atol=1e-3)
    rows = np.array([0, 7, N - 1])
    np.testing.assert_allclose(
        BOTH.contributions(history, rows, DECAY),
        LINEAR.contributions(history, rows, DECAY),
        atol=1e-3,
    )


def test_neighbours_are_those_of_behaviour() -> None:
    np.testing.assert_allclose(BOTH.similar(3), LINEAR.similar(3), atol=1e-4)
    assert (BOTH.items, BOTH.kind, BOTH.factors.shape) == (N, "sequence_linear", (N, 0))


def test_a_matrix_that_others_need_stays_as_it_is() -> None:
    mine = LinearBehaviour(LINEAR.weights.copy())
    LinearWithTexts.of(mine, TAKEN, OFFERED)
    np.testing.assert_array_equal(mine.weights, LINEAR.weights)
    given_up = LinearWithTexts.of(mine, TAKEN, OFFERED, in_place=True)
    assert given_up.sums is mine.weights
    np.testing.assert_allclose(given_up.sums, BOTH.sums)
