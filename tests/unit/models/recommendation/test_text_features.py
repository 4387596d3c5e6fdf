"""What is learnt of words, and the dense form."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation.text_features import OPENING_SHARE, TextFeatures, opening, unit_rows
from tests.fakes.small_catalogue import WordHashes, items_of

pytestmark = pytest.mark.unit
TEXTS = [item.whole for item in items_of()]


@pytest.fixture(scope="module")
def features() -> TextFeatures:
    return TextFeatures.fit(TEXTS, WordHashes()(TEXTS), seed=1)


def test_words_have_unit_rows(features: TextFeatures) -> None:
    rows = features.words(TEXTS).toarray()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-5)


def test_words_alone_weigh_as_much_as_words_with_their_pairs(features: TextFeatures) -> None:
    alone, terms = sum(" " not in term for term in features.terms), len(features.terms)
    squares = features.words(TEXTS).toarray() ** 2
    np.testing.assert_allclose(
        squares[:, :alone].sum(axis=1), squares[:, alone : alone + terms].sum(axis=1), rtol=1e-5
    )
    assert alone < terms, "pairs are known too"


MAKERS = ["Orrin shampoo", "orrin soap", "Tarn soap", "the lamp", "the bulb", *["the lens"] * 60]


def test_texts_that_begin_alike_are_nearer_than_those_that_end_alike() -> None:
    features = TextFeatures.fit(MAKERS, WordHashes()(MAKERS), seed=0)
    assert features.openings == ["orrin", "tarn"], "what most texts begin with says nothing"
    first, second, third = features.words(["orrin lamp", "orrin bulb", "tarn lens"]).toarray()
    begun = len(features.terms) + sum(" " not in term for term in features.terms)
    np.testing.assert_allclose(first[begun:], [OPENING_SHARE**0.5, 0.0], rtol=1e-5)
    assert first @ second > OPENING_SHARE
    assert first @ third == 0.0


def test_a_text_that_begins_with_no_opening_has_a_unit_row_too() -> None:
    features = TextFeatures.fit(MAKERS, WordHashes()(MAKERS), seed=0)
    row = features.words(["the orrin lamp"]).toarray()
    assert np.linalg.norm(row) == pytest.approx(1.0)


def test_what_a_text_begins_with() -> None:
    assert opening(" -- L'Eau de Tarn") == ["l"]
    assert opening("ÖRRIN 5 oz") == ["örrin"]
    assert opening("...") == []


def test_a_bundle_from_before_openings_reads_as_it_did() -> None:
    features = TextFeatures.fit(MAKERS, WordHashes()(MAKERS), seed=0)
    arrays = features.arrays()
    del arrays["openings"]
    arrays["word_directions"] = arrays["word_directions"][: -len(features.openings)]
    rows = TextFeatures.of_arrays(arrays).words(MAKERS).toarray()
    alone = sum(" " not in term for term in features.terms)
    np.testing.assert_allclose((rows[:, :alone] ** 2).sum(axis=1), 0.5, rtol=1e-5)


def test_pairs_of_one_text_only_are_not_kept(features: TextFeatures) -> None:
    counts = {
        term: sum(f" {term} " in f" {text.replace(chr(10), ' ')} " for text in TEXTS)
        for term in features.terms
        if " " in term
    }
    assert counts
    assert min(counts.values()) >= 2
    assert "lens 0" not in features.terms


def test_unknown_words_make_a_row_of_zeros(features: TextFeatures) -> None:
    encode = WordHashes()
    words = features.words(["zyx wvu", ""])
    assert words.nnz == 0
    dense = features.dense(words, encode(["zyx wvu", ""]))
    assert np.isfinite(dense).all()
    width = features.directions.shape[1]
    assert not dense[:, :width].any()


def test_the_dense_form_joins_two_halves_of_one_length(features: TextFeatures) -> None:
    dense = features.dense(features.words(TEXTS), WordHashes()(TEXTS))
    width = features.directions.shape[1]
    for half in (dense[:, :width], dense[:, width:]):
        np.testing.assert_allclose((half**2).sum(axis=1), 0.5, rtol=1e-4)


def test_a_text_alone_is_as_among_others(features: TextFeatures) -> None:
    encode = WordHashes()
    together = features.dense(features.words(TEXTS), encode(TEXTS))
    alone = features.dense(features.words(TEXTS[5:6]), encode(TEXTS[5:6]))
    np.testing.assert_allclose(alone[0], together[5], atol=1e-6)


def test_arrays_give_the_same_again(features: TextFeatures) -> None:
    again = TextFeatures.of_arrays(features.arrays())
    assert again.terms == features.terms
    np.testing.assert_array_equal(again.words(TEXTS).toarray(), features.words(TEXTS).toarray())
    np.testing.assert_array_equal(again.mean, features.mean)


def test_parts_that_do_not_fit_each_other_are_refused(features: TextFeatures) -> None:
    arrays = features.arrays()
    for name in ("term_weights", "word_directions"):
        with pytest.raises(ValueError, match="do not fit"):
            TextFeatures.of_arrays({**arrays, name: arrays[name][:-1]})


@pytest.mark.parametrize("texts", [["one"], ["..."], ["!", "?"], ["same same", "same same"]])
def test_catalogues_that_say_little(texts: list[str]) -> None:
    encoded = WordHashes()(texts)
    features = TextFeatures.fit(texts, encoded, seed=0)
    dense = features.dense(features.words(texts), encoded)
    assert dense.shape == (len(texts), features.directions.shape[1] + encoded.shape[1])
    assert np.isfinite(dense).all()


def test_unit_rows_leave_zeros() -> None:
    np.testing.assert_allclose(unit_rows([[3.0, 4.0], [0.0, 0.0]]), [[0.6, 0.8], [0.0, 0.0]])
