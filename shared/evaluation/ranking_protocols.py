"""Which events are learnt from, which are shown, and which must be found: splits for ranking.

    Histories -> RankingTask(train, history, targets) -> shared.evaluation.ranking

A model is fitted on ``train``; at test it is shown ``history`` and ranks all candidates that the
user has not met there. Only an event that speaks for its item (strength above 0) is a target, and
never one whose item stands in the history shown. Events of one user keep their order, so that a
split of a source without times is the same on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.errors import EmptyData
from shared.histories import Histories, Rows

DAY = 86_400.0

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class RankingTask:
    """What one evaluation asks.

    ``users`` int64 [u] are positions in ``history``, which may differ from those in ``train``
    (the ids say who is who); ``targets`` are their item rows, one array a user, none empty.
    ``candidates`` bool [items] may be ranked.
    """

    name: str
    train: Histories
    history: Histories
    users: Rows
    targets: tuple[Rows, ...]
    candidates: Flags

    def __post_init__(self) -> None:
        if self.train.item_ids != self.history.item_ids:
            raise ValueError("train and history must be over one catalogue")
        if len(self.users) != len(self.targets) or len(self.candidates) != self.history.items:
            raise ValueError("needs targets for every user and a flag for every item")
        if len(self.users) == 0:
            raise EmptyData(
                f"{self.name}: no user has an event to find after one to show; "
                "use longer histories, more windows or longer ones"
            )
        for user, targets in zip(self.users, self.targets, strict=True):
            if len(targets) == 0 or not self.candidates[targets].all():
                raise ValueError(f"user {user}: needs targets, all of them candidates")
            if np.isin(targets, self.history.of_user(int(user)).rows).any():
                raise ValueError(f"user {user}: a target stands in the history shown")

    def among(self, candidates: Flags, name: str) -> RankingTask:
        """The same question over fewer or more candidates."""
        return RankingTask(name, self.train, self.history, self.users, self.targets, candidates)


def leave_one_out(
    histories: Histories,
    *,
    refit: bool = True,
    split: Literal["validation", "test"] = "test",
) -> RankingTask:
    """Each user's last event that can be a target, or with ``validation`` the one before it.

    The history shown is all that stands before the target. ``refit`` trains on the same; without
    it the validation target and what follows it is shown and not trained on. Later events of
    users appear nowhere; who has no target after an event to show is trained on and not asked.

    With times of different users interleaved this trains on events after a target: decide on
    ``temporal`` where there are times.
    """
    places = _target_places(histories)
    last = _nth_last(places, histories, 1)
    before = _nth_last(places, histories, 2)
    until_test = np.where(last >= 0, last, histories.starts[1:])
    until_validation = np.where(before >= 0, before, until_test)
    target, ends = (last, until_test) if split == "test" else (before, until_validation)
    shown = histories.keep(_before(histories, ends))
    train = shown
    if split == "test" and not refit:
        train = histories.keep(_before(histories, until_validation))
    asked = np.flatnonzero(target >= 0)
    name = f"leave-one-out, {split}" + ("" if refit or split == "validation" else ", no refit")
    return RankingTask(
        name,
        train,
        shown,
        asked,
        tuple(histories.rows[target[asked], None]),
        np.ones(histories.items, bool),
    )


def temporal(
    histories: Histories,
    *,
    windows: int = 10,
    window_days: float = 365.0,
    skip: int = 0,
    targets_each: int | None = 1,
) -> tuple[RankingTask, ...]:
    """Rolling windows, oldest first: trained on what is before a window, asked what is within.

    The windows end with the newest event; ``skip`` leaves out so many of the newest (those that
    remain can be tuned on). ``targets_each`` asks for a user's last so many targets of the window
    and shows all before them, also what came inside the window and was not trained on; None asks
    for all of the window and shows only what came before it. Windows in which nobody can be asked
    are left out. Raises EmptyData where none remains or an event has no time.
    """
    if not histories.timed:
        raise EmptyData("a temporal split needs a time for every event: use leave-one-out")
    if windows < 1 or window_days <= 0 or skip < 0 or (targets_each or 1) < 1:
        raise ValueError("windows, window_days and targets_each are above 0, skip not below")
    newest = float(histories.times.max(initial=0.0))
    length = window_days * DAY
    tasks = []
    for number in range(skip + windows - 1, skip - 1, -1):
        start, end = newest - (number + 1) * length, newest - number * length
        task = _window(histories, start, end, targets_each)
        if task is not None:
            tasks.append(task)
    if not tasks:
        raise EmptyData(
            f"no user can be asked in {windows} windows of {window_days:g} days: "
            "use longer or more windows"
        )
    return tuple(tasks)


def cold_items(
    histories: Histories, *, share: float = 0.1, seed: int = 0
) -> tuple[RankingTask, RankingTask]:
    """Items drawn by ``seed`` lose all their events; asked are users who took one last.

    The history shown is what stands before it of the other items. The first task ranks the drawn
    items alone, the second all items; both have one and the same train.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}, not between 0 and 1")
    drawn = np.zeros(histories.items, bool)
    count = max(1, round(share * histories.items))
    drawn[np.random.default_rng(seed).choice(histories.items, count, replace=False)] = True
    warm = ~drawn[histories.rows]
    last = _nth_last(_target_places(histories), histories, 1)
    ends = np.where(last >= 0, last, histories.starts[1:])
    shown = histories.keep(warm & _before(histories, ends))
    cold_last = (last >= 0) & drawn[histories.rows[last]]
    asked = np.flatnonzero(cold_last & (np.diff(shown.starts) > 0))
    task = RankingTask(
        "cold items, among unseen",
        histories.keep(warm),
        shown,
        asked,
        tuple(histories.rows[last[asked], None]),
        drawn,
    )
    return task, task.among(np.ones(histories.items, bool), "cold items, among all")


