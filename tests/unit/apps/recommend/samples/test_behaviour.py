"""The generator has the properties that its docstring claims."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest

from apps.recommend.samples.behaviour import DEFAULT, generate, sample
from apps.recommend.samples.catalogue import follow_ups, sample_items
from shared.catalogue import BehaviourEvent, CatalogueItem

pytestmark = pytest.mark.unit

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAYS = 60
ITEMS = {item.id: item for item in sample_items()}
KIND = {id: str(item.attributes["kind"]) for id, item in ITEMS.items()}


@pytest.fixture(scope="module")
def events() -> tuple[BehaviourEvent, ...]:
    return generate(1, sample_items(), now=NOW, users=200, days=DAYS)


def visits(events: Sequence[BehaviourEvent]) -> list[list[BehaviourEvent]]:
    found = defaultdict(list)
    for event in events:
        found[event.session].append(event)
    return list(found.values())


def pairs_of_kinds(events: Sequence[BehaviourEvent]) -> Counter[tuple[str, str]]:
    """Kinds of items that were viewed one after the other in one visit."""
    return Counter(
        (KIND[before.item], KIND[after.item])
        for visit in visits(events)
        for before, after in pairwise([event for event in visit if event.type == "view"])
    )


def themes_of(events: Sequence[BehaviourEvent]) -> dict[str, Counter[str]]:
    """How often each user viewed something of each theme."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if event.type == "view":
            seen[event.user].update(ITEMS[event.item].attributes["themes"])
    return seen


def share_of_best_theme(events: Sequence[BehaviourEvent]) -> float:
    """Of the views of a user, how many are of the theme they view most; the mean over users."""
    views = Counter(event.user for event in events if event.type == "view")
    return float(
        np.mean(
            [
                max(seen.values()) / views[u]
                for u, seen in themes_of(events).items()
                if views[u] > 20
            ]
        )
    )


def test_the_same_seed_gives_the_same_and_another_does_not() -> None:
    few = sample_items()[::5]
    first = generate(3, few, now=NOW, users=5, days=10)
    assert generate(3, few, now=NOW, users=5, days=10) == first
    assert generate(4, few, now=NOW, users=5, days=10) != first
    assert generate(3, few, now=NOW + timedelta(hours=7), users=5, days=10) == first
    later = generate(3, few, now=NOW + timedelta(days=2), users=5, days=10)
    assert [replace(event, at=event.at + timedelta(days=2)) for event in first if event.at] == list(
        later
    )
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert generate(3, few, now=elsewhere, users=5, days=10) == first


def test_everything_is_marked_as_synthetic(events: Sequence[BehaviourEvent]) -> None:
    assert len({event.id for event in events}) == len(events)
    assert all(event.id.startswith("synthetic-1-") for event in events)
    assert all((event.session or "").startswith("synthetic-1-") for event in events)
    assert {event.user for event in events} == {f"shopper-{n:03d}" for n in range(1, 201)}
    for visit in visits(events):
        assert len({event.user for event in visit}) == 1


def test_times_are_in_order_and_before_now(events: Sequence[BehaviourEvent]) -> None:
    times = [event.at for event in events if event.at]
    assert len(times) == len(events)
    assert times == sorted(times)
    midnight = datetime(2026, 5, 1, tzinfo=UTC)
    assert midnight - timedelta(days=DAYS) <= times[0] < midnight - timedelta(days=DAYS - 1)
    assert midnight - timedelta(days=1) < times[-1] < midnight
    hours = Counter(at.hour for at in times)
    assert hours[20] > 2 * hours[8] > 0


def test_a_user_keeps_to_some_themes(events: Sequence[BehaviourEvent]) -> None:
    """Against the same events dealt out to users at random, and against pure noise."""
    own = share_of_best_theme(events)
    mixed = np.random.default_rng(0).permutation([event.user for event in events])
    dealt = [replace(e, user=str(user)) for e, user in zip(events, mixed, strict=True)]
    assert own > 1.4 * share_of_best_theme(dealt)
    assert own > 0.45
    noise = replace(DEFAULT, noise=1.0)
    random = generate(1, sample_items(), now=NOW, users=60, settings=noise)
    assert share_of_best_theme(random) < 0.6 * own


def test_what_follows_has_a_direction(events: Sequence[BehaviourEvent]) -> None:
    pairs = pairs_of_kinds(events)
    follows = {(a, b) for a, after in follow_ups().items() for b in after}
    one_way = {(a, b) for a, b in follows if (b, a) not in follows and a != b}
    forward = sum(pairs[pair] for pair in one_way)
    backward = sum(pairs[pair[::-1]] for pair in one_way)
    assert forward > 4 * backward
    without = generate(
        1, sample_items(), now=NOW, users=200, settings=replace(DEFAULT, following=0.0)
    )
    pairs = pairs_of_kinds(without)
    forward = sum(pairs[pair] for pair in one_way)
    assert 0.6 < forward / sum(pairs[pair[::-1]] for pair in one_way) < 1.6


