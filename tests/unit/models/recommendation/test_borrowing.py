"""New items borrow from the known ones that read like them: ridge regression written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.recommendation.borrowing import BLOCK, LENDERS, NOISE, Borrowed
from models.recommendation.item_texts import ItemTexts
from models.recommendation.text_features import unit_rows
from tests.fakes.item_texts import item_texts_of

pytestmark = pytest.mark.unit


def texts_of(count: int, seed: int = 0) -> ItemTexts:
    """Words and meanings drawn apart from each other; some words are shared."""
    rng = np.random.default_rng(seed)
    words = unit_rows(np.maximum(rng.standard_normal((count, 8)), 0.0))
    return item_texts_of(csr_matrix(words), unit_rows(rng.standard_normal((count, 6))))


def likeness(texts: ItemTexts) -> np.ndarray:
    words = texts.words.toarray()
    found: np.ndarray = 0.5 * words @ words.T + 0.5 * texts.encoded @ texts.encoded.T
    return found


@pytest.mark.parametrize(("count", "known_share"), [(60, 0.1), (60, 0.7), (200, 0.8)])
def test_lenders_are_the_nearest_and_share_by_ridge_regression(
    count: int, known_share: float
) -> None:
    texts = texts_of(count)
    known = np.random.default_rng(1).random(count) < known_share
    borrowed = Borrowed.of(texts, known)
    like, scores = likeness(texts), np.random.default_rng(2).standard_normal((3, count))
    assert borrowed.rows.tolist() == np.flatnonzero(~known).tolist()
    expected = np.zeros((3, len(borrowed.rows)))
    for place, row in enumerate(borrowed.rows.tolist()):
        order = sorted(np.flatnonzero(known).tolist(), key=lambda one: -like[one, row])
        lenders = order[:LENDERS]
        assert sorted(borrowed.lenders[place].tolist()) == sorted(lenders)
        among = like[np.ix_(lenders, lenders)] + NOISE * np.eye(len(lenders))
        expected[:, place] = scores[:, lenders] @ np.linalg.solve(
            among, np.maximum(like[lenders, row], 0.0)
        )
    lent = borrowed.lent(scores.astype(np.float32))
    np.testing.assert_allclose(lent, expected, atol=1e-4)
    np.testing.assert_allclose(borrowed.lent(scores[0].astype(np.float32)), expected[0], atol=1e-4)


def test_lenders_that_say_the_same_share_one_voice() -> None:
    """Nine of one text and one of another, the new item half of each."""
    one, other = np.eye(2, dtype=np.float32)
    new = unit_rows(np.array([one + other]))[0]
    vectors = np.array([one] * 9 + [other, new])
    texts = item_texts_of(csr_matrix(vectors), vectors)
    borrowed = Borrowed.of(texts, np.arange(11) < 10)
    shares = dict(zip(borrowed.lenders[0].tolist(), borrowed.shares[0].tolist(), strict=True))
    assert sum(shares[row] for row in range(9)) == pytest.approx(shares[9], rel=0.3)


def test_more_new_items_than_a_block() -> None:
    texts = texts_of(BLOCK + 50)
    known = np.arange(len(texts)) < 20
    whole = Borrowed.of(texts, known)
    last = Borrowed.of(texts, known, rows=np.array([len(texts) - 1]))
    assert whole.lenders[-1].tolist() == last.lenders[0].tolist()
    np.testing.assert_allclose(whole.shares[-1], last.shares[0], atol=1e-5)


def test_some_are_replaced_and_others_added() -> None:
    texts, known = texts_of(40), np.arange(40) < 30
    some = Borrowed.of(texts, known, rows=np.array([31, 33, 38]))
    stale = Borrowed(some.rows, some.lenders, some.shares + 1)
    rest = Borrowed.of(texts, known, rows=np.array([30, 32, 33, 34, 38]))
    merged, whole = stale.with_rows(rest), Borrowed.of(texts, known)
    assert merged.rows.tolist() == [30, 31, 32, 33, 34, 38]
    kept = np.isin(whole.rows, merged.rows)
    expected = whole.shares[kept] + np.where(merged.rows == 31, 1.0, 0.0)[:, None]
    np.testing.assert_allclose(merged.shares, expected, atol=1e-5)
    np.testing.assert_array_equal(merged.lenders, whole.lenders[kept])


def test_who_is_near_nobody_borrows_nothing() -> None:
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], np.float32)
    borrowed = Borrowed.of(item_texts_of(csr_matrix(vectors), vectors), np.arange(3) < 1)
    np.testing.assert_array_equal(borrowed.lent(np.full(3, 5.0, np.float32)), [0.0, 0.0])


@pytest.mark.parametrize("known", [np.zeros(4, bool), np.ones(4, bool), np.zeros(0, bool)])
def test_nobody_to_lend_or_to_borrow(known: np.ndarray) -> None:
    borrowed = Borrowed.of(texts_of(len(known)), known)
    lent = borrowed.lent(np.ones(len(known), np.float32))
    np.testing.assert_array_equal(lent, np.zeros(int((~known).sum())))
