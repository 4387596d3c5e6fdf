"""Item texts of given words and meanings, where a test wants to say which."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommendation.item_texts import ItemTexts

Floats = NDArray[np.float32]


def item_texts_of(words: Any, encoded: Floats) -> ItemTexts:
    """Of ``words`` (CSR [n, terms], also dense) and ``encoded`` float32 [n, e], unit rows both; a
    history holds and offers the encoder's vectors as they are."""
    dense = np.hstack([words.toarray(), encoded]).astype(np.float32) * np.float32(2**-0.5)
    return ItemTexts(words, encoded, dense, encoded, encoded)
