"""What is popular of late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommendation.popularity import DAY, recent_popularity
from shared.histories import Histories

pytestmark = pytest.mark.unit
HISTORIES = Histories(
    ("a", "b", "c"),
    ("ann", "bo"),
    np.array([0, 3, 5]),
    np.array([0, 1, 2, 1, 0]),
    np.array([1.0, 3.0, -2.0, 1.0, 1.0], np.float32),
    np.array([0.0, 30.0, 60.0, 60.0, 0.0]) * DAY,
)


def test_events_lose_half_their_worth_in_a_half_life() -> None:
    found = recent_popularity(HISTORIES, half_life_days=30.0)
    # a: twice a quarter (60 days before the newest); b: a half and one; c is disliked.
    np.testing.assert_allclose(found, [0.5 / 1.5, 1.0, 0.0], rtol=1e-6)
    assert found.dtype == np.float32


def test_without_times_all_count_alike() -> None:
    untimed = replace(HISTORIES, times=np.full(5, np.nan))
    np.testing.assert_allclose(recent_popularity(untimed), [1.0, 1.0, 0.0])


def test_where_nothing_was_liked_nothing_is_popular() -> None:
    nobody = HISTORIES.keep(HISTORIES.strengths < 0)
    np.testing.assert_array_equal(recent_popularity(nobody), np.zeros(3))
    assert recent_popularity(HISTORIES.keep(np.zeros(5, bool))).tolist() == [0.0, 0.0, 0.0]
