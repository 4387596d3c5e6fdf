"""What the times of a fit say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.recommend.serving.refits import state_of
from tests.fakes.recommend_service import NOW

pytestmark = pytest.mark.unit
LATER, LAST = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)


@pytest.mark.parametrize(
    ("times", "error", "state"),
    [
        ((None, None, None), None, "idle"),
        ((NOW, None, None), None, "waiting"),
        ((NOW, LATER, None), None, "running"),
        ((NOW, LATER, LAST), None, "idle"),
        ((NOW, LATER, LAST), "no memory", "failed"),
        ((LAST, NOW, LATER), "no memory", "waiting"),
        ((NOW, LAST, LATER), None, "running"),
        ((None, NOW, LATER), None, "idle"),
    ],
)
def test_state_of(times: tuple, error: str | None, state: str) -> None:  # type: ignore[type-arg]
    assert state_of(*times, error) == state
