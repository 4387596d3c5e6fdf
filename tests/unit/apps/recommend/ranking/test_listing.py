"""Variety, exploration and damping do what their numbers say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays
from apps.recommend.ranking.listing import ListRequest, RankedList, make_list
from apps.recommend.ranking.ranker import scores_of
from shared.catalogue import CatalogueItem
from tests.fakes.item_scorer import FakeItemScorer

pytestmark = pytest.mark.unit

N = 60


def scorer_of(seed: int = 0, n: int = N, **options: Any) -> FakeItemScorer:
    vectors = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    return FakeItemScorer.over(vectors, **options)


def listed(
    values: np.ndarray, scorer: FakeItemScorer, request: ListRequest, part: str = "behaviour"
) -> RankedList:
    """A list by these values out of a catalogue without categories."""
    items = {name: CatalogueItem(name, "A thing") for name in scorer.item_ids}
    arrays = CatalogueArrays.of(scorer.item_ids, items)
    allowed = np.ones(len(values), bool)
    scores = scores_of(values.astype(np.float32), allowed, part=part)
    return make_list(scores, scorer, arrays, request, allowed)


def rows_of(ranked: RankedList) -> list[int]:
    return [entry.row for entry in ranked.entries]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 500),
    diversity=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    k=st.integers(1, 20),
)
def test_variety_is_maximal_marginal_relevance(seed: int, diversity: float, k: int) -> None:
    """Against the definition, one entry at a time: the gain of each is the greatest there is."""
    scorer = scorer_of(seed)
    values = np.random.default_rng([seed, 1]).normal(size=N)
    rows = rows_of(listed(values, scorer, ListRequest(k=k, diversity=diversity)))
    relevance = (values - values.min()) / (values.max() - values.min())
    for place, row in enumerate(rows):
        taken = rows[:place]
        cosines = scorer.vectors @ scorer.vectors[taken].T
        nearest = np.maximum(cosines.max(axis=1), 0) if taken else np.zeros(N)
        gain = (1 - diversity) * relevance - diversity * nearest
        gain[taken] = -np.inf
        assert gain[row] == pytest.approx(gain.max(), abs=1e-5)
    if diversity < 1:
        assert rows[0] == values.argmax()


def test_more_diversity_makes_lists_more_varied_and_less_relevant() -> None:
    scorer = scorer_of()
    values = scorer.similar(0)

    def likeness_and_score(diversity: float) -> tuple[float, float]:
        ranked = listed(values, scorer, ListRequest(k=10, diversity=diversity))
        vectors = scorer.vectors[rows_of(ranked)]
        cosines = (vectors @ vectors.T)[np.triu_indices(10, 1)]
        return float(cosines.mean()), sum(entry.score for entry in ranked.entries)

    plain, some, much = (likeness_and_score(diversity) for diversity in (0.0, 0.4, 0.9))
    assert plain[0] > some[0] > much[0]
    assert plain[1] > some[1] > much[1]


def test_new_items_get_their_share_of_the_entries() -> None:
    fitted = np.arange(N) < 40
    scorer = scorer_of(fitted=fitted)
    values = np.linspace(1, 0, N)
    counts = []
    first = set()
    for seed in range(200):
        ranked = listed(values, scorer, ListRequest(k=10, exploration=0.25, seed=seed))
        sources = [entry.source for entry in ranked.entries]
        new = [entry.row for entry in ranked.entries if entry.source == "exploration"]
        assert sources[0] == "behaviour"
        assert [row for row in rows_of(ranked) if row < 40] == list(range(10 - len(new)))
        assert min(new) >= 40
        counts.append(len(new))
        first.add(sources.index("exploration"))
    assert set(counts) == {2, 3}
    assert np.mean(counts) == pytest.approx(2.5, abs=0.12)
    assert len(first) > 4
    one, again, other = (
        rows_of(listed(values, scorer, ListRequest(k=10, exploration=0.3, seed=seed)))
        for seed in (1, 1, 2)
    )
    assert one == again != other


def test_what_stands_for_exploration_counts_for_variety_too() -> None:
    """Row 0 is twin to the new item: with it in the list, the less relevant row 1 is chosen."""
    vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    scorer = FakeItemScorer.over(vectors, fitted=[True, True, False])
    values = np.array([1.0, 0.8, 0.0])
    request = ListRequest(k=2, exploration=0.5, diversity=0.5)
    assert rows_of(listed(values, scorer, request)) == [1, 2]
    assert rows_of(listed(values, scorer, ListRequest(k=2, exploration=0.5))) == [0, 2]


def test_exploration_beyond_the_new_items_leaves_the_other_places_as_they_are() -> None:
    fitted = np.arange(N) != 50
    values = np.linspace(1, 0, N)
    ranked = listed(values, scorer_of(fitted=fitted), ListRequest(k=5, exploration=1.0))
    assert sorted(rows_of(ranked)) == [0, 1, 2, 3, 50]
    assert [entry.source for entry in ranked.entries].count("exploration") == 1
    assert rows_of(listed(values, scorer_of(fitted=fitted), ListRequest(k=5))) == [0, 1, 2, 3, 4]


def test_damping_moves_what_everybody_knows_down_and_keeps_the_scores() -> None:
    values = np.linspace(1, 0.5, N)
    popularity = np.array([1.0, 0.25] + [0.0] * (N - 2))
    scorer = scorer_of(popularity=popularity)
    places = {}
    for damping in (0.0, 0.1, 0.5, 1.0):
        ranked = listed(values, scorer, ListRequest(k=N, damping=damping))
        rows = rows_of(ranked)
        assert sorted(rows) == list(range(N))
        assert [entry.score for entry in ranked.entries] == pytest.approx(values[rows].tolist())
        others = [row for row in rows if row > 1]
        assert others == sorted(others)
        places[damping] = (rows.index(0), rows.index(1))
    assert places[0.0] == (0, 1)
    # Row 0 has relevance 1 less a tenth, row 1 58/59 less a twentieth: rows 2 to 5 lie above .9.
    assert places[0.1][0] == 5
    assert places[1.0][0] == N - 2
    assert places[0.1][0] < places[0.5][0] < places[1.0][0]
    assert places[0.1][1] < places[0.5][1] < places[1.0][1]


def test_the_source_is_the_part_that_gave_most() -> None:
    values = np.linspace(1, 0.5, N)
    for part in ("text", "behaviour", "popular"):
        ranked = listed(values, scorer_of(), ListRequest(k=3), part)
        assert {entry.source for entry in ranked.entries} == {part}
    nothing = listed(np.zeros(N), scorer_of(), ListRequest(k=3))
    assert {entry.source for entry in nothing.entries} == {"popular"}
    assert rows_of(nothing) == [0, 1, 2]


def test_candidates_that_are_not_allowed_are_not_listed() -> None:
    scorer = scorer_of()
    arrays = CatalogueArrays.of(scorer.item_ids, {})
    every = scores_of(np.linspace(1, 0, N).astype(np.float32), np.ones(N, bool), part="text")
    allowed = np.arange(N) % 7 == 3
    ranked = make_list(every, scorer, arrays, ListRequest(k=100, diversity=0.5), allowed)
    assert sorted(rows_of(ranked)) == np.flatnonzero(allowed).tolist()
    assert ranked.missing == ()
    nothing = make_list(every, scorer, arrays, ListRequest(exploration=0.5), np.zeros(N, bool))
    assert nothing.entries == ()
    assert len(nothing.scores.rows) == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"k": 0}, "k lies from 1 to 1000"),
        ({"k": 1001}, "1001"),
        ({"diversity": 1.1}, "diversity lies from 0 to 1"),
        ({"exploration": -0.1}, "exploration lies"),
        ({"damping": float("nan")}, "damping lies"),
        ({"category_cap": 0}, "category_cap is at least 1"),
        ({"seed": -1}, "seed is at least 0"),
    ],
)
def test_requests_that_make_no_sense_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ListRequest(**wrong)
