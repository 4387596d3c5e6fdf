"""What each protocol trains on, shows and asks for, on histories that can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import EmptyData
from shared.evaluation.ranking_protocols import (
    DAY,
    RankingTask,
    cold_items,
    cold_users,
    leave_one_out,
    temporal,
)
from shared.histories import Histories

pytestmark = pytest.mark.unit

ITEMS = "abcdefghij"


def made(
    histories: Sequence[str],
    times: Sequence[Sequence[float]] | None = None,
    items: str = ITEMS,
) -> Histories:
    """One text a user, a letter an event; a capital letter is a dislike. Times are in days."""
    rows = [items.index(letter.lower()) for history in histories for letter in history]
    strengths = [-1.0 if letter.isupper() else 1.0 for history in histories for letter in history]
    lengths = [len(history) for history in histories]
    days = [math.nan] * len(rows) if times is None else [day for user in times for day in user]
    return Histories(
        tuple(items),
        tuple(f"u{number}" for number in range(len(histories))),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array(rows, np.int64),
        np.array(strengths, np.float32),
        np.array(days, np.float64) * DAY,
    )


def read(histories: Histories) -> dict[str, str]:
    """The histories as texts again, by user."""
    return {
        user: "".join(histories.item_ids[row] for row in histories.of_user(number).rows)
        for number, user in enumerate(histories.user_ids)
    }


def asked(task: RankingTask) -> dict[str, str]:
    """Each user's targets as a text."""
    return {
        task.history.user_ids[user]: "".join(task.history.item_ids[row] for row in rows)
        for user, rows in zip(task.users, task.targets, strict=True)
    }


def test_the_last_event_is_asked_for_and_what_is_before_it_shown_and_trained_on() -> None:
    task = leave_one_out(made(["abc", "de", "f"]))
    assert asked(task) == {"u0": "c", "u1": "e"}
    assert read(task.train) == read(task.history) == {"u0": "ab", "u1": "d", "u2": "f"}
    assert task.candidates.all()


def test_without_refit_the_validation_event_is_shown_and_not_trained_on() -> None:
    task = leave_one_out(made(["abc", "de"]), refit=False)
    assert asked(task) == {"u0": "c", "u1": "e"}
    assert read(task.history) == {"u0": "ab", "u1": "d"}
    assert read(task.train) == {"u0": "a", "u1": "d"}, "who has no validation event keeps the rest"


def test_validation_never_sees_the_test_event() -> None:
    task = leave_one_out(made(["abcd", "ef"]), split="validation")
    assert asked(task) == {"u0": "c"}
    assert read(task.train) == read(task.history) == {"u0": "ab", "u1": "e"}
    test = leave_one_out(made(["abcd", "ef"]), refit=False)
    assert read(task.train) == read(test.train)


def test_neither_dislikes_nor_items_met_before_are_asked_for() -> None:
    task = leave_one_out(made(["abcA", "abC", "aba", "aB"]))
    assert asked(task) == {"u0": "c", "u1": "b", "u2": "b"}
    assert read(task.history)["u0"] == "ab"
    assert read(task.history)["u1"] == "a", "what follows the target is not shown"


def test_a_task_refuses_a_target_that_is_shown() -> None:
    whole = made(["ab"])
    with pytest.raises(ValueError, match="stands in the history"):
        RankingTask("t", whole, whole, np.array([0]), (np.array([1]),), np.ones(10, bool))
    with pytest.raises(ValueError, match="all of them candidates"):
        RankingTask("t", whole, whole, np.array([0]), (np.array([3]),), np.zeros(10, bool))


def test_nobody_to_ask_is_an_error_with_advice() -> None:
    with pytest.raises(EmptyData, match="use longer histories"):
        leave_one_out(made(["a", "b"]))


