from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from shared.serving.watching.stored_gauges import StoredGauge, StoredGauges

pytestmark = pytest.mark.unit

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Reader:
    """Gives how often it was asked; ``moments`` are those that it was asked for."""

    def __init__(self) -> None:
        self.moments: list[datetime] = []
        self.broken = False

    def __call__(self, now: datetime) -> Iterable[StoredGauge]:
        self.moments.append(now)
        if self.broken:
            raise OperationalError("SELECT 1", {}, Exception("gone"))
        return [StoredGauge.single("triptych_asked", "Times", float(len(self.moments)))]


class Clock:
    def __init__(self) -> None:
        self.now = NOON + timedelta(seconds=3)

    def __call__(self) -> datetime:
        return self.now


def collector(read: Reader, clock: Clock) -> CollectorRegistry:
    registry = CollectorRegistry()
    gauges = StoredGauges(seconds=15, clock=clock)
    registry.register(gauges)
    gauges.add("finance", read)
    return registry


def test_the_database_is_asked_once_a_slot_and_for_its_begin() -> None:
    read, clock = Reader(), Clock()
    registry = collector(read, clock)
    for _ in range(5):
        assert registry.get_sample_value("triptych_asked") == 1
    assert read.moments == [NOON]
    clock.now = NOON + timedelta(seconds=14.9)
    assert registry.get_sample_value("triptych_asked") == 1
    clock.now = NOON + timedelta(seconds=15)
    assert registry.get_sample_value("triptych_asked") == 2
    assert read.moments == [NOON, NOON + timedelta(seconds=15)]


def test_processes_asked_in_the_same_slot_read_for_the_same_moment() -> None:
    one, other = Reader(), Reader()
    early, late = Clock(), Clock()
    late.now = NOON + timedelta(seconds=11)
    for read, clock in ((one, early), (other, late)):
        collector(read, clock).get_sample_value("triptych_asked")
    assert one.moments == other.moments == [NOON]


def test_a_reader_that_fails_shows_no_old_values() -> None:
    read, clock = Reader(), Clock()
    registry = collector(read, clock)
    up = {"app": "finance"}
    assert registry.get_sample_value("triptych_database_up", up) == 1
    read.broken = True
    clock.now += timedelta(seconds=15)
    assert registry.get_sample_value("triptych_asked") is None
    assert registry.get_sample_value("triptych_database_up", up) == 0
    read.broken = False
    clock.now += timedelta(seconds=15)
    assert registry.get_sample_value("triptych_database_up", up) == 1


def test_moments_are_seconds_since_1970_and_nothing_is_no_sample() -> None:
    made = StoredGauge.single("triptych_moment", "When", NOON)
    assert made.values == {(): NOON.timestamp()}
    assert StoredGauge.single("triptych_moment", "When", None).values == {}
    with pytest.raises(ValueError, match="time zone"):
        StoredGauge.single("triptych_moment", "When", NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="triptych_"):
        StoredGauge.single("moment", "When", NOON)
