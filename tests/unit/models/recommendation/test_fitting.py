"""Whole fits: one seed gives one recommender, and catalogues that hold little can be fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommendation.bundle import GateEvents, write_bundle
from models.recommendation.bundle_scorer import BundleScorer
from models.recommendation.fitting import (
    WITHOUT_VALIDATION,
    FittedRecommender,
    fit_ranker,
    fit_recommender,
    read_catalogue,
    text_only,
)
from models.recommendation.recipe import MOST_ITEMS_SOLVED
from models.recommendation.recommender import Recommender
from shared.catalogue import CatalogueItem
from shared.errors import EmptyData
from shared.evaluation.ranking import evaluate_ranking
from shared.histories import Histories, UserHistory
from tests.fakes.small_catalogue import (
    BLEND,
    RECIPE,
    WordHashes,
    catalogue_of,
    histories_over,
    items_of,
)

pytestmark = pytest.mark.unit
ITEMS = items_of()


def quiet(_: str) -> None:
    """Says nothing."""


def fit(histories: Histories, seed: int = 1) -> FittedRecommender:
    return fit_recommender(histories, catalogue_of(ITEMS), recipe=RECIPE, seed=seed, say=quiet)


def of_events(users: list[list[int]], items: int = 32) -> Histories:
    rows = [row for user in users for row in user]
    return Histories(
        tuple(f"i{row}" for row in range(items)),
        tuple(f"u{user}" for user in range(len(users))),
        np.concatenate([[0], np.cumsum([len(user) for user in users])]).astype(np.int64),
        np.array(rows, np.int64), np.ones(len(rows), np.float32), np.full(len(rows), np.nan),
    )  # fmt: skip


def files_of(recommender: Recommender, folder: object) -> dict[str, bytes]:
    from pathlib import Path

    path = Path(str(folder))
    path.mkdir()
    none = GateEvents(of_events([]), np.zeros(0, np.int64))
    write_bundle(path, recommender, none)
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_two_fits_with_one_seed_are_the_same_files(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    histories = histories_over(ITEMS, users=80)
    folder = tmp_path_factory.mktemp("fits")
    first, again, other = (
        files_of(fit(histories, seed).recommender, folder / name)
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again
    assert first != other


def test_the_blend_is_chosen_without_the_events_it_is_asked_on() -> None:
    histories = histories_over(ITEMS, users=80)
    done = fit(histories)
    assert done.validation is not None
    assert done.asked is not None
    targets = len(done.validation.users)
    assert len(done.validation.train.rows) <= len(histories.rows) - targets
    alone = replace(done.asked, blend=BLEND).takers.sum()
    assert alone < done.recommender.takers.sum()
    assert done.asked.blend == done.recommender.blend
    assert set(done.seconds) == {"blend", "fit"}


def test_a_blend_that_is_given_is_kept_and_nothing_is_held_out() -> None:
    histories = histories_over(ITEMS, users=80)
    done = fit_recommender(
        histories, catalogue_of(ITEMS), recipe=RECIPE, seed=1, blend=BLEND, say=quiet
    )
    assert (done.validation, done.asked) == (None, None)
    assert done.recommender.blend is BLEND


def test_it_ranks_better_than_popularity() -> None:
    done = fit(histories_over(ITEMS, users=120))
    assert done.asked is not None
    assert done.validation is not None

    def ndcg(score: object) -> float:
        return float(evaluate_ranking(score, done.validation).metrics["ndcg@10"])  # type: ignore[arg-type]

    assert ndcg(done.asked.score_users) > 1.3 * ndcg(done.asked.only("popular"))


@pytest.mark.parametrize("users", [[[3]], [[3], [5], [3]], [[3, 3, 3]]], ids=str)
def test_users_without_a_second_item(users: list[list[int]]) -> None:
    said: list[str] = []
    done = fit_recommender(
        of_events(users), catalogue_of(ITEMS), recipe=RECIPE, seed=1, say=said.append
    )
    assert done.recommender.blend == WITHOUT_VALIDATION
    assert any("no user has two events" in line for line in said)
    scores = done.recommender.score_users(of_events(users), np.array([0]))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("users", [[[3, 5]], [[0, 1, 2, 3, 4, 5, 6, 7]]], ids=["two", "eight"])
def test_one_user_with_events(users: list[list[int]]) -> None:
    done = fit(of_events(users))
    assert done.recommender.takers.sum() == len(users[0])
    assert np.isfinite(done.recommender.score_users(of_events(users), np.array([0]))).all()


def test_one_item() -> None:
    items = (CatalogueItem("i0", "lens"),)
    histories = of_events([[0], [0, 0]], items=1)
    done = fit_recommender(histories, catalogue_of(items), recipe=RECIPE, seed=1, say=quiet)
    scorer = BundleScorer.of(done.recommender, "v1", WordHashes())
    found = scorer.score(UserHistory.of([0]), allowed=np.ones(1, bool), wanted=5, now=0.0)
    assert found.rows.tolist() == [0]
    assert np.isfinite(found.totals).all()


@pytest.mark.parametrize("histories", [of_events([]), of_events([[], []])])
def test_nothing_to_fit_on_is_said(histories: Histories) -> None:
    with pytest.raises(EmptyData, match="load items and events"):
        fit(histories)


def test_dislikes_alone() -> None:
    liked = of_events([[1, 2], [3, 4]])
    histories = replace(liked, strengths=np.full(4, -2.0, np.float32))
    done = fit(histories)
    assert not done.recommender.popularity.any()
    assert np.isfinite(done.recommender.score_users(histories, np.array([0, 1]))).all()


def test_texts_that_were_read_before_are_not_read_again() -> None:
    encode = WordHashes()
    known = {ITEMS[0].whole: np.full(24, 24**-0.5, np.float32)}
    catalogue = read_catalogue(ITEMS, encode, seed=1, known=known)
    assert ITEMS[0].whole not in encode.read
    assert len(encode.read) == len(ITEMS) - 1
    np.testing.assert_array_equal(catalogue.encoded[0], known[ITEMS[0].whole])


def test_a_catalogue_too_large_to_solve_is_factorised() -> None:
    count = MOST_ITEMS_SOLVED + 1
    rng = np.random.default_rng(0)
    users = [(rng.integers(0, 40) + np.arange(4)).tolist() for _ in range(30)]
    histories = of_events(users, items=count)
    items = [CatalogueItem(f"i{row}", f"item {row % 50}") for row in range(count)]
    said: list[str] = []
    done = fit_recommender(
        histories, catalogue_of(items), recipe=RECIPE, seed=1, blend=BLEND, say=said.append
    )
    assert done.recommender.behaviour.kind == "als"
    assert any("too many to solve whole" in line for line in said)
    scores = done.recommender.score_users(histories, np.arange(3))
    own = [scores[user, users[user]].mean() for user in range(3)]
    assert min(own) > scores.mean(axis=1).max()


def test_what_an_evaluation_needs() -> None:
    histories = histories_over(ITEMS, users=60)
    given = {"recipe": RECIPE, "seed": 1, "encode": WordHashes()}
    score, vectors = fit_ranker(histories, ITEMS, **given)  # type: ignore[arg-type]
    users = np.arange(3)
    np.testing.assert_array_equal(vectors, catalogue_of(ITEMS).encoded)
    np.testing.assert_array_equal(
        score(histories, users), fit(histories).recommender.score_users(histories, users)
    )
    popular, _ = fit_ranker(histories, ITEMS, part="popular", **given)  # type: ignore[arg-type]
    assert len(np.unique(popular(histories, users), axis=0)) == 1


def test_texts_alone_of_no_items() -> None:
    space, texts = text_only((), WordHashes())
    assert len(texts) == 0
    placed = space.place(["a lens"], WordHashes()(["a lens"]))
    assert len(texts.with_rows(np.array([0]), placed)) == 1
