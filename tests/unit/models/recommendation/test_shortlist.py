"""The best of a large catalogue stand on the shortlist, whatever part of the score they owe it."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation.shortlist import Shortlist

pytestmark = pytest.mark.unit
COUNT, WANTED = 3000, 25


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.005])
@pytest.mark.parametrize("popular", [0.0, 2.0, 40.0])
@pytest.mark.parametrize("width", [0, 5])
def test_the_best_by_the_whole_product_are_on_it(share: float, popular: float, width: int) -> None:
    rng = np.random.default_rng(3)
    factors, texts = rng.standard_normal((COUNT, width)), rng.standard_normal((COUNT, 4))
    popularity = rng.random(COUNT).astype(np.float32)
    mine, text = rng.standard_normal(width), rng.standard_normal(4)
    allowed = rng.random(COUNT) < share
    shortlist = Shortlist(factors, texts, popularity)
    rows = shortlist.rows(mine, text, popular, allowed=allowed, wanted=WANTED)
    scores = factors @ mine + texts @ text + popular * popularity
    best = np.flatnonzero(allowed)[np.argsort(-scores[allowed])][:WANTED]
    assert set(best.tolist()) <= set(rows.tolist())
    assert allowed[rows].all()
    assert len(rows) <= 2 * WANTED
    likely = np.flatnonzero(allowed)[np.argsort(-popularity[allowed])][:WANTED]
    assert set(likely.tolist()) <= set(rows.tolist())


def test_nothing_allowed() -> None:
    shortlist = Shortlist(np.zeros((5, 0)), np.ones((5, 2)), np.ones(5, np.float32))
    none = np.zeros(0)
    rows = shortlist.rows(none, np.ones(2), 1.0, allowed=np.zeros(5, bool), wanted=3)
    assert rows.tolist() == []
