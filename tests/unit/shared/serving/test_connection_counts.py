"""Counts of connections that processes read of one another."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest

from shared.serving.connection_counts import ABSENT, ConnectionCounts, counts_file

pytestmark = pytest.mark.unit


def test_who_is_there_is_seen_by_the_others_and_not_by_itself() -> None:
    with counts_file(3) as file:
        first, second, third = (ConnectionCounts(file.fileno(), place) for place in range(3))
        assert first.fewest_of_others() == ABSENT
        first.tell(4)
        second.tell(2)
        assert (first.fewest_of_others(), second.fewest_of_others()) == (2, 4)
        assert third.fewest_of_others() == 2
        second.leave()
        assert third.fewest_of_others() == 4
        for one in (first, second, third):
            one.close()


def test_who_is_alone_has_no_other() -> None:
    with counts_file(1) as file, closing(ConnectionCounts(file.fileno(), 0)) as alone:
        alone.tell(5)
        assert alone.fewest_of_others() == ABSENT


@pytest.mark.parametrize("place", [-1, 2])
def test_a_place_that_is_none_is_refused(place: int) -> None:
    with counts_file(2) as file, pytest.raises(ValueError, match="of 2 processes"):
        ConnectionCounts(file.fileno(), place)


def test_another_process_writes_what_this_one_reads() -> None:
    told = (
        "import sys; from shared.serving.connection_counts import ConnectionCounts; "
        "ConnectionCounts(int(sys.argv[1]), 1).tell(7)"
    )
    with counts_file(2) as file, closing(ConnectionCounts(file.fileno(), 0)) as own:
        number = file.fileno()
        subprocess.run([sys.executable, "-c", told, str(number)], pass_fds=(number,), check=True)
        assert own.fewest_of_others() == 7