def test_a_purchase_is_followed_in_the_next_visit(events: Sequence[BehaviourEvent]) -> None:
    """The first item of the visit after a purchase is of a kind that follows what was bought."""
    by_user: dict[str, list[list[BehaviourEvent]]] = defaultdict(list)
    for visit in visits(events):
        by_user[visit[0].user].append(visit)
    outcomes = {True: [], False: []}  # type: dict[bool, list[bool]]
    follows = {kind: set(after) for kind, after in follow_ups().items()}
    for own in by_user.values():
        for before, after in pairwise(own):
            bought = [e.item for e in before if e.type == "purchase"]
            last = bought[-1] if bought else before[0].item
            if KIND[last] in follows:
                outcomes[bool(bought)].append(KIND[after[0].item] in follows[KIND[last]])
    assert np.mean(outcomes[True]) > 2 * np.mean(outcomes[False])


def test_popularity_is_skewed_as_much_as_asked(events: Sequence[BehaviourEvent]) -> None:
    def share_of_best(events: Sequence[BehaviourEvent]) -> float:
        counts = sorted(Counter(event.item for event in events).values(), reverse=True)
        return sum(counts[: len(ITEMS) // 10]) / sum(counts)

    even = generate(1, sample_items(), now=NOW, users=100, settings=replace(DEFAULT, skew=0.0))
    assert share_of_best(events) > 0.33
    assert share_of_best(events) > 1.3 * share_of_best(even)


def test_tastes_drift() -> None:
    """First and last third of the time differ more than odd and even visits do, if asked."""

    def change(drift: float) -> float:
        made = generate(
            2, sample_items(), now=NOW, users=150,
            settings=replace(DEFAULT, drift=drift, visits=20.0, arriving=0.0),
        )  # fmt: skip
        cut = timedelta(days=DAYS / 3)
        first = themes_of([e for e in made if e.at and e.at < NOW - 2 * cut])
        last = themes_of([e for e in made if e.at and e.at >= NOW - cut])
        likeness = [
            sum(min(first[u][t] / first[u].total(), last[u][t] / last[u].total()) for t in first[u])
            for u in first
            if last.get(u) and min(first[u].total(), last[u].total()) > 20
        ]
        return 1.0 - float(np.mean(likeness))

    assert change(1.0) > change(0.0) + 0.08


def test_visits_differ_in_number_and_length(events: Sequence[BehaviourEvent]) -> None:
    per_user = Counter(visit[0].user for visit in visits(events))
    counts = sorted(per_user.values())
    assert counts[-10] > 4 * counts[10]
    assert 7 <= np.median(counts) <= 11
    lengths = [sum(event.type == "view" for event in visit) for visit in visits(events)]
    assert 1 == min(lengths) < max(lengths) <= 9


def test_deeds_come_in_their_order(events: Sequence[BehaviourEvent]) -> None:
    count = Counter(event.type for event in events)
    assert count["view"] > count["click"] > count["cart"] > count["purchase"] > count["rating"] > 0
    assert count["dislike"] > 0
    bought: set[tuple[str, str]] = set()
    for visit in visits(events):
        for event in visit:
            if event.type == "purchase":
                assert (event.user, event.item) not in bought
                bought.add((event.user, event.item))
            if event.type in {"purchase", "rating", "dislike"}:
                done = [e.type for e in visit if e.item == event.item]
                assert done[0] == "view"
            if event.type == "rating":
                assert (event.user, event.item) in bought
                assert event.value in {1, 2, 3, 4, 5}


def test_some_items_arrive_late_and_are_not_touched_before() -> None:
    settings = replace(DEFAULT, arriving=0.3)
    made = generate(5, sample_items(), now=NOW, users=200, settings=settings)
    first: dict[str, datetime] = {}
    for event in made:
        first.setdefault(event.item, event.at or NOW)
    late = {id for id, at in first.items() if at >= NOW - timedelta(days=DAYS / 2)}
    assert 0.2 < len(late) / len(ITEMS) < 0.4
    none = generate(5, sample_items(), now=NOW, users=200, settings=replace(DEFAULT, arriving=0))
    early = {e.item for e in none if e.at and e.at < NOW - timedelta(days=DAYS / 2)}
    assert len(ITEMS) - len(early) < 0.05 * len(ITEMS)


def test_any_catalogue_will_do() -> None:
    plain = [CatalogueItem(str(n), f"Thing {n}", category="ab"[n % 2]) for n in range(6)]
    made = generate(1, plain, now=NOW, users=3, days=2)
    assert {event.item for event in made} <= {item.id for item in plain}
    alone = generate(1, plain[:1], now=NOW, users=1, days=1)
    assert {event.item for event in alone} == {"0"}
    with pytest.raises(ValueError, match="at least one item"):
        generate(1, [], now=NOW)


def test_the_sample_is_the_catalogue_with_behaviour() -> None:
    data = sample(NOW)
    assert data.name == "sample:recommend"
    assert data.items == sample_items()
    assert data.timed
    assert len({event.user for event in data.events}) == 400
    assert 20_000 < len(data.events) < 50_000
