"""Clocks that jump and runs that were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.finance.ingest.watching import Moment, clock_jump, missed_runs, wake_after_jump

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class FakeJob:
    def __init__(self) -> None:
        self.next_run_time: datetime | None = None

    def modify(self, *, next_run_time: datetime) -> None:
        self.next_run_time = next_run_time


class FakeScheduler:
    def __init__(self) -> None:
        self.jobs = [FakeJob(), FakeJob()]
        self.wakeups = 0

    def get_jobs(self) -> list[FakeJob]:
        return self.jobs

    def wakeup(self) -> None:
        self.wakeups += 1


def moment(wall: float, monotonic: float) -> Moment:
    return Moment(NOW + timedelta(seconds=wall), monotonic)


@pytest.mark.parametrize(
    ("wall", "passed", "jump"),
    [(5, 5, 0), (6, 5, 0), (3600, 5, 3595), (-86400, 5, -86405), (0, 3, 0)],
)
def test_a_jump_is_what_the_wall_clock_moved_without_time_passing(
    wall: float, passed: float, jump: float
) -> None:
    assert clock_jump(moment(0, 100), moment(wall, 100 + passed)) == jump


@pytest.mark.parametrize("wall", [-86400.0, 86400.0])
def test_after_a_jump_every_job_is_due(wall: float) -> None:
    scheduler = FakeScheduler()
    wake_after_jump(scheduler, moment(0, 0), moment(wall, 5))
    assert {job.next_run_time for job in scheduler.jobs} == {NOW + timedelta(seconds=wall)}
    assert scheduler.wakeups == 1


def test_without_a_jump_the_scheduler_is_left_alone() -> None:
    scheduler = FakeScheduler()
    wake_after_jump(scheduler, moment(0, 0), moment(5, 5))
    assert scheduler.wakeups == 0
    assert {job.next_run_time for job in scheduler.jobs} == {None}


@pytest.mark.parametrize(
    ("seconds", "missed"), [(15, 0), (16, 0), (29, 1), (60, 3), (-3600, 0), (0, 0)]
)
def test_runs_between_two_that_should_have_been_are_counted(seconds: float, missed: int) -> None:
    assert missed_runs(NOW, NOW + timedelta(seconds=seconds), 15) == missed
