"""A lease whose process was killed is free at once on the same machine, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from shared.storage.lease_holders import is_dead, this_process
from shared.storage.leases import Lease

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME_ITSELF = "from shared.storage.lease_holders import this_process; print(this_process())"


def name_of_a_process_that_ended() -> str:
    return subprocess.run(
        [sys.executable, "-c", NAME_ITSELF], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def test_a_process_that_ended_is_known_to_be_dead_and_others_are_not() -> None:
    dead = name_of_a_process_that_ended()
    assert is_dead(dead)
    room = dead.split(":")[0]
    assert not is_dead(f"{room}:{os.getppid()}:00112233")
    assert is_dead(f"{room}:{os.getpid()}:00112233"), "its number was given to this process"
    number = dead.split(":")[1]
    for elsewhere in (f"other/1/abc:{number}:00112233", "host:999999:0011", "", room):
        assert not is_dead(elsewhere)


def test_names_differ_from_call_to_call_and_fit_the_column() -> None:
    names = {this_process() for _ in range(20)}
    assert len(names) == 20
    assert all(len(name) <= 120 and f":{os.getpid()}:" in name for name in names)


def test_the_lease_of_a_dead_process_is_taken_over_without_waiting(engine: Engine) -> None:
    before = Lease(engine, "watch", name_of_a_process_that_ended())
    after = Lease(engine, "watch", this_process())
    assert before.acquire(NOW)
    later = NOW + timedelta(seconds=2)
    assert not after.acquire(later)
    assert after.release_dead(is_dead, later)
    assert after.lapsed_at(later) == NOW
    assert after.acquire(later)
    assert not before.renew(later)
    assert not after.release_dead(is_dead, later), "it is this process's own by now"


def test_the_lease_of_a_process_elsewhere_is_waited_for(engine: Engine) -> None:
    other = Lease(engine, "watch", "another-machine/4026531836/0a1b2c3d:17:00112233")
    mine = Lease(engine, "watch", this_process())
    assert other.acquire(NOW)
    assert not mine.release_dead(is_dead, NOW + timedelta(seconds=2))
    assert other.renew(NOW + timedelta(seconds=3))
