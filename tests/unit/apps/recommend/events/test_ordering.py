from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommend.events.ordering import stamp_in_order
from shared.catalogue import BehaviourEvent

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def event(place: int, user: str, at: datetime | None = None) -> BehaviourEvent:
    return BehaviourEvent(f"e{place}", user, f"i{place}", "view", at)


def test_each_users_events_end_now_a_second_apart() -> None:
    stamped = stamp_in_order([event(0, "a"), event(1, "b"), event(2, "a"), event(3, "a")], NOW)
    assert [one.at for one in stamped] == [NOW - 2 * SECOND, NOW, NOW - SECOND, NOW]
    assert [one.id for one in stamped] == ["e0", "e1", "e2", "e3"]


def test_an_event_with_its_time_keeps_it() -> None:
    then = NOW - timedelta(days=3)
    stamped = stamp_in_order([event(0, "a", then), event(1, "a")], NOW)
    assert [one.at for one in stamped] == [then, NOW]


def test_what_is_stored_comes_before() -> None:
    stored = {"a": NOW - SECOND}
    stamped = stamp_in_order([event(n, "a") for n in range(4)], NOW, stored)
    assert [one.at for one in stamped] == [NOW - SECOND * part for part in (0.75, 0.5, 0.25, 0)]


def test_there_is_no_room_after_an_event_in_the_future() -> None:
    stored = {"a": NOW + SECOND}
    stamped = stamp_in_order([event(n, "a") for n in range(2)], NOW, stored)
    assert [one.at for one in stamped] == [NOW + SECOND] * 2


@given(
    users=st.lists(st.sampled_from("abc"), max_size=30),
    cut=st.integers(0, 30),
    ago=st.integers(-5, 50),
)
def test_order_holds_over_two_calls(users: list[str], cut: int, ago: int) -> None:
    """Whatever arrived before, and however a source is cut: no event overtakes another."""
    events = [event(place, user) for place, user in enumerate(users)]
    first = stamp_in_order(events[:cut], NOW - timedelta(seconds=ago))
    newest: dict[str, datetime] = {}
    for one in first:
        assert one.at is not None
        newest[one.user] = max(one.at, newest.get(one.user, one.at))
    both = [*first, *stamp_in_order(events[cut:], NOW, newest)]
    for user in "abc":
        times = [one.at for one in both if one.user == user]
        assert times == sorted(times, key=lambda at: at or NOW)
