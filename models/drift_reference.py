"""What a version is compared with: its own validation texts, read by itself.

Not its training texts: an encoder that was fitted on them gives them tighter vectors and surer
answers than any text it meets later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.registry import ModelRegistry, ModelVersion
from models.version_content import read_examples
from shared.monitoring.drift import MOST_COMPARED, ReadingWindow
from shared.records import Prediction
from shared.settings import Settings

BATCH = 64


class Reader(Protocol):
    """A version, loaded."""

    def predict_and_embed(
        self, texts: Sequence[str]
    ) -> tuple[list[Prediction], NDArray[np.float32]]:
        """Predictions and unit vectors in one pass."""
        ...


def reference_of(
    registry: ModelRegistry, version: ModelVersion, settings: Settings, *, seed: int = 0
) -> ReadingWindow:
    """Readings of at most MOST_COMPARED validation texts that are in scope.

    They are computed as the version is served. Takes seconds. Raises ManifestMismatch.
    """
    texts = [one.text for one in read_examples(version.folder / "validation.jsonl") if one.in_scope]
    if len(texts) > MOST_COMPARED:
        chosen = np.random.default_rng(seed).choice(len(texts), MOST_COMPARED, replace=False)
        texts = [texts[row] for row in sorted(chosen)]
    return window_of(read_texts(registry, version, settings), texts)


def read_texts(registry: ModelRegistry, version: ModelVersion, settings: Settings) -> Reader:
    """The version as it is served."""
    from models.runtime.serving import load_predictor

    return load_predictor(registry, version, settings)


def window_of(reader: Reader, texts: Sequence[str]) -> ReadingWindow:
    """The readings of texts, their vectors as exact as the ring keeps them."""
    predictions: list[Prediction] = []
    vectors: list[NDArray[np.float32]] = []
    for start in range(0, len(texts), BATCH):
        some, found = reader.predict_and_embed(list(texts[start : start + BATCH]))
        predictions += some
        vectors.append(found.astype(np.float16).astype(np.float32))
    return ReadingWindow(
        np.concatenate(vectors) if vectors else np.zeros((0, 0), dtype=np.float32),
        tuple(one.label for one in predictions),
        np.array([one.confidence for one in predictions], dtype=np.float64),
        np.array([one.in_scope_score for one in predictions], dtype=np.float64),
    )
