"""Quiet hours in the clock of a place, over midnight and through summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from apps.finance.alerts.quiet_hours import QuietHours

pytestmark = pytest.mark.unit

NIGHT = QuietHours(start="22:00", end="07:00", zone="Europe/Berlin")


def berlin(day: int, hour: int, minute: int = 0, month: int = 1) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"),
    [(21, 59, False), (22, 0, True), (3, 0, True), (6, 59, True), (7, 0, False), (12, 0, False)],
)
def test_the_night_goes_over_midnight(hour: int, minute: int, quiet: bool) -> None:
    assert NIGHT.includes(berlin(10, hour, minute)) is quiet
    noon = QuietHours(start="12:00", end="13:30")
    assert noon.includes(datetime(2026, 1, 10, hour, minute, tzinfo=UTC)) is (hour == 12)


def test_what_is_quiet_is_over_at_the_end_and_the_rest_at_once() -> None:
    assert NIGHT.over_at(berlin(10, 23)) == berlin(11, 7)
    assert NIGHT.over_at(berlin(11, 2)) == berlin(11, 7)
    assert NIGHT.over_at(berlin(11, 7)) == berlin(11, 7)
    assert NIGHT.over_at(berlin(11, 2)).tzinfo is UTC


def test_the_zone_counts_and_not_utc() -> None:
    evening = datetime(2026, 1, 10, 21, 30, tzinfo=UTC)  # 22:30 in Berlin
    assert NIGHT.over_at(evening) == datetime(2026, 1, 11, 6, tzinfo=UTC)
    summer = datetime(2026, 7, 10, 20, 30, tzinfo=UTC)  # 22:30 as well
    assert NIGHT.over_at(summer) == datetime(2026, 7, 11, 5, tzinfo=UTC)


def test_an_end_that_the_clock_leaps_over_comes_later_the_same_night() -> None:
    early = QuietHours(start="22:00", end="02:30", zone="Europe/Berlin")
    over = early.over_at(berlin(29, 1, 30, month=3))  # 02:00 becomes 03:00 on that night
    assert over == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert not early.includes(over)


def test_an_end_that_comes_twice_ends_both_times() -> None:
    early = QuietHours(start="22:00", end="02:30", zone="Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)  # 02:10 summer time
    again = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 once more
    assert early.over_at(first) == first + timedelta(minutes=20)
    assert early.over_at(again) == again + timedelta(minutes=20)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"zone": "Europe/Atlantis"}, "no IANA time zone"),
        ({"zone": "../etc/passwd"}, "no IANA time zone"),
        ({"start": "25:00"}, "start"),
        ({"start": "7:00"}, "start"),
        ({"start": "07:00"}, "all or none"),
        ({"days": 3}, "days"),
    ],
)
def test_hours_that_are_none_are_refused(parts: dict[str, object], message: str) -> None:
    values = {"start": "22:00", "end": "07:00", "zone": "UTC", **parts}
    with pytest.raises(ValidationError, match=message):
        QuietHours.model_validate(values)


clock = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
)


@settings(max_examples=150, deadline=None)
@given(clock, clock, zones, st.integers(0, 366 * 24 * 60))
def test_quiet_hours_end_within_a_day_and_are_over_then(
    start: str, end: str, zone: str, minute: int
) -> None:
    if start == end:
        return
    hours = QuietHours(start=start, end=end, zone=zone)
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    over = hours.over_at(moment)
    assert not hours.includes(over)
    assert moment <= over <= moment + timedelta(hours=25)
    assert (over == moment) is not hours.includes(moment)
