"""New items borrow from the known ones that read like them: against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation.borrowing import BLOCK, LENDERS, SHARPNESS, Borrowed
from models.recommendation.text_features import unit_rows

pytestmark = pytest.mark.unit


def texts_of(count: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, 6)))


@pytest.mark.parametrize("known_share", [0.1, 0.7])
def test_lenders_are_the_nearest_known_items(known_share: float) -> None:
    texts = texts_of(60)
    known = np.random.default_rng(1).random(60) < known_share
    borrowed = Borrowed.of(texts, known)
    scores = np.random.default_rng(2).standard_normal((3, 60)).astype(np.float32)
    assert borrowed.rows.tolist() == np.flatnonzero(~known).tolist()
    expected = np.zeros((3, len(borrowed.rows)))
    for place, row in enumerate(borrowed.rows.tolist()):
        order = sorted(np.flatnonzero(known).tolist(), key=lambda one: -(texts[one] @ texts[row]))
        weights = {one: max(0.0, float(texts[one] @ texts[row])) for one in order[:LENDERS]}
        summed = sum(weight**SHARPNESS for weight in weights.values())
        for one, weight in weights.items():
            expected[:, place] += scores[:, one] * weight**SHARPNESS / (summed or 1.0)
    np.testing.assert_allclose(borrowed.lent(scores), expected, atol=1e-5)
    np.testing.assert_allclose(borrowed.lent(scores[0]), expected[0], atol=1e-5)
    sums = borrowed.shares.sum(axis=1)
    np.testing.assert_allclose(sums[sums > 0], 1.0, rtol=1e-5)


def test_more_new_items_than_a_block() -> None:
    texts = texts_of(BLOCK + 50)
    known = np.arange(len(texts)) < 20
    whole = Borrowed.of(texts, known)
    last = Borrowed.of(texts[[*range(20), len(texts) - 1]], np.arange(21) < 20)
    assert set(whole.lenders[-1].tolist()) == set(last.lenders[0].tolist())


def test_who_is_near_nobody_borrows_nothing() -> None:
    texts = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], np.float32)
    borrowed = Borrowed.of(texts, np.array([True, False, False]))
    np.testing.assert_array_equal(borrowed.lent(np.full(3, 5.0, np.float32)), [0.0, 0.0])


@pytest.mark.parametrize("known", [np.zeros(4, bool), np.ones(4, bool), np.zeros(0, bool)])
def test_nobody_to_lend_or_to_borrow(known: np.ndarray) -> None:
    borrowed = Borrowed.of(texts_of(len(known)), known)
    lent = borrowed.lent(np.ones(len(known), np.float32))
    np.testing.assert_array_equal(lent, np.zeros(int((~known).sum())))
