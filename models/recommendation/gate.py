"""A candidate bundle against the one in use, on events that the candidate was not fitted on."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from models.recommendation.bundle import GateEvents, read_bundle, read_gate
from models.recommendation.recommender import Recommender
from models.registry import ModelRegistry, ModelVersion
from shared.errors import EmptyData
from shared.evaluation.gate import GateReport, compare_on_gate
from shared.evaluation.ranking import evaluate_ranking
from shared.evaluation.ranking_protocols import RankingTask, leave_one_out
from shared.histories import Histories, Rows

GATE_USERS = 2_000
ONE_IN = 10
SEED = 0


def hold_out(histories: Histories, *, one_in: int = ONE_IN) -> tuple[Histories, GateEvents]:
    """What is fitted on, and the last event of one user in ten, by a stable hash of the id.

    The same users are held out at every fit, so that no bundle has learnt from what it is compared
    on, also when events and users were added between. Users who met their last new item in one of
    their first two events are all fitted on.
    """
    chosen = np.array([_number(user) % one_in == 0 for user in histories.user_ids], bool)
    nothing = GateEvents(histories.of_users(np.zeros(0, np.int64)), np.zeros(0, np.int64))
    try:
        task = leave_one_out(histories.of_users(chosen))
    except EmptyData:
        return histories, nothing
    held = np.flatnonzero(np.diff(task.history.starts)[task.users] > 1)[:GATE_USERS]
    users = task.users[held]
    shown = task.history.of_users(users)
    fitted = np.ones(len(histories.rows), bool)
    targets = np.array([task.targets[place][0] for place in held], np.int64)
    for user, length in zip(np.flatnonzero(chosen)[users], np.diff(shown.starts), strict=True):
        fitted[histories.starts[user] + int(length) : histories.starts[user + 1]] = False
    return histories.keep(fitted), GateEvents(shown, targets)


def compare(registry: ModelRegistry, app: str, candidate: ModelVersion) -> GateReport:
    """Whether the target is among the first ten, for the candidate and the bundle in use.

    On the candidate's held-out events, those of items that the bundle in use does not know left
    out: they would favour the candidate. The first bundle is compared with itself, and passes.
    """
    current_name = registry.in_use(app)
    registry.verify(candidate)
    fitted, gate = read_bundle(candidate.folder), read_gate(candidate.folder)
    if current_name is None or current_name == candidate.name:
        found = hits(fitted, gate)
        return compare_on_gate(found, found, seed=SEED)
    current_version = registry.get(app, current_name)
    registry.verify(current_version)
    current = read_bundle(current_version.folder)
    known = np.isin(np.array(gate.histories.item_ids), np.array(current.item_ids))
    asked = np.flatnonzero(known[gate.targets]) if len(gate.targets) else np.zeros(0, np.int64)
    both = GateEvents(gate.histories.of_users(asked), gate.targets[asked])
    return compare_on_gate(hits(fitted, both), hits(current, _over(current, both)), seed=SEED)


def hits(recommender: Recommender, gate: GateEvents) -> NDArray[np.bool_]:
    """Whether each target is among the first ten, bool [users]; False where nothing is shown."""
    found = np.zeros(len(gate.targets), bool)
    users = _askable(gate)
    if len(users):
        task = gate_task(gate, gate.histories)
        found[users] = evaluate_ranking(recommender.score_users, task, ks=(10,)).ranks < 10
    return found


def gate_task(gate: GateEvents, train: Histories) -> RankingTask:
    """What the gate asks as an evaluation of what was fitted on ``train``, over the same items.
    Raises EmptyData where it asks nothing."""
    users = _askable(gate)
    return RankingTask(
        "events held out of the fit, of one user in ten",
        train,
        gate.histories,
        users,
        tuple(gate.targets[users, None]),
        np.ones(gate.histories.items, bool),
    )


def _askable(gate: GateEvents) -> Rows:
    """The users who are shown something, and not the target."""
    asked = np.flatnonzero(np.diff(gate.histories.starts) > 0)
    clean = [user for user in asked.tolist() if gate.targets[user] not in gate.of_user(user).rows]
    return np.array(clean, np.int64)


def _over(current: Recommender, gate: GateEvents) -> GateEvents:
    """The same events over the rows of another bundle; items that it does not know are left out."""
    row_of = {item: row for row, item in enumerate(current.item_ids)}
    ids = gate.histories.item_ids
    rows: Rows = np.array([row_of.get(item, -1) for item in ids], np.int64)
    kept = gate.histories.keep(rows[gate.histories.rows] >= 0)
    moved = Histories(
        current.item_ids, kept.user_ids, kept.starts, rows[kept.rows], kept.strengths, kept.times
    )
    return GateEvents(moved, rows[gate.targets])


def _number(user: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"gate\0{user}".encode(), digest_size=8).digest(), "big")
