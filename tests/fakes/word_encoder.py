"""An encoder that anyone can follow: a text is the sum of its words' fixed directions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

UNKNOWN = 1
"""The id of words in no alphabet of ASCII."""


class WordEncoder:
    """What the data doctor needs of ``TextEncoder``. ``embedded`` keeps the texts that it saw."""

    name = "words"
    dimensions = 64

    unknown_id = UNKNOWN

    def __init__(self, max_length: int = 12) -> None:
        self.max_length = max_length
        self.room = max_length - 2
        self.embedded: list[str] = []

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut at spaces, without special tokens."""
        return [
            [2 + len(word) if word.isascii() else UNKNOWN for word in text.split()]
            for text in texts
        ]

    def embed(
        self, texts: Sequence[str], *, hardware: Any = None, report: Any = None
    ) -> np.ndarray:
        self.embedded += texts
        vectors = np.array([self._sum(text) for text in texts], dtype=np.float32)
        if report is not None:
            report.advance(len(texts))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _sum(self, text: str) -> np.ndarray:
        return np.sum([self._direction(word) for word in text.casefold().split()], axis=0)

    def _direction(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
        return np.random.default_rng(seed).normal(size=self.dimensions)
