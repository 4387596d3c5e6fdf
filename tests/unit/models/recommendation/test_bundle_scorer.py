"""The scorer that is served: exactly the recommender, with reasons that add up and new items."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from models.recommendation.als import AlsOptions, ImplicitAls
from models.recommendation.behaviour import FactorBehaviour, LinearBehaviour
from models.recommendation.borrowing import Borrowed
from models.recommendation.bundle_scorer import BundleScorer
from models.recommendation.fitting import text_only
from models.recommendation.linear_with_texts import LinearWithTexts
from models.recommendation.recipe import MOST_ITEMS_SOLVED
from models.recommendation.recommender import Blend
from models.recommendation.scoring import PARTS, ItemScores
from models.recommendation.shortlist import SPARE
from models.recommendation.text_features import unit_rows
from models.recommendation.unfitted import unfitted_scorer
from shared.catalogue import CatalogueItem
from shared.histories import Histories, UserHistory
from tests.fakes.item_texts import item_texts_of
from tests.fakes.small_catalogue import BLEND, WordHashes, drawn_histories, fitted, items_of

pytestmark = pytest.mark.unit

KINDS = ["sequence_linear", "als"]
BLENDS = {
    "texts of all": BLEND,
    "texts of new ones": replace(BLEND, text=0.0),
    "no texts": replace(BLEND, text=0.0, new_text=0.0),
    "new ones borrow": replace(BLEND, text=0.0, borrowed=0.6),
}
FITTED = {kind: fitted(kind)[0] for kind in KINDS}
NEW = (
    CatalogueItem("n0", "lens 99", "a lens of series 9"),
    CatalogueItem("n1", "kettle 98", "a kettle with word3"),
)
events = st.lists(
    st.tuples(st.integers(0, 31), st.sampled_from([1.0, 2.0, 3.0, 0.5, -2.0])), max_size=12
)


def scorer_of(kind: str, blend: Blend = BLEND) -> BundleScorer:
    return BundleScorer.of(replace(FITTED[kind], blend=blend), "v1", WordHashes())


def scored(
    scorer: BundleScorer,
    history: UserHistory,
    allowed: np.ndarray | None = None,
    wanted: int | None = None,
) -> ItemScores:
    """All allowed rows, unless fewer are wanted."""
    count = len(scorer.item_ids)
    flags = np.ones(count, bool) if allowed is None else allowed
    most = max(1, count) if wanted is None else wanted
    return scorer.score(history, allowed=flags, wanted=most, now=0.0)


def totals(scorer: BundleScorer, history: UserHistory) -> np.ndarray:
    found = scored(scorer, history)
    whole = np.full(len(scorer.item_ids), np.nan)
    whole[found.rows] = found.totals
    return whole


def history_of(drawn: list[tuple[int, float]]) -> UserHistory:
    return UserHistory.of([row for row, _ in drawn], [strength for _, strength in drawn])


def as_histories(history: UserHistory) -> Histories:
    return Histories(
        FITTED["als"].item_ids, ("one",), np.array([0, len(history)]), history.rows,
        history.strengths, history.times,
    )  # fmt: skip


# The same numbers as the recommender's


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS)
@settings(max_examples=40, deadline=None)
@given(drawn=events)
def test_one_history_scores_as_many_do(
    kind: str, blend: Blend, drawn: list[tuple[int, float]]
) -> None:
    recommender, history = replace(FITTED[kind], blend=blend), history_of(drawn)
    found = scored(BundleScorer.of(recommender, "v1", WordHashes()), history)
    parts = recommender.parts_of_users(as_histories(history), np.array([0]))
    assert tuple(found.parts) == PARTS
    for name in PARTS:
        np.testing.assert_allclose(found.parts[name], parts[name][0][found.rows], atol=3e-5)
    whole = recommender.score_users(as_histories(history), np.array([0]))[0]
    np.testing.assert_allclose(found.totals, whole[found.rows], atol=5e-5)
    np.testing.assert_allclose(found.totals, sum(found.parts.values()), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_only_what_is_allowed_is_scored_and_as_without_a_filter(
    kind: str, blend: Blend, share: float
) -> None:
    scorer = scorer_of(kind, blend)
    allowed = np.random.default_rng(0).random(32) < share
    history = UserHistory.of([3, 9, 3], [1.0, 2.0, -2.0])
    found = scored(scorer, history, allowed)
    np.testing.assert_array_equal(np.sort(found.rows), np.flatnonzero(allowed))
    np.testing.assert_allclose(found.totals, totals(scorer, history)[found.rows], atol=1e-5)


def test_the_face_of_a_scorer() -> None:
    scorer, recommender = scorer_of("sequence_linear"), FITTED["sequence_linear"]
    assert scorer.version == "v1"
    assert scorer.row_of["i7"] == 7
    np.testing.assert_array_equal(scorer.vectors, recommender.texts.encoded)
    np.testing.assert_array_equal(scorer.fitted, recommender.takers > 0)
    np.testing.assert_array_equal(scorer.popularity, recommender.popularity)


# Reasons


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("borrowed", [0.0, 0.6])
@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 33), st.sampled_from([1.0, 2.0, 3.0, 0.5, -2.0])), max_size=12
    )
)
def test_contributions_are_the_score_less_its_popular_part(
    kind: str, borrowed: float, drawn: list[tuple[int, float]]
) -> None:
    """Rows 32 and 33 came after the fit."""
    scorer = scorer_of(kind, replace(BLEND, borrowed=borrowed)).with_items(NEW)
    history = history_of(drawn)
    found = scored(scorer, history)
    given_ = scorer.contributions(history, found.rows, now=0.0)
    assert given_.shape == (len(history), 34)
    expected = found.totals - found.parts["popular"]
    np.testing.assert_allclose(given_.sum(axis=0), expected, atol=5e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_of_a_new_item_counts_by_its_text(kind: str) -> None:
    scorer = scorer_of(kind).with_items(NEW)
    given_ = scorer.contributions(UserHistory.of([0, 32]), np.arange(34), now=0.0)
    alone = scored(scorer, UserHistory.of([32]))
    np.testing.assert_allclose(alone.parts["behaviour"], 0, atol=1e-7)
    np.testing.assert_allclose(given_[1], alone.parts["text"], atol=1e-5)
    assert given_[0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_and_no_events_have_no_contributions(kind: str) -> None:
    scorer = scorer_of(kind)
    none = np.zeros(0, np.int64)
    assert scorer.contributions(UserHistory.of([1, 2]), none, now=0.0).shape == (2, 0)
    assert scorer.contributions(UserHistory.of([]), np.arange(3), now=0.0).shape == (0, 3)


# Items that come later


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS)
def test_new_items_are_scored_by_text_and_known_ones_stay(kind: str, blend: Blend) -> None:
    scorer, history = scorer_of(kind, blend), UserHistory.of([4, 8, 1], [1.0, 3.0, -2.0])
    more = scorer.with_items(NEW)
    assert more.item_ids == (*scorer.item_ids, "n0", "n1")
    before, found = scored(scorer, history), scored(more, history)
    np.testing.assert_allclose(found.totals[:32], before.totals, atol=1e-6)
    new = {name: part[32:] for name, part in found.parts.items()}
    assert bool(new["behaviour"].any()) == (blend.borrowed > 0)
    assert not new["popular"].any()
    assert bool(new["text"].any()) == (blend.new_text > 0)
    assert not more.fitted[32:].any()
    if blend.new_text:
        assert new["text"][0] > new["text"][1], "lenses were looked at, not kettles"


def test_the_scorer_that_was_asked_stays_as_it_is() -> None:
    scorer = scorer_of("als")
    before = totals(scorer, UserHistory.of([4]))
    scorer.with_items([*NEW, CatalogueItem("i4", "tent 4", "another text")])
    assert len(scorer.item_ids) == 32
    assert "n0" not in scorer.row_of
    np.testing.assert_array_equal(totals(scorer, UserHistory.of([4])), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS)
def test_items_in_steps_are_as_at_once(kind: str, blend: Blend) -> None:
    scorer, history = scorer_of(kind, blend), UserHistory.of([4, 33, 8])
    lender = CatalogueItem("i4", "tent 4", "a lens no more")
    reworded = replace(NEW[0], text="a kettle of series 2")
    at_once = scorer.with_items([lender, reworded, NEW[1]])
    in_steps = scorer
    for step in (NEW[0], lender, NEW[1], reworded):
        in_steps = in_steps.with_items([step])
    assert at_once.item_ids == in_steps.item_ids
    np.testing.assert_allclose(totals(at_once, history), totals(in_steps, history), atol=1e-5)
    stale = totals(scorer.with_items(NEW), history)
    if blend.borrowed:
        assert not np.allclose(totals(in_steps, history)[32], stale[32], atol=1e-4)


def test_a_text_that_did_not_change_is_not_read_again() -> None:
    encode, items = WordHashes(), items_of()
    scorer = BundleScorer.of(FITTED["als"], "v1", encode)
    assert scorer.with_items(items) is scorer
    priced = replace(items[3], price=7.0, available=False)
    assert scorer.with_items([priced]) is scorer
    assert encode.read == []
    more = scorer.with_items([*items, *NEW])
    assert encode.read == [item.whole for item in NEW]
    assert more.with_items(NEW) is more
    assert len(encode.read) == 2


def test_a_changed_text_moves_its_item_alone() -> None:
    encode = WordHashes()
    scorer = BundleScorer.of(FITTED["sequence_linear"], "v1", encode)
    history = UserHistory.of([4, 8])
    changed = CatalogueItem("i5", "tent 5", "now it is a tent")
    after = scorer.with_items([changed])
    assert encode.read == [changed.whole]
    assert after.item_ids == scorer.item_ids
    others = np.arange(32) != 5
    found, before = scored(after, history), scored(scorer, history)
    np.testing.assert_array_equal(found.totals[others], before.totals[others])
    assert found.parts["text"][5] != before.parts["text"][5]
    assert found.parts["behaviour"][5] == pytest.approx(before.parts["behaviour"][5], abs=1e-6)
    own = UserHistory.of([5, 8])  # what is said of others changes with the text in a history
    whole, given_ = scored(after, own), after.contributions(own, np.arange(32), now=0.0)
    np.testing.assert_allclose(given_.sum(axis=0), whole.totals - whole.parts["popular"], atol=1e-6)
    assert not np.allclose(whole.totals, scored(scorer, own).totals)
    np.testing.assert_array_equal(after.vectors[5], WordHashes()([changed.whole])[0])


def test_of_one_id_the_last_counts() -> None:
    encode = WordHashes()
    scorer = BundleScorer.of(FITTED["als"], "v1", encode)
    first = CatalogueItem("n0", "something else")
    assert scorer.with_items([first, NEW[0]]).item_ids == (*scorer.item_ids, "n0")
    assert encode.read == [NEW[0].whole]
    known = items_of()[2]
    assert scorer.with_items([replace(known, text="changed"), known]) is scorer


# Neighbours and search


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_share_the_kind(kind: str) -> None:
    scorer = scorer_of(kind).with_items(NEW)
    for row in (4, 32):
        near = scorer.similar(row)
        assert near.shape == (34,)
        near[row] = -np.inf
        kinds = [scorer.item_ids[int(best)] for best in np.argsort(-near)[:3]]
        lenses = {f"i{number}" for number in range(0, 32, 4)} | {"n0"}
        assert set(kinds) <= lenses, kinds


def test_a_search_finds_words_of_new_items_too() -> None:
    scorer = scorer_of("als").with_items([CatalogueItem("n0", "lens unheard")])
    assert int(np.argmax(scorer.search("lens unheard"))) == 32
    assert int(np.argmax(scorer.search(items_of()[9].whole))) == 9


# Larger catalogues


def large(kind: str, *, fitted_items: int, more: int, popular: float) -> BundleScorer:
    """Random vectors; the last ``more`` items came after the fit."""
    rng = np.random.default_rng(0)
    count, width = fitted_items + more, 4
    vectors = unit_rows(rng.standard_normal((count, width)))
    space, _ = text_only(items_of(3), WordHashes())
    behaviour: FactorBehaviour | LinearBehaviour
    if kind == "als":
        factors = rng.standard_normal((fitted_items, 4)).astype(np.float32)
        options = AlsOptions(factors=4, regularisation=0.5, alpha=2.0)
        met = rng.random(fitted_items).astype(np.float32)
        model = ImplicitAls(factors, np.zeros((width, 4), np.float32), met, np.eye(4), options)
        behaviour = FactorBehaviour(model)
    else:
        linear = LinearBehaviour(rng.random((fitted_items, fitted_items), np.float32))
        known = vectors[:fitted_items]
        behaviour = LinearWithTexts.of(linear, known, np.float32(0.1) * known)
    names = tuple(map(str, range(count)))
    return BundleScorer(
        "v1", names, names, behaviour, space, item_texts_of(csr_matrix(vectors), vectors),
        np.arange(count) < fitted_items, rng.random(count).astype(np.float32),
        Blend(0.8, 0.1, 0.4, popular, borrowed=0.5), WordHashes(),
    )  # fmt: skip


@lru_cache(maxsize=1)
def lent_anew(scorer: BundleScorer) -> Borrowed:
    """What its new items borrow, whatever the scorer holds; of a crowd that takes seconds."""
    return Borrowed.of(scorer._texts, scorer.fitted)


def written_out(scorer: BundleScorer, history: UserHistory) -> np.ndarray:
    """The scores of all rows by the formula, new ones lent to by those that are nearest."""
    vectors, fit = scorer.vectors, scorer.fitted
    behaviour, known = scorer._behaviour, int(scorer.fitted.sum())
    assert behaviour is not None
    weights = np.sign(history.strengths) * np.sqrt(np.abs(history.strengths))
    weights = weights * 0.8 ** np.arange(len(history) - 1, -1, -1)
    inside = history.rows < known
    kept = UserHistory.of(
        np.where(inside, history.rows, 0), np.where(inside, history.strengths, 0.0)
    )
    behaved = np.zeros(len(vectors))
    behaved[:known] = behaviour.scores(kept, 0.8)
    lending = behaved[:known].copy()
    np.add.at(lending, kept.rows, behaviour.own[kept.rows] * np.where(inside, weights, 0.0))
    borrowed = lent_anew(scorer)
    behaved[borrowed.rows] = 0.5 * (borrowed.matrix(known) @ lending)
    text = vectors @ (weights @ vectors[history.rows]) * np.where(fit, 0.1, 0.4)
    return behaved + text + 9 * scorer.popularity / (1 + np.abs(weights).sum())


@pytest.fixture(scope="module", params=["als", "sequence_linear"])
def crowd(request: pytest.FixtureRequest) -> BundleScorer:
    """More items than are scored whole, with popularity that decides much."""
    known = MOST_ITEMS_SOLVED - 100 if request.param == "als" else 300
    return large(request.param, fitted_items=known, more=MOST_ITEMS_SOLVED - known + 50, popular=9)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05, 0.001, 0.0])
@pytest.mark.parametrize("length", [0, 1, 12])
def test_of_many_items_the_best_wanted_are_among_the_candidates(
    crowd: BundleScorer, share: float, length: int
) -> None:
    rng = np.random.default_rng(length)
    count = len(crowd.item_ids)
    history = UserHistory.of(
        rng.integers(0, count, length), rng.choice([1.0, 3.0, -2.0], length).astype(np.float32)
    )
    allowed = rng.random(count) < share
    everything = np.ones(count, bool)
    whole = written_out(crowd, history)
    exact = scored(crowd, history, everything, wanted=count)
    assert len(exact.rows) == count
    np.testing.assert_allclose(exact.totals, whole[exact.rows], atol=1e-3)
    found = scored(crowd, history, allowed, wanted=40)
    assert len(found.rows) >= min(40, int(allowed.sum()))
    assert len(np.unique(found.rows)) == len(found.rows)
    assert allowed[found.rows].all()
    np.testing.assert_allclose(found.totals, whole[found.rows], atol=1e-4)
    np.testing.assert_allclose(found.totals, sum(found.parts.values()), atol=1e-4)
    best = np.sort(whole[allowed])[::-1][:40]
    np.testing.assert_allclose(np.sort(found.totals)[::-1][:40], best, atol=1e-4)
    assert len(found.rows) <= 2 * (40 + SPARE)


# Little or nothing


def test_a_catalogue_without_items() -> None:
    scorer = unfitted_scorer([], WordHashes())
    found = scored(scorer, UserHistory.of([]))
    assert (len(found.rows), scorer.item_ids, scorer.version) == (0, (), "")
    assert scorer.search("lens").shape == (0,)
    more = scorer.with_items(NEW)
    assert more.item_ids == ("n0", "n1")
    assert len(scored(more, UserHistory.of([0])).rows) == 2


def test_one_item() -> None:
    scorer = unfitted_scorer(NEW[:1], WordHashes())
    found = scored(scorer, UserHistory.of([0]))
    assert found.rows.tolist() == [0]
    assert np.isfinite(found.totals).all()


def test_without_a_fit_texts_decide() -> None:
    scorer = unfitted_scorer(items_of(), WordHashes())
    history = UserHistory.of([4, 8])
    found = scored(scorer, history)
    best = found.rows[np.argsort(-found.totals)[:4]]
    assert all(row % 4 == 0 for row in best.tolist())
    assert not scorer.fitted.any()
    given_ = scorer.contributions(history, found.rows, now=0.0)
    np.testing.assert_allclose(given_.sum(axis=0), found.totals, atol=1e-5)
    np.testing.assert_array_equal(scored(scorer, UserHistory.of([])).totals, np.zeros(32))


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_history_is_ranked_by_popularity(kind: str) -> None:
    found = scored(scorer_of(kind), UserHistory.of([]))
    np.testing.assert_allclose(found.totals, BLEND.popular * FITTED[kind].popularity, rtol=1e-5)


def test_histories_without_any_rule_agree_too() -> None:
    recommender = FITTED["als"]
    histories = drawn_histories(np.random.default_rng(4), users=20, items=32)
    whole = recommender.score_users(histories, np.arange(20))
    scorer = scorer_of("als")
    for user in range(20):
        found = totals(scorer, histories.of_user(user))
        np.testing.assert_allclose(found, whole[user], atol=5e-5)
