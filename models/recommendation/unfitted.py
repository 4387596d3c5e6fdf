"""``ItemScorer`` of a catalogue of which only the texts are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.recommendation.bundle_scorer import BundleScorer
from models.recommendation.fitting import text_only
from models.recommendation.recommender import Blend
from models.recommendation.text_features import Encode
from shared.catalogue import CatalogueItem

BY_TEXT = Blend(decay=0.8, text=1.0, new_text=1.0, popular=0.01)
"""Where nothing is fitted yet."""


def unfitted_scorer(items: Sequence[CatalogueItem], encode: Encode) -> BundleScorer:
    """The scorer of a catalogue without behaviour: by texts, all items equally popular."""
    space, texts = text_only(items, encode)
    count = len(items)
    return BundleScorer(
        "",
        tuple(item.id for item in items),
        tuple(item.whole for item in items),
        None,
        space,
        texts,
        np.zeros(count, bool),
        np.zeros(count, np.float32),
        BY_TEXT,
        encode,
    )
