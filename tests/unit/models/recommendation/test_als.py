"""Implicit ALS with a text prior, against the dense normal equations and by its laws."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.recommendation import als_solver
from models.recommendation.als import AlsOptions, ImplicitAls, bytes_to_fit, fit_als, observe
from shared.errors import EmptyData, TrainingError
from shared.histories import Histories, UserHistory

pytestmark = pytest.mark.unit

ITEMS, USERS, DIMENSIONS = 30, 24, 6
OPTIONS = AlsOptions(
    factors=8,
    alpha=3.0,
    regularisation=0.7,
    prior_weight=1.3,
    text_regularisation=10.0,
    exposure=1.0,
    decay=1.0,
    iterations=4,
)
Dense = NDArray[np.float64]


def world(seed: int = 0, *, unseen: int = 3) -> tuple[Histories, NDArray[np.float32]]:
    """Users who each like one of three kinds of items; the last ``unseen`` items have no event."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(ITEMS) % 3
    texts = rng.standard_normal((3, DIMENSIONS))[kinds] + rng.normal(0, 0.3, (ITEMS, DIMENSIONS))
    rows: list[int] = []
    starts = [0]
    for user in range(USERS):
        mine = np.flatnonzero((kinds == user % 3)[: ITEMS - unseen])
        rows += rng.choice(mine, size=rng.integers(2, 12)).tolist()
        starts.append(len(rows))
    strengths = rng.choice([1.0, 1.0, 2.0, 3.0, -2.0], size=len(rows)).astype(np.float32)
    histories = Histories(
        tuple(f"i{row}" for row in range(ITEMS)),
        tuple(f"u{user}" for user in range(USERS)),
        np.array(starts, np.int64),
        np.array(rows, np.int64),
        strengths,
        np.full(len(rows), np.nan),
    )
    return histories, (texts / np.linalg.norm(texts, axis=1)[:, None]).astype(np.float32)


def dense(histories: Histories, options: AlsOptions) -> tuple[Dense, Dense, Dense]:
    """Confidence c and preference p of every pair, [users, items], and how far items were met."""
    net = np.zeros((histories.users, histories.items))
    for user in range(histories.users):
        history = histories.of_user(user)
        for place, (row, strength) in enumerate(zip(history.rows, history.strengths, strict=True)):
            net[user, row] += strength * options.decay ** (len(history) - 1 - place)
    users = np.count_nonzero(net, axis=0)
    met = users / (users + options.exposure)
    return met + options.alpha * np.abs(net), (net > 0).astype(float), met


def reference_user(model: ImplicitAls, confidence: Dense, preference: Dense) -> Dense:
    """One user's factors from the whole normal equations, confidence and preference [items]."""
    items = model.items.astype(np.float64)
    system = items.T @ (confidence[:, None] * items)
    system += model.options.regularisation * np.eye(items.shape[1])
    return np.linalg.solve(system, items.T @ (confidence * preference))


def loss(model: ImplicitAls, histories: Histories, texts: NDArray[np.float32]) -> float:
    """The loss that the module's docstring gives, at the model and its users' best factors."""
    confidence, preference, _ = dense(histories, model.options)
    users = model.fold_in_many(histories, np.arange(histories.users)).astype(np.float64)
    items = model.items.astype(np.float64)
    fit = np.sum(confidence * (preference - users @ items.T) ** 2)
    prior = np.sum((items - model.text_prior(texts)) ** 2)
    options = model.options
    return float(
        fit
        + options.regularisation * np.sum(users**2)
        + options.prior_weight * prior
        + options.text_regularisation * np.sum(model.text_map.astype(np.float64) ** 2)
    )


