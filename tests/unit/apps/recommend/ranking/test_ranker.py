"""Lists against brute force: never a forbidden item, never fewer than possible, always a reason."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays
from apps.recommend.ranking.filters import Filters, Missing, allowed_rows
from apps.recommend.ranking.listing import ListRequest
from apps.recommend.ranking.ranker import Wish, rank_by_values, rank_for_history, scores_of
from shared.catalogue import CatalogueItem
from shared.histories import UserHistory
from tests.fakes.catalogue_strategies import catalogues, filters_of, row_sets
from tests.fakes.item_scorer import FakeItemScorer

pytestmark = pytest.mark.unit

NOW = 1_700_000_000.0
SHARES = st.sampled_from([0.0, 0.3, 1.0])

requests = st.builds(
    ListRequest,
    k=st.integers(1, 40),
    diversity=SHARES,
    category_cap=st.one_of(st.none(), st.integers(1, 4)),
    exploration=SHARES,
    damping=SHARES,
    seed=st.integers(0, 5),
)


def arrays_of(items: list[CatalogueItem | None]) -> CatalogueArrays:
    ids = [f"item-{row}" for row in range(len(items))]
    return CatalogueArrays.of(ids, {item.id: item for item in items if item})


def scorer_of(n: int, seed: int = 0, cut: int | None = None) -> FakeItemScorer:
    """Vectors with many ties among their scores, a third of the items new."""
    draw = np.random.default_rng(seed)
    return FakeItemScorer.over(
        draw.integers(-1, 2, size=(n, 3)).astype(np.float32),
        popularity=draw.random(n),
        fitted=draw.random(n) < 0.7,
        cut=cut,
    )


def most_possible(arrays: CatalogueArrays, allowed: np.ndarray, request: ListRequest) -> int:
    """How long the longest list is that keeps the cap: no choice can do better than its counts."""
    counts = Counter(arrays.categories[allowed].tolist())
    cap = request.category_cap
    kept = (n if cap is None or category < 0 else min(n, cap) for category, n in counts.items())
    return min(request.k, sum(kept))


@settings(max_examples=120, deadline=None)
@given(
    catalogue=catalogues(),
    filters=st.one_of(st.just(Filters(available_only=False)), filters_of()),
    request=requests,
    bought=row_sets(),
    seen=row_sets(),
    seed=st.integers(0, 100),
    cut=st.one_of(st.none(), st.integers(0, 3)),
    known=st.booleans(),
)
def test_never_a_forbidden_item_never_fewer_than_possible(
    catalogue: list[CatalogueItem | None],
    filters: Filters,
    request: ListRequest,
    bought: set[int],
    seen: set[int],
    seed: int,
    cut: int | None,
    known: bool,
) -> None:
    arrays = arrays_of(catalogue)
    n = len(catalogue)
    bought, seen = ({row for row in rows if row < n} for rows in (bought, seen))
    scorer = scorer_of(n, seed, cut)
    history = UserHistory.of(sorted(seen) if known else [])
    wish = Wish(filters, request, bought, seen)
    ranked = rank_for_history(history, scorer, arrays, wish, now=NOW)

    allowed = allowed_rows(arrays, filters, bought=bought, seen=seen)
    rows = [entry.row for entry in ranked.entries]
    assert allowed[rows].all()
    assert len(set(rows)) == len(rows) == most_possible(arrays, allowed, request)
    for category, count in Counter(arrays.categories[rows].tolist()).items():
        assert category < 0 or request.category_cap is None or count <= request.category_cap
    if len(rows) < request.k:
        kept_out = [one for one in ranked.missing if one.reason != "catalogue_size"]
        assert sum(one.items for one in kept_out) == arrays.listed.sum() - len(rows)
        assert ranked.missing
    else:
        assert ranked.missing == ()
    assert ranked.scores.rows.tolist() == rows
    exact = scorer_of(n, seed).score(history, allowed=np.ones(n, bool), wanted=n, now=NOW)
    assert [entry.score for entry in ranked.entries] == pytest.approx(exact.totals[rows].tolist())
    for entry in ranked.entries:
        if entry.source == "exploration":
            assert not scorer.fitted[entry.row]
            assert request.exploration > 0
        else:
            parts = {name: part[entry.row] for name, part in exact.parts.items()}
            assert parts[entry.source] == max(parts.values())


@settings(max_examples=60, deadline=None)
@given(
    catalogue=catalogues(least=1),
    k=st.integers(1, 40),
    cap=st.one_of(st.none(), st.integers(1, 4)),
    seed=st.integers(0, 100),
)
def test_with_nothing_else_asked_for_the_best_stand_first(
    catalogue: list[CatalogueItem | None], k: int, cap: int | None, seed: int
) -> None:
    arrays = arrays_of(catalogue)
    scorer = scorer_of(len(catalogue), seed)
    history = UserHistory.of([0])
    filters = Filters(available_only=False, hide="none")
    wish = Wish(filters, ListRequest(k=k, category_cap=cap))
    ranked = rank_for_history(history, scorer, arrays, wish, now=NOW)
    scores = scorer.score(history, allowed=arrays.listed, wanted=k, now=NOW)
    expected: list[int] = []
    counts: Counter[int] = Counter()
    for _, row in sorted(zip(-scores.totals, scores.rows.tolist(), strict=True)):
        category = int(arrays.categories[row])
        if len(expected) < k and (cap is None or category < 0 or counts[category] < cap):
            expected.append(row)
            counts[category] += 1
    assert [entry.row for entry in ranked.entries] == expected


def test_a_cap_that_the_best_candidates_cannot_fill_reaches_beyond_them() -> None:
    """1,000 tools score above five toys: the list needs what lies far below."""
    n = 1005
    items = [
        CatalogueItem(f"item-{row}", "A thing", category="tools" if row < 1000 else "toys")
        for row in range(n)
    ]
    scorer = FakeItemScorer.over(np.ones((n, 2), np.float32), cut=0)
    wish = Wish(request=ListRequest(k=6, category_cap=3))
    ranked = rank_for_history(UserHistory.of([]), scorer, arrays_of([*items]), wish, now=NOW)
    assert [entry.row for entry in ranked.entries] == [0, 1, 2, 1000, 1001, 1002]
    assert len(scorer.asked) == 2


def test_new_items_are_found_where_a_large_catalogue_hands_on_its_best_alone() -> None:
    n = 500
    fitted = np.arange(n) < 495
    scorer = FakeItemScorer.over(np.ones((n, 2), np.float32), fitted=fitted, cut=0)
    items = [CatalogueItem(f"item-{row}", "A thing") for row in range(n)]
    wish = Wish(request=ListRequest(k=10, exploration=0.3))
    ranked = rank_for_history(UserHistory.of([]), scorer, arrays_of([*items]), wish, now=NOW)
    explored = [entry.row for entry in ranked.entries if entry.source == "exploration"]
    assert len(explored) == 3
    assert min(explored) >= 495
    assert len(ranked.entries) == 10


def test_new_items_that_are_among_the_best_stand_in_the_list_once() -> None:
    n = 500
    scorer = FakeItemScorer.over(np.ones((n, 2), np.float32), fitted=np.arange(n) >= 5, cut=0)
    items = [CatalogueItem(f"item-{row}", "A thing") for row in range(n)]
    wish = Wish(request=ListRequest(k=10, exploration=0.2))
    ranked = rank_for_history(UserHistory.of([]), scorer, arrays_of([*items]), wish, now=NOW)
    assert sorted(entry.row for entry in ranked.entries) == list(range(10))
    assert len([one for one in ranked.entries if one.source == "exploration"]) == 2


def test_new_items_keep_to_the_cap_and_the_next_of_them_take_their_places() -> None:
    """The 30 best new items are tools, of which two may stand in the list; two toys are new too."""
    n = 60
    items = [
        CatalogueItem(f"item-{row}", "A thing", category="tools" if row < 30 else f"shelf {row}")
        for row in range(n)
    ]
    scorer = FakeItemScorer.over(
        np.ones((n, 2), np.float32), fitted=[30 <= row < 58 for row in range(n)]
    )
    wish = Wish(request=ListRequest(k=10, exploration=0.4, category_cap=2))
    ranked = rank_for_history(UserHistory.of([]), scorer, arrays_of([*items]), wish, now=NOW)
    explored = [entry.row for entry in ranked.entries if entry.source == "exploration"]
    assert len([row for row in explored if row < 30]) == 2
    assert {row for row in explored if row >= 30} == {58, 59}
    assert len(ranked.entries) == 10


def test_every_reason_of_a_short_list_is_told_in_order() -> None:
    items: list[CatalogueItem | None] = [
        CatalogueItem("item-0", "A", category="tools"),
        CatalogueItem("item-1", "B", category="tools"),
        CatalogueItem("item-2", "C", category="tools", available=False),
        CatalogueItem("item-3", "D", category="toys"),
        None,
    ]
    wish = Wish(request=ListRequest(k=10, category_cap=1), bought=[3])
    ranked = rank_for_history(UserHistory.of([]), scorer_of(5), arrays_of(items), wish, now=NOW)
    assert [entry.row for entry in ranked.entries] in ([0], [1])
    assert ranked.missing == (
        Missing("unavailable", 1),
        Missing("bought", 1),
        Missing("category_cap", 1),
        Missing("catalogue_size", 6),
    )


def test_neighbours_and_texts_are_listed_under_the_same_filters() -> None:
    items = [
        CatalogueItem(f"item-{row}", "A thing", price=float(row), available=row != 4)
        for row in range(6)
    ]
    scorer = scorer_of(6)
    values = np.array([0.1, 0.9, 0.3, 0.2, 1.0, 0.8], np.float32)
    wish = Wish(Filters(max_price=4), ListRequest(k=3))
    ranked = rank_by_values(values, scorer, arrays_of([*items]), wish, part="text")
    assert [(entry.row, entry.source) for entry in ranked.entries] == [
        (1, "text"),
        (2, "text"),
        (3, "text"),
    ]
    scores = scores_of(values, np.arange(6) < 2, part="behaviour")
    assert scores.rows.tolist() == [0, 1]
    assert scores.parts["behaviour"].tolist() == scores.totals.tolist()
    assert not scores.parts["text"].any()
