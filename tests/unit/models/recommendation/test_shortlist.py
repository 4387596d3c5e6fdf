"""The best of a large catalogue stand on the shortlist, whatever part of the score they owe it."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation import shortlist as module
from models.recommendation.shortlist import SPARE, Shortlist
from tests.fakes.vector_index_laws import in_neighbourhoods

pytestmark = pytest.mark.unit
COUNT, WANTED = 6000, 25


@pytest.mark.parametrize("scanned", [True, False])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.005])
@pytest.mark.parametrize("popular", [0.0, 2.0, 40.0])
@pytest.mark.parametrize("width", [0, 5])
def test_the_best_by_the_whole_product_are_on_it(
    scanned: bool, share: float, popular: float, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not scanned:
        monkeypatch.setattr(module, "SCANNED_UP_TO", 0)
    rng = np.random.default_rng(3)
    factors, texts = rng.standard_normal((COUNT, width)), in_neighbourhoods(COUNT, dimensions=20)
    popularity = (rng.random(COUNT) ** 9).astype(np.float32)  # most items hardly any
    mine, text = rng.standard_normal(width), rng.standard_normal(20)
    allowed = rng.random(COUNT) < share
    shortlist = Shortlist(factors, texts, popularity)
    rows = shortlist.rows(mine, text, popular, allowed=allowed, wanted=WANTED)
    scores = factors @ mine + texts @ text + popular * popularity
    best = np.flatnonzero(allowed)[np.argsort(-scores[allowed])][:WANTED]
    found = rows[np.argsort(-scores[rows])][:WANTED]
    np.testing.assert_allclose(scores[found], scores[best], atol=0 if scanned else 0.05)
    assert allowed[rows].all()
    assert len(set(rows.tolist())) == len(rows) <= 2 * WANTED + SPARE
    likely = np.flatnonzero(allowed)[np.argsort(-popularity[allowed])][:WANTED]
    assert set(likely.tolist()) <= set(rows.tolist())


def test_of_an_unknown_user_nothing_but_popularity_decides() -> None:
    popularity = (np.random.default_rng(0).random(COUNT) ** 30).astype(np.float32)
    shortlist = Shortlist(np.zeros((COUNT, 0)), in_neighbourhoods(COUNT), popularity)
    allowed = np.arange(COUNT) % 3 > 0
    rows = shortlist.rows(np.zeros(0), np.zeros(32), 0.01, allowed=allowed, wanted=500)
    best = np.flatnonzero(allowed)[np.argsort(-popularity[allowed])][:500]
    assert set(best.tolist()) <= set(rows.tolist())


def test_nothing_allowed() -> None:
    shortlist = Shortlist(np.zeros((5, 0)), np.ones((5, 2)), np.ones(5, np.float32))
    none = np.zeros(0)
    rows = shortlist.rows(none, np.ones(2), 1.0, allowed=np.zeros(5, bool), wanted=3)
    assert rows.tolist() == []
