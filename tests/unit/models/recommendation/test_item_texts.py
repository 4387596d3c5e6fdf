"""Texts are read once, and vectors of some items replaced without touching others."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation.fitting import text_only
from models.recommendation.item_texts import ItemTexts, read_texts
from tests.fakes.small_catalogue import DIMENSIONS, WordHashes, items_of

pytestmark = pytest.mark.unit
NAMES = ("encoded", "dense", "taken", "offered")


def test_each_text_is_read_once_and_known_ones_not_at_all() -> None:
    encode = WordHashes()
    known = {"a lens": np.full(DIMENSIONS, 0.5, np.float32)}
    found = read_texts(["a tent", "a lens", "a tent", "a book"], encode, known=known)
    assert encode.read == ["a tent", "a book"]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], known["a lens"])
    np.testing.assert_array_equal(found[3], WordHashes()(["a book"])[0])


def test_no_texts_have_the_encoders_width() -> None:
    assert read_texts([], WordHashes()).shape == (0, DIMENSIONS)


def test_vectors_are_replaced_and_added() -> None:
    space, texts = text_only(items_of(6), WordHashes())
    others = space.place(["a new thing", "a lens"], WordHashes()(["a new thing", "a lens"]))
    merged = texts.with_rows(np.array([6, 2]), others)
    assert (len(texts), len(merged)) == (6, 7)
    for name in NAMES:
        before, after, new = (getattr(one, name) for one in (texts, merged, others))
        np.testing.assert_array_equal(after[[6, 2]], new)
        np.testing.assert_array_equal(after[[0, 1, 3, 4, 5]], before[[0, 1, 3, 4, 5]])
        assert not np.array_equal(before[2], new[1])
    words, before, new = (one.words.toarray() for one in (merged, texts, others))
    np.testing.assert_array_equal(words[[6, 2]], new)
    np.testing.assert_array_equal(words[[0, 1, 3, 4, 5]], before[[0, 1, 3, 4, 5]])


def test_meanings_are_half_of_the_dense_form() -> None:
    _, texts = text_only(items_of(6), WordHashes())
    products = texts.meanings @ texts.meanings.T
    np.testing.assert_allclose(np.diag(products), 0.5, rtol=1e-5)
    assert texts.meanings.shape == texts.encoded.shape


def test_no_rows_change_nothing() -> None:
    _, texts = text_only(items_of(3), WordHashes())
    empty = (np.zeros((0, getattr(texts, name).shape[1]), np.float32) for name in NAMES)
    none = ItemTexts(texts.words[:0], *empty)
    merged = texts.with_rows(np.zeros(0, np.int64), none)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(merged, name), getattr(texts, name))


def test_of_texts_alone_the_nearest_share_words() -> None:
    items = items_of(16)
    _, texts = text_only(items, WordHashes())
    scores = texts.offered @ texts.taken[0]
    best = [int(row) for row in np.argsort(-scores)[:4]]
    assert all(row % 4 == 0 for row in best), best
