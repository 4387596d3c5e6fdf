"""A predictor that anyone can follow: the words of a text vote for the intents they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from shared.records import LabelScore, Neighbour, Prediction

SHOP_WORDS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "cancel_order": {"cancel": 4.0},
        "change_address": {"address": 4.0, "parcel": 2.0},
        "refund": {"refund": 4.0, "money": 3.0},
        "talk_to_person": {"human": 5.0, "person": 4.0},
        "track_order": {"track": 4.0, "where": 3.0, "parcel": 2.0},
    }
)
"""One strong word makes an intent sure; "parcel" alone lies between two intents."""


class KeywordPredictor:
    """Each word adds its weight to its intents; probabilities are a softmax of the sums.

    Confidence is the best probability, or 0 where no word is known (out of scope). An embedding
    counts the words of each intent, plus one place for unknown words, scaled to length 1.
    ``calls`` keeps the texts of each prediction.
    """

    def __init__(
        self,
        words: Mapping[str, Mapping[str, float]] = SHOP_WORDS,
        *,
        version: str = "20260101T000000Z-aaaaaaaa",
        answer_threshold: float = 0.8,
        card: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.words = {label: dict(weights) for label, weights in words.items()}
        self.labels = tuple(sorted(self.words))
        self.version = version
        self.answer_threshold = answer_threshold
        self.target_error = 0.02
        self.card = card
        self.calls: list[list[str]] = []

    def _sums(self, text: str) -> np.ndarray:
        told = text.casefold().replace("?", " ").replace(",", " ").split()
        return np.array(
            [sum(self.words[label].get(word, 0.0) for word in told) for label in self.labels]
        )

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        sums = np.stack([self._sums(text) for text in texts])
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.calls.append(list(texts))
        predictions = []
        for text, row in zip(texts, self.probabilities(texts), strict=True):
            order = np.argsort(-row, kind="stable")
            ranked = tuple(LabelScore(self.labels[one], float(row[one])) for one in order)
            in_scope = float(self._sums(text).max())
            confidence = ranked[0].probability if in_scope > 0 else 0.0
            predictions.append(Prediction(ranked, in_scope, confidence, self.version))
        return predictions

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = []
        for text in texts:
            sums = self._sums(text)
            row = np.append(sums, 0.0 if sums.any() else 1.0)
            rows.append(row / np.linalg.norm(row))
        return np.array(rows, dtype=np.float32)

    def predict_and_embed(self, texts: Sequence[str]) -> tuple[list[Prediction], np.ndarray]:
        return self.predict(texts), self.embed(texts)

    def neighbours(self, texts: Sequence[str], k: int = 5) -> list[list[Neighbour]]:
        found = []
        for text in texts:
            sums = self._sums(text)
            order = np.argsort(-sums, kind="stable")[:k]
            total = float(np.linalg.norm(sums)) or 1.0
            found.append(
                [
                    Neighbour(
                        " ".join(self.words[self.labels[one]]),
                        self.labels[one],
                        float(sums[one]) / total,
                    )
                    for one in order
                ]
            )
        return found
