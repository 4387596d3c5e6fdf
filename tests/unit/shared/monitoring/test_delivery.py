"""How long to wait between attempts, and the ids that receivers see."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.monitoring.delivery import event_id, next_wait

pytestmark = pytest.mark.unit


def test_waits_double_up_to_an_hour_and_never_stop_growing_the_wrong_way() -> None:
    waits = [next_wait(attempts, None).total_seconds() for attempts in range(1, 100)]
    assert waits[:8] == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert set(waits[7:]) == {3600}


@pytest.mark.parametrize(
    ("wish", "seconds"), [(10, 30), (90, 90), (7_200, 7_200), (10**9, 86_400), (-5, 30)]
)
def test_a_receivers_wish_counts_where_it_is_longer_up_to_a_day(wish: int, seconds: int) -> None:
    assert next_wait(1, wish) == timedelta(seconds=seconds)


def test_each_alert_and_target_is_an_event_of_its_own() -> None:
    ids = {event_id(alert, target) for alert in ("a", "b") for target in ("x", "y")}
    assert len(ids) == 4
    assert event_id("a", "x") == event_id("a", "x")
    assert {len(one) for one in ids} == {32}
