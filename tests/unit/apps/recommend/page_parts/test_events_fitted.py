"""How many events the last fit was made of, by whatever made it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.recommend.page_parts.bundle_controls import events_fitted
from shared.api.recommend_operations import Bundles, BundleShape, RefitShape

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bundle(card: dict[str, Any]) -> BundleShape:
    return BundleShape(
        version="b", created_at=NOW, in_use=True, method="sequence_linear", synthetic=False,
        metrics={}, card=card,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at_refit", "cards", "fitted"),
    [
        (0, [{"data": {"events": 900}}, {"data": {"events": 500}}], 900),
        (950, [{"data": {"events": 900}}], 950),
        (0, [{"data": {}}], 0),
        (0, [{}], 0),
        (20, [], 20),
    ],
)
def test_a_training_counts_as_a_fit(
    at_refit: int, cards: list[dict[str, Any]], fitted: int
) -> None:
    refit = RefitShape(state="idle", events_at_refit=at_refit, events_now=1000)
    found = Bundles(bundles=[bundle(card) for card in cards], promotions=[], refit=refit)
    assert events_fitted(found) == fitted
