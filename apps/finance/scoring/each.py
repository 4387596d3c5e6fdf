"""Scores of stories on one of which the scorer may fail: the others get theirs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from apps.finance.records import StoryScore, StoryText
from apps.finance.scoring.protocol import StoryScorer

log = logging.getLogger(__name__)

MOST_FAILURES = 3
"""Stories alone that it fails on before it is taken to fail on all that are left."""


def score_each(scorer: StoryScorer, stories: Sequence[StoryText]) -> list[StoryScore | None]:
    """A score a story, in order; None, and a line in the log, where the scorer fails.

    Stories are halved until the one that fails is alone: of n that costs 2 log2(n) calls more.
    """
    scores: list[StoryScore | None] = [None] * len(stories)
    failures = 0
    left = [(0, len(stories))] if stories else []
    while left and failures < MOST_FAILURES:
        start, end = left.pop()
        try:
            scores[start:end] = scorer.score(stories[start:end])
        except Exception:
            if end - start == 1:
                failures += 1
                log.exception("a story cannot be scored: %.80r", stories[start].title)
            else:
                middle = (start + end) // 2
                left += [(middle, end), (start, middle)]
    if left:
        count = sum(end - start for start, end in left)
        log.error("%d stories are left without a score: the scorer fails on each", count)
    return scores