# Users


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(st.integers(0, ITEMS - 1), st.sampled_from([1.0, 2.0, 3.0, 0.5, -2.0])),
        max_size=40,
    ),
    decay=st.sampled_from([1.0, 0.6]),
    seed=st.integers(0, 3),
)
def test_folding_in_a_history_equals_the_batch_solve(
    events: list[tuple[int, float]], decay: float, seed: int
) -> None:
    histories, texts = world(seed)
    model = fit_als(histories, texts, options=replace(OPTIONS, decay=decay, iterations=2))
    history = UserHistory.of([row for row, _ in events], [strength for _, strength in events])
    alone = Histories(
        histories.item_ids, ("new",), np.array([0, len(events)]),
        history.rows, history.strengths, history.times,
    )  # fmt: skip
    confidence, preference, _ = dense(alone, model.options)
    # The met-ness of items is the model's, not that of this one user.
    confidence += model.met - dense(alone, model.options)[2]
    expected = reference_user(model, confidence[0], preference[0])
    np.testing.assert_allclose(model.fold_in(history), expected, rtol=1e-3, atol=1e-5)


def test_many_users_at_once_get_what_each_gets_alone() -> None:
    histories, texts = world()
    model = fit_als(histories, texts, options=OPTIONS)
    chosen = np.array([5, 0, 17, 5])
    together = model.fold_in_many(histories, chosen)
    alone = np.stack([model.fold_in(histories.of_user(user)) for user in chosen])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        model.score_users(histories, chosen), alone @ model.items.T, rtol=1e-4, atol=1e-5
    )


def test_an_event_changes_the_next_fold_in_and_an_unknown_user_is_at_zero() -> None:
    histories, texts = world()
    model = fit_als(histories, texts, options=OPTIONS)
    assert not model.fold_in(UserHistory.of([])).any()
    before = model.items @ model.fold_in(UserHistory.of([0]))
    liked = model.items @ model.fold_in(UserHistory.of([0, 1]))
    disliked = model.items @ model.fold_in(UserHistory.of([0, 1], [1.0, -2.0]))
    assert liked[1] > before[1] > disliked[1]


def test_events_that_cancel_each_other_say_nothing() -> None:
    observed = observe(
        np.array([0, 3]), np.array([4, 7, 4]), np.array([2.0, 1.0, -2.0], np.float32), OPTIONS
    )
    assert observed.columns.tolist() == [7]
    assert observed.weights.tolist() == [3.0]


# Items


def test_an_item_without_events_sits_at_its_text_and_no_other_does() -> None:
    histories, texts = world()
    model = fit_als(histories, texts, options=OPTIONS)
    away = np.linalg.norm(model.items - model.text_prior(texts), axis=1)
    unseen = np.bincount(histories.rows, minlength=ITEMS) == 0
    assert unseen.any()
    assert away[unseen].max() < 1e-6
    assert away[~unseen].min() > 1e-3
    assert (model.met == 0).tolist() == unseen.tolist()


def test_a_new_item_is_liked_by_those_who_like_its_kind() -> None:
    histories, texts = world(unseen=3)
    model = fit_als(histories, texts, options=replace(OPTIONS, iterations=15))
    scores = model.score_users(histories, np.arange(USERS))[:, -3:]
    kinds = np.arange(ITEMS - 3, ITEMS) % 3
    won = scores.argmax(axis=1) == [
        int(np.flatnonzero(kinds == user % 3)[0]) for user in range(USERS)
    ]
    assert won.mean() >= 0.9
    added = model.with_texts(texts[-3:])
    np.testing.assert_allclose(added.items[-3:], model.items[-3:], atol=1e-6)
    np.testing.assert_allclose(
        added.fold_in(UserHistory.of([0, 3, ITEMS])),
        model.fold_in(UserHistory.of([0, 3, ITEMS - 3])),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("item", [0, 7, 20])
def test_placing_an_item_by_its_users_gives_what_the_fit_gave(item: int) -> None:
    histories, texts = world()
    options = replace(OPTIONS, iterations=40)
    model = fit_als(histories, texts, options=options)
    confidence, preference, met = dense(histories, options)
    # The users whom the last step of the fit had: those of the factors before it.
    earlier = fit_als(histories, texts, options=replace(options, iterations=39))
    users = earlier.fold_in_many(histories, np.arange(USERS)).astype(np.float64)
    system = users.T @ (confidence[:, item, None] * users) + options.prior_weight * np.eye(8)
    pull = options.prior_weight * model.text_prior(texts[item][None])[0]
    expected = np.linalg.solve(system, users.T @ (confidence[:, item] * preference[:, item]) + pull)
    np.testing.assert_allclose(model.items[item], expected, rtol=1e-3, atol=1e-4)
    signed = (confidence[:, item] - met[item]) / options.alpha * (2 * preference[:, item] - 1)
    takers = np.flatnonzero(signed)
    placed = model.place_item(
        texts[item], users[takers].astype(np.float32), signed[takers].astype(np.float32)
    )
    np.testing.assert_allclose(placed, expected, rtol=1e-3, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(USERS)), seed=st.integers(0, 3))
