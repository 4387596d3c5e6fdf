"""What is popular of late."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.histories import Histories

HALF_LIFE_DAYS = 30.0
DAY = 86_400.0


def recent_popularity(
    histories: Histories, *, half_life_days: float = HALF_LIFE_DAYS
) -> NDArray[np.float32]:
    """Each item's events that speak for it, halved in worth every ``half_life_days`` before the
    newest, divided by the greatest sum: float32 [items] in [0, 1]. Without times all count alike.
    """
    liked = histories.strengths > 0
    worth = np.ones(int(liked.sum()))
    if histories.timed and len(worth):
        age = (histories.times.max() - histories.times[liked]) / DAY
        worth = np.exp2(-age / half_life_days)
    summed = np.bincount(histories.rows[liked], worth, minlength=histories.items)
    greatest = summed.max(initial=0.0)
    return (summed / greatest if greatest > 0 else summed).astype(np.float32)
