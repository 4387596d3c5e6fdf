"""What texts say of items: weighted words, and one dense vector that holds words and meaning."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Floats]
"""Unit vectors float32 [n, d] of texts: the encoder's."""

WORD = r"(?u)\b\w+\b"
WORD_DIMENSIONS = 256


class TextFeatures:
    """Words and pairs of words by tf-idf (sublinear, unit rows), and their dense form.

    Half of a row's square are its words alone, half its words with their pairs: pairs, being rare,
    would else outweigh the words that they are made of.

    The dense form joins the words' leading ``WORD_DIMENSIONS`` singular directions with the
    encoder's vectors less their mean, each half of unit length: float32 [n, words + encoder].
    """

    def __init__(
        self, terms: Sequence[str], weights: Floats, directions: Floats, mean: Floats
    ) -> None:
        words = sum(" " not in term for term in terms)
        if len(weights) != len(terms) or len(directions) != words + len(terms):
            raise ValueError("terms, weights and directions do not fit each other")
        self.terms = list(terms)
        self.weights = weights
        self.directions = directions
        self.mean = mean
        self._vectorisers = _vectorisers(self.terms, weights)

    @classmethod
    def fit(cls, texts: Sequence[str], encoded: Floats, *, seed: int) -> Self:
        """Learn words, their weights and their leading directions from a catalogue's texts.

        ``encoded`` float32 [n, d] are the texts as the encoder has them.
        """
        from sklearn.utils.extmath import randomized_svd

        terms, weights = _vocabulary(texts)
        words = _weighted(_vectorisers(terms, weights), texts)
        count = min(WORD_DIMENSIONS, min(words.shape) - 1)
        if count < 1:
            directions = np.zeros((words.shape[1], 1), np.float32)
        else:
            directions = randomized_svd(words, count, n_iter=3, random_state=seed)[2].T
        mean = encoded.mean(axis=0) if len(encoded) > 1 else np.zeros_like(encoded[0])
        return cls(terms, weights, np.ascontiguousarray(directions, np.float32), mean)

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
        text = json.dumps(self.terms, ensure_ascii=False).encode()
        return {
            "terms": np.frombuffer(text, np.uint8),
            "term_weights": self.weights,
            "word_directions": self.directions,
            "encoder_mean": self.mean,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """From what ``arrays`` gave."""
        terms = json.loads(arrays["terms"].tobytes().decode())
        return cls(terms, arrays["term_weights"], arrays["word_directions"], arrays["encoder_mean"])


def _vocabulary(texts: Sequence[str]) -> tuple[list[str], Floats]:
    """Words, and pairs of words that stand in two texts, with their inverse frequencies."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    counted = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD, dtype=np.float32)
    try:
        counted.fit(texts)
    except ValueError:  # no text has a word
        return ["\x00"], np.ones(1, np.float32)
    terms = counted.get_feature_names_out()
    alone = float(counted.idf_.max()) if len(texts) > 1 else np.inf
    kept = np.array([" " not in term for term in terms]) | (counted.idf_ < alone)
    return terms[kept].tolist(), counted.idf_[kept].astype(np.float32)


def _vectorisers(terms: Sequence[str], weights: Floats) -> tuple[Any, Any]:
    """Of the words alone, and of words and pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

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
    return weighing(1, words), weighing(2, list(range(len(terms))))


def _weighted(vectorisers: tuple[Any, Any], texts: Sequence[str]) -> Any:
    from scipy.sparse import hstack

    halves = [vectoriser.transform(list(texts)) for vectoriser in vectorisers]
    return (hstack(halves) * np.float32(2**-0.5)).tocsr()


def unit_rows(vectors: Any) -> Floats:
    """Rows of length 1, float32 [n, d]; rows of zeros stay so."""
    matrix = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    scaled: Floats = np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0)
    return scaled
