"""Rescoring in a process of its own, slow enough to be killed in the middle.

python -m tests.fakes.rescoring_process DATABASE_URL VERSION SECONDS_A_BATCH
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from apps.finance.ingest.rescoring import Rescoring
from apps.finance.records import StoryScore, StoryText
from shared.storage.engine import open_database
from tests.fakes.story_scorer import WordScorer


class SlowScorer(WordScorer):
    """Takes its time over each batch."""

    seconds = 0.0

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        time.sleep(self.seconds)
        return super().score(stories)


def main(url: str, version: str, seconds: float) -> None:
    scorer = SlowScorer(version, {"Acme": "acme"})
    scorer.seconds = seconds
    engine = open_database(url)
    rescoring = Rescoring(engine, scorer, in_use=lambda: version, batch=8)
    while rescoring.step(datetime.now(UTC)).taken:
        pass
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
