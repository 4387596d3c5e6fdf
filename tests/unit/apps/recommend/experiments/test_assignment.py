"""Who is in which arm: always the same, in the arms' shares, and anew for each experiment."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommend.experiments.assignment import Arm, assign, checked_arms
from shared.errors import DataError

pytestmark = pytest.mark.unit
USERS = [f"user-{number}" for number in range(20_000)]
TWO = (Arm("plain", 0.5), Arm("varied", 0.5, {"diversity": 0.4}))


@given(st.text(max_size=40), st.lists(st.floats(0.01, 1), min_size=2, max_size=8))
def test_a_user_stays_in_one_arm(user: str, shares: list[float]) -> None:
    arms = [Arm(str(place), share) for place, share in enumerate(shares)]
    first = assign("salt", user, arms)
    assert first in arms
    assert assign("salt", user, arms) == first


def test_the_known_place_of_a_user_does_not_move_with_versions_of_the_program() -> None:
    # Were the hash to change, every running experiment would mix up its arms.
    drawn = [assign("0" * 32, user, TWO).name[0] for user in USERS[:12]]
    assert "".join(drawn) == "vvppvvvvpppv"


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.5), (0.1, 0.1)])
def test_arms_get_their_shares(shares: tuple[float, ...]) -> None:
    arms = [Arm(str(place), share) for place, share in enumerate(shares)]
    counted = Counter(assign("a salt", user, arms).name for user in USERS)
    squares = sum(
        (counted[arm.name] - len(USERS) * arm.share / sum(shares)) ** 2
        / (len(USERS) * arm.share / sum(shares))
        for arm in arms
    )
    assert squares < 13.8  # chi-square, two degrees of freedom: one in a thousand lies above


def test_two_experiments_divide_users_independently() -> None:
    both = Counter((assign("one", user, TWO).name, assign("two", user, TWO).name) for user in USERS)
    assert len(both) == 4
    assert all(abs(count - 5000) < 250 for count in both.values())


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        ([Arm("alone")], "2 to 8 arms"),
        ([Arm(str(n)) for n in range(9)], "2 to 8 arms"),
        ([Arm("same"), Arm("same")], "a name of its own"),
        ([Arm(" "), Arm("b")], "printable"),
        ([Arm("x" * 61), Arm("b")], "printable"),
        ([Arm("a", 0.0), Arm("b")], "share of arm a"),
        ([Arm("a", float("nan")), Arm("b")], "share of arm a"),
        ([Arm("a"), Arm("b", 1, {"diversity": 2})], "arm b do not hold: diversity"),
        ([Arm("a"), Arm("b", 1, {"colour": 1})], "arm b do not hold: colour"),
    ],
)
def test_arms_that_make_no_experiment_are_refused(arms: list[Arm], told: str) -> None:
    with pytest.raises(DataError, match=told):
        checked_arms(arms)


def test_settings_that_are_left_open_are_left_out() -> None:
    _, varied = checked_arms([Arm("a"), Arm("b", 1, {"diversity": 0.4, "damping": None})])  # type: ignore[dict-item]
    assert varied.settings == {"diversity": 0.4}
