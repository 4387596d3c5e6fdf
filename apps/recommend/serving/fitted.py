"""What scores: a bundle's files with the encoder that reads new items, or texts alone.

The encoder is loaded once, when a text first needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.recommend.serving.live import Load, Unfitted
from models.recommendation.scoring import ItemScorer
from shared.catalogue import CatalogueItem
from shared.serving.batching.micro_batcher import BatchObserver
from shared.serving.batching.rows import BatchedRows
from shared.settings import Settings

if TYPE_CHECKING:
    from models.registry import ModelRegistry, ModelVersion


class Encoding:
    """A pre-trained encoder, the installation's unless another is named; safe between threads.

    Searches that come side by side are read in one batch. ``observer`` may be set later.
    """

    def __init__(self, settings: Settings, source: str | None = None) -> None:
        self._settings = settings
        self._source = source or settings.encoder
        self.observer: BatchObserver | None = None
        self._rows = BatchedRows(self._embed, observer=self)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, float32 [n, dimensions]."""
        return self._rows(texts)

    @property
    def waiting(self) -> int:
        """Texts that wait for the encoder now."""
        return self._rows.waiting

    def batch(self, waited: Sequence[float], inference_seconds: float) -> None:
        """Tell ``observer`` of a batch, where there is one."""
        if self.observer is not None:
            self.observer.batch(waited, inference_seconds)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from models.runtime.serving import shared_encoder

        return shared_encoder(self._settings, self._source).embed(texts)


def loaded_bundle(settings: Settings, registry: ModelRegistry, encoding: Encoding) -> Load:
    """Reads bundles, once their files agree with their manifest.

    New items and searches are read by the encoder that read the bundle's texts: its own where it
    was fine-tuned, another than the installation's where the card says so.
    """

    def load(version: ModelVersion) -> ItemScorer:
        from models.encoder_files import DEFAULT_ENCODER
        from models.recommendation.bundle import ENCODER
        from models.recommendation.bundle_scorer import BundleScorer

        registry.verify(version)
        own = version.folder / ENCODER
        name = str(own) if own.is_dir() else str(version.card["encoder"])
        same = name == (settings.encoder or DEFAULT_ENCODER)
        return BundleScorer.load(version, encoding if same else Encoding(settings, name))

    return load


def unfitted(encoding: Encoding) -> Unfitted:
    """Scores by texts alone."""

    def score(items: Sequence[CatalogueItem]) -> ItemScorer:
        from models.recommendation.unfitted import unfitted_scorer

        return unfitted_scorer(items, encoding)

    return score
