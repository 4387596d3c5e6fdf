"""The closed form against a plain solve in double precision, and cuts against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.recommendation.gram_inverse import invert_in_place
from models.recommendation.recipe import MOST_ITEMS_SOLVED, RecommendRecipe
from models.recommendation.sequence_linear import (
    BLOCK,
    bytes_to_solve,
    fit_sequence_linear,
    history_cuts,
)
from shared.errors import TrainingError
from shared.histories import Histories
from tests.fakes.small_catalogue import drawn_histories

pytestmark = pytest.mark.unit

RECIPE = RecommendRecipe(plain_share=0.3, past=3, future=2, gap_decay=0.6, regularisation=2.0)
Dense = NDArray[np.float64]


def liked_rows(histories: Histories) -> list[list[int]]:
    """What each user liked, in order."""
    return [
        [int(row) for row, s in zip(h.rows, h.strengths, strict=True) if s > 0]
        for h in (histories.of_user(user) for user in range(histories.users))
    ]


def plain_cuts(histories: Histories, recipe: RecommendRecipe) -> tuple[Dense, Dense]:
    pasts: list[Dense] = []
    futures: list[Dense] = []
    for rows in liked_rows(histories):
        for cut in range(1, len(rows)):
            past, future = np.zeros(histories.items), np.zeros(histories.items)
            for distance, row in enumerate(reversed(rows[max(0, cut - recipe.past) : cut])):
                past[row] += recipe.gap_decay**distance
            for distance, row in enumerate(rows[cut : cut + recipe.future]):
                future[row] += recipe.gap_decay**distance
            pasts.append(past)
            futures.append(future)
    empty = np.zeros((0, histories.items))
    return (np.array(pasts) if pasts else empty), (np.array(futures) if futures else empty)


def plain_fit(histories: Histories, words: Dense, recipe: RecommendRecipe) -> Dense:
    """The regression written out, one column at a time under the constraint that an item does not
    speak for itself: a bordered system with one multiplier."""
    n = histories.items
    taken = np.zeros((histories.users, n))
    for user, rows in enumerate(liked_rows(histories)):
        taken[user, rows] = 1.0
    pasts, futures = plain_cuts(histories, recipe)
    share, texts = recipe.plain_share, recipe.text_weight * words @ words.T
    gram = share * taken.T @ taken + (1 - share) * pasts.T @ pasts + texts
    gram += recipe.regularisation * np.eye(n)
    right = share * taken.T @ taken + (1 - share) * pasts.T @ futures + texts
    weights = np.zeros((n, n))
    for item in range(n):
        bordered = np.zeros((n + 1, n + 1))
        bordered[:n, :n] = gram
        bordered[item, n] = bordered[n, item] = 1.0
        weights[:, item] = np.linalg.solve(bordered, np.append(right[:, item], 0.0))[:n]
    return weights


def unit_words(rng: np.random.Generator, items: int) -> Dense:
    words = rng.random((items, 7)) * (rng.random((items, 7)) < 0.4)
    lengths = np.linalg.norm(words, axis=1, keepdims=True)
    return words / np.where(lengths > 0, lengths, 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, text_weight=0.0),
        replace(RECIPE, plain_share=0.0, gap_decay=1.0),
        replace(RECIPE, plain_share=1.0, past=10),
    ],
    ids=["all", "no texts", "ordered only", "unordered only"],
)
def test_the_closed_form_is_the_constrained_regression(seed: int, recipe: RecommendRecipe) -> None:
    rng = np.random.default_rng(seed)
    histories, words = drawn_histories(rng, users=15, items=9), unit_words(rng, 9)
    found = fit_sequence_linear(histories, csr_matrix(words.astype(np.float32)), recipe)
    assert found.dtype == np.float32
    assert not found.diagonal().any()
    np.testing.assert_allclose(found, plain_fit(histories, words, recipe), atol=2e-4)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_meanings_have_their_share_of_the_texts(share: float) -> None:
    rng = np.random.default_rng(3)
    histories, words = drawn_histories(rng, users=15, items=9), unit_words(rng, 9)
    meanings = rng.standard_normal((9, 4))
    meanings /= np.linalg.norm(meanings, axis=1, keepdims=True)
    found = fit_sequence_linear(
        histories,
        csr_matrix(words.astype(np.float32)),
        replace(RECIPE, meaning_share=share),
        meanings.astype(np.float32),
    )
    both = np.hstack([np.sqrt(1 - share) * words, np.sqrt(share) * meanings])
    np.testing.assert_allclose(found, plain_fit(histories, both, RECIPE), atol=2e-4)


def test_more_items_than_a_block() -> None:
    size = BLOCK + 30
    rng = np.random.default_rng(5)
    words = csr_matrix(unit_words(rng, size).astype(np.float32))
    histories = drawn_histories(rng, users=300, items=size)
    recipe = replace(RECIPE, regularisation=20.0)
    found = fit_sequence_linear(histories, words, recipe)
    taken = np.zeros((300, size))
    for user, rows in enumerate(liked_rows(histories)):
        taken[user, rows] = 1.0
    pasts, futures = plain_cuts(histories, recipe)
    texts = 10.0 * (words @ words.T).toarray()
    gram = 0.3 * taken.T @ taken + 0.7 * pasts.T @ pasts + texts + 20.0 * np.eye(size)
    right = 0.3 * taken.T @ taken + 0.7 * pasts.T @ futures + texts
    inverse = np.linalg.inv(gram)
    free = inverse @ right
    expected = free - inverse * (free.diagonal() / inverse.diagonal())[None, :]
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_histories_without_cuts_leave_what_texts_say() -> None:
    rng = np.random.default_rng(0)
    histories = drawn_histories(rng, users=8, items=5)
    firsts = histories.keep(np.isin(np.arange(len(histories.rows)), histories.starts[:-1]))
    words = unit_words(rng, 5)
    found = fit_sequence_linear(firsts, csr_matrix(words.astype(np.float32)), RECIPE)
    np.testing.assert_allclose(found, plain_fit(firsts, words, RECIPE), atol=1e-4)
    assert found.any()


@pytest.mark.parametrize("seed", range(8))
def test_cuts_are_those_of_a_plain_loop(seed: int) -> None:
    histories = drawn_histories(np.random.default_rng(seed), users=10, items=5)
    recipe = replace(RECIPE, past=1 + seed % 4, future=1 + seed % 3)
    pasts, futures = history_cuts(histories, recipe)
    expected = plain_cuts(histories, recipe)
    np.testing.assert_allclose(pasts.toarray(), expected[0], rtol=1e-6)
    np.testing.assert_allclose(futures.toarray(), expected[1], rtol=1e-6)


def test_too_many_items_are_refused_before_anything_is_allocated() -> None:
    many = MOST_ITEMS_SOLVED + 1
    histories = Histories(
        tuple(map(str, range(many))), (), np.zeros(1, np.int64), np.zeros(0, np.int64),
        np.zeros(0, np.float32), np.zeros(0),
    )  # fmt: skip
    with pytest.raises(TrainingError, match="fit factors instead"):
        fit_sequence_linear(histories, csr_matrix((many, 1), dtype=np.float32), RECIPE)
    assert bytes_to_solve(many) > 2 * 4 * many**2


def test_the_inverse_of_a_matrix_larger_than_a_block() -> None:
    rng = np.random.default_rng(0)
    half = rng.standard_normal((1100, 1100)) / 33
    gram = half @ half.T + np.eye(1100)
    found = invert_in_place(np.asfortranarray(gram, np.float32))
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(found @ gram, np.eye(1100), atol=1e-3)


def test_a_matrix_that_has_no_inverse_is_refused() -> None:
    with pytest.raises(TrainingError, match="raise the regularisation"):
        invert_in_place(np.asfortranarray(np.diag([1.0, -1.0]), np.float32))