def cold_users(
    histories: Histories,
    *,
    share: float = 0.1,
    seed: int = 0,
    shown: Sequence[int] = (0, 1, 3),
) -> tuple[RankingTask, ...]:
    """Users drawn by ``seed`` are left out of training and shown with their first events only.

    One task for each number of events ``shown``; its target is the first thereafter that can be
    one. A number that no drawn user has enough events for is left out.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}, not between 0 and 1")
    drawn = np.zeros(histories.users, bool)
    count = max(1, round(share * histories.users))
    drawn[np.random.default_rng(seed).choice(histories.users, count, replace=False)] = True
    train, held = histories.of_users(~drawn), histories.of_users(drawn)
    tasks = []
    for number in shown:
        history = held.keep(_before(held, np.minimum(held.starts[:-1] + number, held.starts[1:])))
        asked, targets = [], []
        for user in range(held.users):
            whole = held.of_user(user)
            seen = whole.rows[:number]
            later = (whole.strengths[number:] > 0) & ~np.isin(whole.rows[number:], seen)
            if len(seen) == number and later.any():
                asked.append(user)
                targets.append(whole.rows[number:][later][:1])
        if asked:
            tasks.append(
                RankingTask(
                    f"cold users, {number} events shown",
                    train,
                    history,
                    np.array(asked, np.int64),
                    tuple(targets),
                    np.ones(histories.items, bool),
                )
            )
    if not tasks:
        raise EmptyData("none of the users drawn has an event to find: raise the share")
    return tuple(tasks)


def _window(
    histories: Histories, start: float, end: float, targets_each: int | None
) -> RankingTask | None:
    """One window (start, end], or None where nobody can be asked in it."""
    past = histories.times <= start
    if not past.any():
        return None
    ends = histories.starts[:-1] + np.bincount(histories.owners[past], minlength=histories.users)
    within = (histories.times > start) & (histories.times <= end) & _target_places(histories)
    asked, targets, shown_to = [], [], ends.astype(np.int64)
    for user in np.unique(histories.owners[within]):
        begin = int(histories.starts[user])
        cut = slice(begin, int(histories.starts[user + 1]))
        places = begin + np.flatnonzero(within[cut])
        if targets_each is not None:
            places = places[-targets_each:]
            shown_to[user] = places[0]
        if shown_to[user] == begin:
            continue
        rows = np.unique(histories.rows[places])
        rows = rows[~np.isin(rows, histories.rows[begin : shown_to[user]])]
        if len(rows):
            asked.append(int(user))
            targets.append(rows)
    if not asked:
        return None
    date = np.datetime64(int(start), "s").astype("datetime64[D]")
    return RankingTask(
        f"temporal, from {date}",
        histories.keep(past),
        histories.keep(_before(histories, shown_to)),
        np.array(asked, np.int64),
        tuple(targets),
        np.ones(histories.items, bool),
    )


def _target_places(histories: Histories) -> Flags:
    """Whether an event can be a target: it speaks for an item that the user meets first in it."""
    pair = histories.owners * max(1, histories.items) + histories.rows
    first = np.zeros(len(pair), bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return first & (histories.strengths > 0)


def _nth_last(places: Flags, histories: Histories, number: int) -> Rows:
    """The position of each user's last target, last but one and so on, each after an event to show;
    -1 where there is none."""
    found = np.flatnonzero(places)
    ends = np.searchsorted(found, histories.starts[1:])
    begins = np.searchsorted(found, histories.starts[:-1])
    at = ends - number
    there = at >= begins
    chosen = np.full(histories.users, -1, np.int64)
    chosen[there] = found[at[there]]
    return np.where(chosen > histories.starts[:-1], chosen, -1)


def _before(histories: Histories, ends: Rows) -> Flags:
    """The events of each user that stand before a position, bool [events]."""
    return np.asarray(np.arange(len(histories.rows)) < ends[histories.owners])
