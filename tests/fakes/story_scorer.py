"""A scorer whose words decide: ``scored`` and ``embedded`` keep what it was given."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from apps.finance.records import Mention, StoryScore, StoryText

GOOD = frozenset(("good", "gains", "rises", "beats", "wins", "jumps", "soars", "record"))
BAD = frozenset(("bad", "falls", "loses", "misses", "sinks", "fraud", "bankruptcy", "plunges"))
EVENTS: Mapping[str, str] = MappingProxyType(
    {"bankruptcy": "insolvency", "lawsuit": "lawsuit", "merger": "merger", "profit": "earnings"}
)
_WORD = re.compile(r"\w+")


class WordScorer:
    """A story is positive by GOOD words and negative by BAD ones; ``companies`` maps name to id.

    It ``fails`` on all stories, or on those with the word ``fails_on`` and what comes with them.
    A text's embedding is the sum of its words' fixed directions: texts that share most words lie
    close together.
    """

    dimensions = 64

    def __init__(
        self,
        version: str | None = "words-1",
        companies: Mapping[str, str] = MappingProxyType({}),
        *,
        fails: bool = False,
        fails_on: str | None = None,
    ) -> None:
        self.version = version
        self.companies = companies
        self.fails = fails
        self.fails_on = fails_on
        self.embedded: list[list[str]] = []
        self.scored: list[list[StoryText]] = []
        self._directions: dict[str, NDArray[np.float64]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded.append(list(texts))
        sums = np.array([self._sum(text) for text in texts]).reshape(len(texts), self.dimensions)
        return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        assert self.version is not None, "no model is in use: score is not to be called"
        self.scored.append(list(stories))
        if self.fails or any(self.fails_on in story.whole for story in stories if self.fails_on):
            raise RuntimeError("this scorer fails")
        return [self._score(story, self.version) for story in stories]

    def _score(self, story: StoryText, version: str) -> StoryScore:
        words = set(_WORD.findall(story.whole.casefold()))
        label, probabilities = _sentiment(words)
        event = next((name for word, name in EVENTS.items() if word in words), None)
        return StoryScore(
            label=label,
            probabilities=probabilities,
            reason=None,
            event=event,
            event_probability=0.9 if event else None,
            mentions=tuple(
                Mention(
                    company_id=company_id,
                    name=name,
                    sector="Industry",
                    relevance=1.0 if name in story.title else 0.5,
                    in_title=name in story.title,
                    spans=tuple(
                        found.span() for found in re.finditer(re.escape(name), story.whole)
                    ),
                    label=label,
                    probabilities=probabilities,
                )
                for name, company_id in self.companies.items()
                if name in story.whole
            ),
            version=version,
        )

    def _sum(self, text: str) -> NDArray[np.float64]:
        words = _WORD.findall(text.casefold()) or [""]
        return np.sum([self._direction(word) for word in words], axis=0)

    def _direction(self, word: str) -> NDArray[np.float64]:
        if word not in self._directions:
            seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
            generator = np.random.default_rng(seed)
            self._directions[word] = generator.normal(size=self.dimensions)
        return self._directions[word]


def _sentiment(words: set[str]) -> tuple[str, dict[str, float]]:
    balance = len(words & GOOD) - len(words & BAD)
    label = "positive" if balance > 0 else "negative" if balance < 0 else "neutral"
    probabilities = {"negative": 0.1, "neutral": 0.1, "positive": 0.1, label: 0.8}
    return label, probabilities