def test_windows_train_on_what_is_before_them_and_ask_what_is_within() -> None:
    whole = made(["abcd", "ae", "fg"], [[0, 1, 11, 12], [2, 21], [15, 25]])
    first, second = temporal(whole, windows=2, window_days=10, targets_each=None)
    # the newest event is at day 25: windows are (5, 15] and (15, 25]
    assert read(first.train) == {"u0": "ab", "u1": "a", "u2": ""}
    assert asked(first) == {"u0": "cd"}
    assert read(second.train) == {"u0": "abcd", "u1": "a", "u2": "f"}
    assert asked(second) == {"u1": "e", "u2": "g"}
    assert first.name == "temporal, from 1970-01-06"


def test_the_last_of_a_window_is_asked_with_all_before_it_shown_and_not_trained_on() -> None:
    whole = made(["abcd", "fg"], [[0, 1, 11, 12], [11, 12]])
    (task,) = temporal(whole, windows=1, window_days=10)
    assert asked(task) == {"u0": "d", "u1": "g"}
    assert read(task.history) == {"u0": "abc", "u1": "f"}
    assert read(task.train) == {"u0": "ab", "u1": ""}


def test_windows_skipped_are_those_that_must_not_be_tuned_on() -> None:
    whole = made(["abcd"], [[0, 5, 15, 25]])
    tuned = temporal(whole, windows=1, window_days=10, skip=1)
    tested = temporal(whole, windows=1, window_days=10)
    assert [asked(task) for task in tuned] == [{"u0": "c"}]
    assert [asked(task) for task in tested] == [{"u0": "d"}]


def test_windows_need_times_and_somebody_to_ask() -> None:
    with pytest.raises(EmptyData, match="leave-one-out"):
        temporal(made(["ab"]))
    with pytest.raises(EmptyData, match="longer or more windows"):
        temporal(made(["a", "b"], [[0], [9]]), windows=1, window_days=1)


def test_cold_items_lose_all_their_events_and_are_asked_for() -> None:
    whole = made(["abcdefghij"[i:] + "abcdefghij"[:i] for i in range(10)])
    unseen, everything = cold_items(whole, share=0.2, seed=3)
    cold = np.flatnonzero(unseen.candidates)
    assert len(cold) == 2
    assert everything.candidates.all()
    assert unseen.train is everything.train
    for task in (unseen, everything):
        assert not np.isin(task.train.rows, cold).any()
        assert not np.isin(task.history.rows, cold).any()
        assert len(task.users) == 2, "each item is last once"
        assert np.isin(np.concatenate(task.targets), cold).all()
    again, _ = cold_items(whole, share=0.2, seed=3)
    other, _ = cold_items(whole, share=0.2, seed=4)
    assert (again.candidates == unseen.candidates).all()
    assert (other.candidates != unseen.candidates).any()


def test_cold_users_are_unknown_to_training_and_shown_by_their_first_events() -> None:
    whole = made(["abcde"] * 10)
    tasks = cold_users(whole, share=0.3, seed=1, shown=(0, 2, 9))
    assert [task.name for task in tasks] == [
        "cold users, 0 events shown",
        "cold users, 2 events shown",
    ]
    for task, history, target in zip(tasks, ("", "ab"), "ac", strict=True):
        assert len(task.train.user_ids) == 7
        assert set(read(task.history).values()) == {history}
        assert set(asked(task).values()) == {target}
        assert not set(task.train.user_ids) & set(task.history.user_ids)


letters = st.text(alphabet="abcdefABC", max_size=8)


@given(st.lists(letters, min_size=1, max_size=6), st.booleans())
def test_no_target_is_trained_on_or_shown(histories: list[str], refit: bool) -> None:
    whole = made(histories)
    try:
        task = leave_one_out(whole, refit=refit)
    except EmptyData:
        return
    for user, (target,) in asked(task).items():
        mine = histories[int(user[1:])]
        shown = read(task.history)[user]
        assert target not in shown
        assert mine.lower().startswith(shown + target)
        assert shown.startswith(read(task.train)[user])
        later = mine[len(shown) + 1 :]
        fresh = [letter for letter in later if letter.islower() and letter not in shown + target]
        assert not [one for one in fresh if one.upper() not in mine], "the last is asked for"