def test_an_item_drifts_from_its_text_as_users_take_it(order: list[int], seed: int) -> None:
    histories, texts = world(seed)
    model = fit_als(histories, texts, options=OPTIONS)
    users = model.fold_in_many(histories, np.arange(USERS))[order]
    prior = model.text_prior(texts[-1][None])[0]
    takers = [place for place, user in enumerate(order) if user % 3 == 1]  # not of its kind
    nobody = model.place_item(texts[-1], users[:0], np.zeros(0, np.float32))
    np.testing.assert_allclose(nobody, prior, atol=1e-6)
    away, liking = [0.0], [float((users[takers] @ prior).mean())]
    for count in range(1, len(takers) + 1):
        own = users[takers[:count]]
        placed = model.place_item(texts[-1], own, np.ones(count, np.float32))
        away.append(float(np.linalg.norm(placed - prior)))
        liking.append(float((users[takers] @ placed).mean()))
    assert away[1] > 0.01
    assert away[-1] > away[1]
    assert liking[-1] > liking[0] + 0.2


# The fit


def test_no_iteration_makes_the_loss_greater() -> None:
    histories, texts = world()
    losses = [
        loss(
            fit_als(histories, texts, options=replace(OPTIONS, iterations=count)), histories, texts
        )
        for count in (1, 2, 3, 5, 8, 20)
    ]
    assert all(later <= earlier * (1 + 1e-5) for earlier, later in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


def test_the_map_from_texts_is_the_ridge_regression_of_the_items_that_were_met() -> None:
    histories, texts = world()
    before = fit_als(histories, texts, options=replace(OPTIONS, iterations=3))
    model = fit_als(histories, texts, options=replace(OPTIONS, iterations=4))
    met = before.met > 0
    seen = texts[met].astype(np.float64)
    ridge = OPTIONS.text_regularisation / OPTIONS.prior_weight * np.eye(DIMENSIONS)
    expected = np.linalg.solve(seen.T @ seen + ridge, seen.T @ before.items[met])
    np.testing.assert_allclose(model.text_map, expected, rtol=1e-3, atol=1e-5)


def test_the_same_fit_twice_is_the_same_and_another_seed_is_another() -> None:
    histories, texts = world()
    one, again = (fit_als(histories, texts, options=OPTIONS) for _ in range(2))
    other = fit_als(histories, texts, options=replace(OPTIONS, seed=1))
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    assert not np.allclose(other.items, one.items)


def test_stored_arrays_give_the_same_model() -> None:
    histories, texts = world()
    model = fit_als(histories, texts, options=OPTIONS)
    again = ImplicitAls.of_arrays(model.arrays(), OPTIONS)
    users = np.arange(USERS)
    np.testing.assert_array_equal(
        again.score_users(histories, users), model.score_users(histories, users)
    )


def test_without_texts_items_are_drawn_to_zero() -> None:
    histories, _ = world()
    model = fit_als(histories, options=OPTIONS)
    assert model.text_map.shape == (0, 8)
    unseen = np.bincount(histories.rows, minlength=ITEMS) == 0
    assert not model.items[unseen].any()
    scores = model.score_users(histories, np.arange(USERS))
    kinds = np.arange(ITEMS) % 3
    own = np.array([scores[user, (kinds == user % 3) & ~unseen].mean() for user in range(USERS)])
    others = np.array([scores[user, (kinds != user % 3) & ~unseen].mean() for user in range(USERS)])
    assert (own > others).mean() > 0.9


@pytest.mark.parametrize("longest", [1, 3, 12])
def test_rows_longer_than_the_factors_are_solved_as_exactly(longest: int) -> None:
    # With few factors most rows take the other way; both must lead to the same place.
    histories, texts = world()
    model = fit_als(histories, texts, options=replace(OPTIONS, factors=longest, iterations=2))
    confidence, preference, _ = dense(histories, model.options)
    folded = model.fold_in_many(histories, np.arange(USERS))
    for user in range(USERS):
        expected = reference_user(model, confidence[user], preference[user])
        np.testing.assert_allclose(folded[user], expected, rtol=2e-3, atol=1e-5)


def test_blocks_hold_every_open_row_once_and_the_long_ones_alone() -> None:
    lengths = np.array([0, 3, 0, 2, 900, 1, 5, 4])
    background = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    blocks = [block.tolist() for block in als_solver._blocks(lengths, background, 8)]
    assert sorted(np.concatenate(blocks).tolist()) == [0, 1, 3, 4, 5, 6, 7]
    assert [4] in blocks
    assert all(lengths[block[-1]] == max(lengths[block]) for block in blocks)


def test_blocks_keep_within_their_bytes() -> None:
    lengths = np.full(50_000, 16)
    blocks = list(als_solver._blocks(lengths, np.ones(50_000), 128))
    assert sum(len(block) for block in blocks) == 50_000
    assert all(len(block) * 16 * 128 * 8 <= als_solver.BLOCK_BYTES for block in blocks)


def test_a_fit_of_nothing_is_refused() -> None:
    whole, _ = world()
    empty = whole.keep(np.zeros(len(whole.rows), bool))
    with pytest.raises(EmptyData, match="load events"):
        fit_als(empty, options=OPTIONS)


def test_a_fit_that_needs_more_than_allowed_is_refused_before_it_starts() -> None:
    histories, texts = world()
    done: list[int] = []
    with pytest.raises(TrainingError, match="fewer factors than 8") as caught:
        fit_als(histories, texts, options=OPTIONS, memory_limit=1_000, report=done.append)
    assert done == []
    assert caught.value.details["needed"] == bytes_to_fit(
        ITEMS, USERS, len(histories.rows), DIMENSIONS, OPTIONS
    )
    fit_als(histories, texts, options=OPTIONS, memory_limit=2**30, report=done.append)
    assert done == [1, 2, 3, 4]


def test_the_estimate_covers_what_a_fit_holds_at_its_most() -> None:
    rng = np.random.default_rng(0)
    items, users, each, dimensions = 20_000, 6_000, 12, 96
    histories = Histories(
        tuple(map(str, range(items))),
        tuple(map(str, range(users))),
        np.arange(0, users * each + 1, each),
        rng.integers(0, items, users * each),
        np.ones(users * each, np.float32),
        np.full(users * each, np.nan),
    )
    texts = rng.standard_normal((items, dimensions)).astype(np.float32)
    options = AlsOptions(factors=64, iterations=2)
    tracemalloc.start()
    try:
        fit_als(histories, texts, options=options)
        peak = tracemalloc.get_traced_memory()[1] + texts.nbytes
    finally:
        tracemalloc.stop()
    estimate = bytes_to_fit(items, users, users * each, dimensions, options)
    assert peak <= estimate <= 3 * peak


def test_the_estimate_grows_with_all_that_is_held() -> None:
    base = bytes_to_fit(20_000, 50_000, 500_000, 384, AlsOptions())
    assert bytes_to_fit(200_000, 50_000, 500_000, 384, AlsOptions()) > 3 * (base - 2**28)
    assert bytes_to_fit(20_000, 50_000, 500_000, 384, AlsOptions(factors=256)) > base
    assert bytes_to_fit(20_000, 50_000, 5_000_000, 384, AlsOptions()) > base


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"iterations": 0}, {"alpha": 0.0}, {"decay": 0.0}, {"decay": 1.1},
     {"exposure": -1.0}, {"prior_weight": 0.0}],
)  # fmt: skip
def test_options_that_make_no_model_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        AlsOptions(**wrong)  # type: ignore[arg-type]
