"""What ingestion asks of a scorer; ``apps.finance.scoring.scorer`` is the real one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from apps.finance.records import StoryScore, StoryText


class StoryScorer(Protocol):
    """Embeds texts for near-duplicates and scores stories; safe to call from several threads."""

    @property
    def version(self) -> str | None:
        """The model version that scores; None when none is in use: ``score`` is not called then."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions] by the pre-trained encoder, whatever the version."""
        ...

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        """One score a story, in order."""
        ...
