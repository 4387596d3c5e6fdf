"""Held-out events stay held out, and a worse bundle is refused on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.promotion import gate, gate_and_promote
from models.recommendation.behaviour import LinearBehaviour
from models.recommendation.bundle import GateEvents, write_bundle
from models.recommendation.gate import compare, hits, hold_out
from models.recommendation.recommender import Recommender
from models.registry import ModelRegistry, ModelVersion
from shared.errors import ManifestMismatch, PromotionRefused
from shared.histories import Histories
from tests.fakes.small_catalogue import (
    BLEND,
    RECIPE,
    catalogue_of,
    fit_parts,
    histories_over,
    items_of,
)

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Event = tuple[int, float]


def histories_from(users: dict[str, list[Event]]) -> Histories:
    names = sorted(users)
    events = [event for name in names for event in users[name]]
    return Histories(
        tuple(f"i{row}" for row in range(6)), tuple(names),
        np.concatenate([[0], np.cumsum([len(users[name]) for name in names])]).astype(np.int64),
        np.array([row for row, _ in events], np.int64),
        np.array([strength for _, strength in events], np.float32),
        np.full(len(events), np.nan),
    )  # fmt: skip


def held_places(histories: Histories, gate_: GateEvents) -> dict[str, tuple[int, int]]:
    """For each user who is held out, how many events are shown and the target."""
    lengths = np.diff(gate_.histories.starts).tolist()
    names = gate_.histories.user_ids
    return dict(zip(names, zip(lengths, gate_.targets.tolist(), strict=True), strict=True))


one_event = st.tuples(st.integers(0, 5), st.sampled_from([1.0, 1.0, 2.0, -2.0]))
some_events = st.lists(one_event, max_size=6)
some_users = st.dictionaries(st.sampled_from("abcdefghijklmnop"), some_events, max_size=10)


@settings(max_examples=150, deadline=None)
@given(users=some_users)
def test_what_is_held_out_is_not_fitted_on_and_all_else_is(users: dict[str, list[Event]]) -> None:
    histories = histories_from(users)
    fitted_on, held = hold_out(histories, one_in=2)
    assert fitted_on.user_ids == histories.user_ids
    places = held_places(histories, held)
    for number, name in enumerate(histories.user_ids):
        kept, whole = fitted_on.of_user(number), histories.of_user(number)
        if name not in places:
            np.testing.assert_array_equal(kept.rows, whole.rows)
            continue
        shown, target = places[name]
        assert shown >= 2
        np.testing.assert_array_equal(kept.rows, whole.rows[:shown])
        assert whole.rows[shown] == target
        assert whole.strengths[shown] > 0
        assert target not in kept.rows
        np.testing.assert_array_equal(held.of_user(list(places).index(name)).rows, kept.rows)


@settings(max_examples=300, deadline=None)
@given(users=some_users, later=some_users)
def test_no_later_gate_asks_for_what_was_fitted_on_before(
    users: dict[str, list[Event]], later: dict[str, list[Event]]
) -> None:
    """Later events of the same users and further users change nothing of it."""
    before = histories_from(users)
    after = histories_from(
        {name: users.get(name, []) + later.get(name, []) for name in {*users, *later}}
    )
    fitted_before, held_before = hold_out(before, one_in=2)
    _, held_after = hold_out(after, one_in=2)
    known = dict(zip(before.user_ids, np.diff(fitted_before.starts).tolist(), strict=True))
    for name, (shown, _) in held_places(after, held_after).items():
        assert shown >= known.get(name, 0)
    again = held_places(after, held_after)
    for name in held_places(before, held_before):
        assert name in again, "who was held out stays so"


def test_about_one_user_in_ten_is_held_out_by_the_name_alone() -> None:
    users = {f"user-{number}": [(0, 1.0), (1, 1.0), (2, 1.0)] for number in range(1000)}
    _, held = hold_out(histories_from(users))
    assert 70 < len(held.targets) < 130
    half = {name: users[name] for name in sorted(users)[::2]}
    _, of_half = hold_out(histories_from(half))
    assert set(of_half.histories.user_ids) == set(held.histories.user_ids) & set(half)


@pytest.mark.parametrize("users", [{}, {"a": []}, {"a": [(0, 1.0)]}, {"a": [(0, 1.0), (1, 1.0)]}])
def test_where_nobody_can_be_asked_all_is_fitted_on(users: dict[str, list[Event]]) -> None:
    histories = histories_from(users)
    fitted_on, held = hold_out(histories, one_in=1)
    np.testing.assert_array_equal(fitted_on.rows, histories.rows)
    assert (held.histories.users, len(held.targets)) == (0, 0)


# Comparing

ITEMS = items_of()
HISTORIES = histories_over(ITEMS, users=240)


@pytest.fixture(scope="module")
def fitted_world() -> tuple[Recommender, GateEvents]:
    fitted_on, held = hold_out(HISTORIES, one_in=2)
    recommender = fit_parts(fitted_on, catalogue_of(ITEMS), recipe=RECIPE, seed=1, blend=BLEND)
    return recommender, held


def spoilt(recommender: Recommender) -> Recommender:
    """One that ranks upside down."""
    weights = -recommender.behaviour.arrays()["weights"]
    unpopular = np.zeros(len(recommender.popularity), np.float32)
    return replace(recommender, behaviour=LinearBehaviour(weights), popularity=unpopular)


class Shop:
    """A registry of bundles, each a minute later than the one before."""

    def __init__(self, folder: Path) -> None:
        self.registry = ModelRegistry(folder)
        self.now = NOW

    def add(self, recommender: Recommender, held: GateEvents) -> ModelVersion:
        self.now += timedelta(minutes=1)
        return self.registry.add(
            "recommend",
            card={"kind": "recommender"},
            write=lambda folder: write_bundle(folder, recommender, held),
            now=self.now,
        )

    def promote(self, version: ModelVersion, *, force: bool = False) -> None:
        gate_and_promote(
            self.registry, "recommend", version, author="ann", now=self.now, force=force
        )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_hits_are_those_of_a_plain_ranking(fitted_world: tuple[Recommender, GateEvents]) -> None:
    recommender, held = fitted_world
    found = hits(recommender, held)
    scores = recommender.score_users(held.histories, np.arange(held.histories.users))
    for user, target in enumerate(held.targets.tolist()):
        rest = np.setdiff1d(np.arange(32), [*held.of_user(user).rows, target])
        better = int((scores[user, rest] >= scores[user, target]).sum())
        assert found[user] == (better < 10)
    assert 0.3 < found.mean() < 1


def test_who_is_shown_nothing_is_no_hit(fitted_world: tuple[Recommender, GateEvents]) -> None:
    recommender, held = fitted_world
    nothing = held.histories.keep(np.zeros(len(held.histories.rows), bool))
    assert not hits(recommender, GateEvents(nothing, held.targets)).any()


def test_the_first_bundle_passes(shop: Shop, fitted_world: tuple[Recommender, GateEvents]) -> None:
    version = shop.add(*fitted_world)
    report = compare(shop.registry, "recommend", version)
    assert report.allowed
    assert report.difference == 0
    assert report.n == len(fitted_world[1].targets)
    shop.promote(version)
    assert shop.registry.in_use("recommend") == version.name
    assert compare(shop.registry, "recommend", version).allowed


def test_an_equal_bundle_passes(shop: Shop, fitted_world: tuple[Recommender, GateEvents]) -> None:
    shop.promote(shop.add(*fitted_world))
    equal = shop.add(*fitted_world)
    report = compare(shop.registry, "recommend", equal)
    assert (report.allowed, report.difference) == (True, 0.0)
    shop.promote(equal)
    assert shop.registry.in_use("recommend") == equal.name


def test_a_clearly_worse_bundle_is_refused_and_a_better_one_is_not(
    shop: Shop, fitted_world: tuple[Recommender, GateEvents]
) -> None:
    recommender, held = fitted_world
    good = shop.add(recommender, held)
    shop.promote(good)
    bad = shop.add(spoilt(recommender), held)
    report = compare(shop.registry, "recommend", bad)
    assert not report.allowed
    assert report.high < 0
    assert "worse" in report.reason
    with pytest.raises(PromotionRefused, match="worse"):
        shop.promote(bad)
    assert shop.registry.in_use("recommend") == good.name
    shop.promote(bad, force=True)
    assert shop.registry.in_use("recommend") == bad.name
    back = compare(shop.registry, "recommend", shop.add(recommender, held))
    assert back.allowed
    assert back.low > 0


def test_promotion_asks_the_gate_of_the_recommender(
    shop: Shop, fitted_world: tuple[Recommender, GateEvents]
) -> None:
    recommender, held = fitted_world
    shop.promote(shop.add(recommender, held))
    bad = shop.add(spoilt(recommender), held)
    assert gate(shop.registry, "recommend", bad) == compare(shop.registry, "recommend", bad)


def test_items_in_another_order_are_the_same_bundle(
    shop: Shop, fitted_world: tuple[Recommender, GateEvents]
) -> None:
    recommender, held = fitted_world
    shop.promote(shop.add(recommender, held))
    order = np.random.default_rng(0).permutation(32)
    place = np.argsort(order)
    items = [ITEMS[row] for row in order]
    moved = replace(HISTORIES, item_ids=tuple(i.id for i in items), rows=place[HISTORIES.rows])
    fitted_on, held_too = hold_out(moved, one_in=2)
    again = fit_parts(fitted_on, catalogue_of(items), recipe=RECIPE, seed=1, blend=BLEND)
    report = compare(shop.registry, "recommend", shop.add(again, held_too))
    assert report.n == len(held.targets)
    assert abs(report.difference) < 0.06


def test_targets_that_the_bundle_in_use_does_not_know_are_left_out(
    shop: Shop, fitted_world: tuple[Recommender, GateEvents]
) -> None:
    recommender, held = fitted_world
    known = 24
    few = HISTORIES.keep(HISTORIES.rows < known)
    small = replace(few, item_ids=few.item_ids[:known])
    fitted_on, held_small = hold_out(small, one_in=2)
    smaller = fit_parts(fitted_on, catalogue_of(ITEMS[:known]), recipe=RECIPE, seed=1, blend=BLEND)
    shop.promote(shop.add(smaller, held_small))
    report = compare(shop.registry, "recommend", shop.add(recommender, held))
    assert report.n == int((held.targets < known).sum())
    assert 0 < report.n < len(held.targets)


def test_an_empty_gate_allows_and_says_so(
    shop: Shop, fitted_world: tuple[Recommender, GateEvents]
) -> None:
    recommender, held = fitted_world
    shop.promote(shop.add(recommender, held))
    none = GateEvents(held.histories.of_users(np.zeros(0, np.int64)), np.zeros(0, np.int64))
    report = compare(shop.registry, "recommend", shop.add(spoilt(recommender), none))
    assert (report.allowed, report.n) == (True, 0)
    assert "nothing was compared" in report.reason


@pytest.mark.parametrize("which", ["candidate", "in use"])
def test_files_that_were_changed_are_not_compared(
    shop: Shop, fitted_world: tuple[Recommender, GateEvents], which: str
) -> None:
    recommender, held = fitted_world
    good = shop.add(recommender, held)
    shop.promote(good)
    other = shop.add(replace(recommender, blend=replace(BLEND, text=0.2)), held)
    path = (other if which == "candidate" else good).folder / "items.json"
    path.chmod(0o644)
    path.write_text(path.read_text().replace("lens", "tent"))
    with pytest.raises(ManifestMismatch):
        compare(shop.registry, "recommend", other)
