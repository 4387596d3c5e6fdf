"""What scores: a bundle's files with the encoder that reads new items, or texts alone.

The encoder is loaded once, when a text first needs it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.recommend.serving.live import Load, Unfitted
from models.recommendation.scoring import ItemScorer
from shared.catalogue import CatalogueItem
from shared.settings import Settings

if TYPE_CHECKING:
    from models.encoder import TextEncoder
    from models.registry import ModelRegistry, ModelVersion
    from shared.finetuning.hardware import Hardware


class Encoding:
    """The installation's pre-trained encoder; safe between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._loaded: tuple[TextEncoder, Hardware] | None = None

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, float32 [n, dimensions]."""
        encoder, hardware = self._encoder()
        return encoder.embed(texts, hardware=hardware)

    def _encoder(self) -> tuple[TextEncoder, Hardware]:
        with self._lock:
            if self._loaded is None:
                from models.encoder import TextEncoder
                from shared.finetuning.hardware import choose_hardware

                hardware = choose_hardware(self._settings.device)
                encoder = TextEncoder.load(self._settings.encoder).to(hardware.device)
                self._loaded = (encoder, hardware)
            return self._loaded


def loaded_bundle(registry: ModelRegistry, encoding: Encoding) -> Load:
    """Reads bundles, once their files agree with their manifest."""

    def load(version: ModelVersion) -> ItemScorer:
        from models.recommendation.bundle_scorer import BundleScorer

        registry.verify(version)
        return BundleScorer.load(version, encoding)

    return load


def unfitted(encoding: Encoding) -> Unfitted:
    """Scores by texts alone."""

    def score(items: Sequence[CatalogueItem]) -> ItemScorer:
        from models.recommendation.bundle_scorer import unfitted_scorer

        return unfitted_scorer(items, encoding)

    return score
