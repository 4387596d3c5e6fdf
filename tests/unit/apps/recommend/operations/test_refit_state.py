"""What follows from a tenant's times: fit, fit again, give up, wait; which nights were missed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommend.operations.refit_state import (
    INTERRUPTED,
    RefitState,
    last_night,
    next_step,
    night_missed,
)

pytestmark = pytest.mark.unit
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
THREE = time(3, 0)


def state(
    wished: float | None = None,
    started: float | None = None,
    finished: float | None = None,
    error: str | None = None,
) -> RefitState:
    """Times in hours before noon."""
    at = [None if hours is None else NOON - hours * HOUR for hours in (wished, started, finished)]
    return RefitState("default", *at, error=error)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (state(), "wait"),
        (state(wished=1), "fit"),
        (state(wished=3, started=2, finished=1), "wait"),
        (state(wished=1, started=3, finished=2), "fit"),
        (state(started=2, finished=1, error="it failed"), "wait"),
        (state(wished=3, started=2), "fit again"),
        (state(started=2, finished=3), "fit again"),
        (state(started=2, error=INTERRUPTED), "give up"),
        (state(wished=1, started=2, error=INTERRUPTED), "fit"),
        (state(started=2, finished=1, error=INTERRUPTED), "wait"),
    ],
)
def test_the_next_step(found: RefitState, step: str) -> None:
    assert next_step(found) == step


@given(st.timedeltas(timedelta(), timedelta(days=400)), st.times())
def test_last_night_is_the_latest_of_its_time_that_has_come(ago: timedelta, nightly: time) -> None:
    moment = NOON - ago
    last = last_night(moment, nightly)
    assert (last.hour, last.minute, last.second) == (nightly.hour, nightly.minute, nightly.second)
    assert timedelta() <= moment - last < timedelta(days=1)


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (state(), True),
        (state(started=8, finished=8), False),  # at four
        (state(started=10, finished=8), True),  # at two
        (state(wished=8), False),
        (state(wished=10), True),
        (state(wished=30, started=9, finished=8), False),  # at three sharp
    ],
)
def test_a_night_is_missed_when_nothing_came_of_it(found: RefitState, missed: bool) -> None:
    assert night_missed(found, NOON, THREE) is missed
