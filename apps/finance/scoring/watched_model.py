"""A sentiment model whose readings of whole stories are noted, for the comparison with later ones.

What is asked about single companies stands in a story that is noted already, and is left out: a
story counts once, however many companies it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.finance.targets import OPENING
from shared.monitoring.served_readings import ReadingRecorder


class WatchedModel:
    """The model, and a recorder that is told what it reads. All else is the model's."""

    def __init__(self, model: Any, recorder: ReadingRecorder) -> None:
        self._model = model
        self._recorder = recorder
        self._warm = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated probabilities float64 [n, classes]; the first call warms up, unnoted."""
        if not texts:
            return np.zeros((0, len(self._model.labels)))
        predictions, vectors = self._model.predict_and_embed(texts)
        if self._warm:
            for row in whole_stories(texts):
                one = predictions[row]
                self._recorder.add(
                    version=one.version,
                    label=one.label,
                    confidence=one.confidence,
                    in_scope_score=one.in_scope_score,
                    vector=vectors[row],
                )
        self._warm = True
        order = {label: column for column, label in enumerate(self._model.labels)}
        answers = np.zeros((len(texts), len(order)))
        for row, prediction in enumerate(predictions):
            for one in prediction.ranked:
                answers[row, order[one.label]] = one.probability
        return answers


def whole_stories(texts: Sequence[str]) -> list[int]:
    """The rows that are no question about a company of the text before them."""
    rows: list[int] = []
    for row, text in enumerate(texts):
        if OPENING in text or (rows and text in texts[rows[-1]]):
            continue
        rows.append(row)
    return rows
