"""What texts say of items: weighted words, and one dense vector that holds words and meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Floats]
"""Unit vectors float32 [n, d] of texts: the encoder's."""

WORD = r"(?u)\b\w+\b"
WORD_DIMENSIONS = 512

OPENING_SHARE = 0.2
"""Of a row's square, for the word that a text begins with: of many goods that is the maker."""

OFTEN = 0.05
"""Share of the texts from which a word is too common to say anything by standing first."""


class TextFeatures:
    """Words and pairs of words by tf-idf (sublinear, unit rows), and their dense form.

    A fifth of a row's square is the word it begins with, where that is one of ``openings``. Of the
    rest half are its words alone, half its words with their pairs: pairs, being rare, would else
    outweigh the words that they are made of.

    The dense form joins the words' leading ``WORD_DIMENSIONS`` singular directions with the
    encoder's vectors less their mean, each half of unit length: float32 [n, words + encoder].
    """

    def __init__(
        self,
        terms: Sequence[str],
        weights: Floats,
        openings: Sequence[str],
        directions: Floats,
        mean: Floats,
    ) -> None:
        words = sum(" " not in term for term in terms)
        if len(weights) != len(terms) or len(directions) != words + len(terms) + len(openings):
            raise ValueError("terms, weights, openings and directions do not fit each other")
        self.terms = list(terms)
        self.openings = list(openings)
        self.weights = weights
        self.directions = directions
        self.mean = mean
        self._vectorisers = _vectorisers(self.terms, weights, self.openings)

    @classmethod
    def fit(cls, texts: Sequence[str], encoded: Floats, *, seed: int) -> Self:
        """Learn words, their weights and their leading directions from a catalogue's texts.

        ``encoded`` float32 [n, d] are the texts as the encoder has them.
        """
        from sklearn.utils.extmath import randomized_svd

        terms, weights, openings = _vocabulary(texts)
        words = _weighted(_vectorisers(terms, weights, openings), texts)
        count = min(WORD_DIMENSIONS, min(words.shape) - 1)
        if count < 1:
            directions = np.zeros((words.shape[1], 1), np.float32)
        else:
            directions = randomized_svd(words, count, n_iter=3, random_state=seed)[2].T
        mean = encoded.mean(axis=0) if len(encoded) > 1 else np.zeros_like(encoded[0])
        return cls(terms, weights, openings, np.ascontiguousarray(directions, np.float32), mean)

    def words(self, texts: Sequence[str]) -> Any:
        """Weighted words, float32 CSR [n, terms]; unit rows, zero where no word is known."""
        return _weighted(self._vectorisers, texts)

    def dense(self, words: Any, encoded: Floats) -> Floats:
        """The dense form of ``words`` (as ``words`` gives them) and the encoder's vectors."""
        halves = [unit_rows(words @ self.directions), self.meanings(encoded)]
        joined: Floats = np.hstack(halves) * np.float32(2**-0.5)
        return joined

    def meanings(self, encoded: Floats) -> Floats:
        """The encoder's vectors less their mean, unit rows float32 [n, e]."""
        return unit_rows(encoded - self.mean)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that was learnt, as ``of_arrays`` takes it."""
        return {
            "terms": _as_bytes(self.terms),
            "term_weights": self.weights,
            "openings": _as_bytes(self.openings),
            "word_directions": self.directions,
            "encoder_mean": self.mean,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """From what ``arrays`` gave; bundles from before openings have none."""
        openings = _as_texts(arrays["openings"]) if "openings" in arrays else []
        return cls(
            _as_texts(arrays["terms"]),
            arrays["term_weights"],
            openings,
            arrays["word_directions"],
            arrays["encoder_mean"],
        )


def opening(text: str) -> list[str]:
    """The word that a text begins with, in small letters; none where it has no word."""
    found = re.search(WORD, text)
    return [] if found is None else [found.group().lower()]


def _vocabulary(texts: Sequence[str]) -> tuple[list[str], Floats, list[str]]:
    """Words, and pairs of words that stand in two texts, with their inverse frequencies; and the
    words that texts begin with and few hold."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    counted = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD, dtype=np.float32)
    try:
        counted.fit(texts)
    except ValueError:  # no text has a word
        return ["\x00"], np.ones(1, np.float32), []
    terms = counted.get_feature_names_out()
    alone = float(counted.idf_.max()) if len(texts) > 1 else np.inf
    kept = np.array([" " not in term for term in terms]) | (counted.idf_ < alone)
    weights = counted.idf_[kept].astype(np.float32)
    # As scikit-learn smooths it: log((1 + n) / (1 + count)) + 1.
    common = np.log((1 + len(texts)) / (1 + OFTEN * len(texts))) + 1
    rare = set(terms[counted.idf_ > common])
    first = sorted({word for text in texts for word in opening(text) if word in rare})
    return terms[kept].tolist(), weights, first


def _as_bytes(texts: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(texts, ensure_ascii=False).encode(), np.uint8)


def _as_texts(array: NDArray[np.uint8]) -> list[str]:
    found: list[str] = json.loads(array.tobytes().decode())
    return found


def _vectorisers(terms: Sequence[str], weights: Floats, openings: Sequence[str]) -> tuple[Any, ...]:
    """Of the words alone, of words and pairs, and of the word that stands first."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    def weighing(longest: int, kept: list[int]) -> Any:
        vectoriser = TfidfVectorizer(
            ngram_range=(1, longest),
            token_pattern=WORD,
            sublinear_tf=True,
            dtype=np.float32,
            vocabulary={terms[place]: number for number, place in enumerate(kept)},
        )
        vectoriser.idf_ = weights[kept]
        return vectoriser

    words = [place for place, term in enumerate(terms) if " " not in term]
    found = (weighing(1, words), weighing(2, list(range(len(terms)))))
    if not openings:
        return found
    vocabulary = {word: number for number, word in enumerate(openings)}
    return *found, CountVectorizer(analyzer=opening, vocabulary=vocabulary, dtype=np.float32)


def _weighted(vectorisers: tuple[Any, ...], texts: Sequence[str]) -> Any:
    from scipy.sparse import hstack
    from sklearn.preprocessing import normalize

    shares = np.array([(1 - OPENING_SHARE) / 2, (1 - OPENING_SHARE) / 2, OPENING_SHARE], np.float32)
    parts = [
        vectoriser.transform(list(texts)) * weight
        for vectoriser, weight in zip(vectorisers, np.sqrt(shares), strict=False)
    ]
    return normalize(hstack(parts).tocsr(), copy=False)


def unit_rows(vectors: Any) -> Floats:
    """Rows of length 1, float32 [n, d]; rows of zeros stay so."""
    matrix = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    scaled: Floats = np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0)
    return scaled
