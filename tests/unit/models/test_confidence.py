"""Confidence: honest where there are out-of-scope texts, cautious where there are none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.confidence import ConfidenceModel, fit_confidence

pytestmark = pytest.mark.unit


def world(strays: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, similarity and truth of 400 in-scope texts (9 in 10 right) and some strays."""
    draw = np.random.default_rng(seed)
    n = 400
    truth = draw.integers(0, 5, n)
    logits = draw.normal(size=(n + strays, 5))
    shown = np.where(draw.random(n) < 0.9, truth, (truth + 1) % 5)
    logits[np.arange(n), shown] += draw.uniform(3, 9, n)
    logits[np.arange(n, n + strays), draw.integers(0, 5, strays)] += draw.uniform(2, 7, strays)
    similarity = np.concatenate([draw.normal(0.8, 0.1, n), draw.normal(0.4, 0.1, strays)])
    return logits, similarity, np.concatenate([truth, np.full(strays, -1)])


@pytest.mark.parametrize("strays", [0, 100])
def test_unfamiliar_texts_are_trusted_less(strays: int) -> None:
    model, _ = fit_confidence(*world(strays))
    logits = np.tile(np.array([[8.0, 0, 0, 0, 0]]), (2, 1))
    scores = model.in_scope_scores(logits, np.array([0.85, 0.2]))
    familiar, strange = model.confidence(model.probabilities(logits), scores)
    assert familiar > 0.8
    assert strange < 0.5 * familiar


def test_confidence_is_calibrated_where_strays_are_known() -> None:
    model, _ = fit_confidence(*world(200))
    logits, similarity, truth = world(200, seed=7)
    probabilities = model.probabilities(logits)
    sure = model.confidence(probabilities, model.in_scope_scores(logits, similarity))
    correct = probabilities.argmax(1) == truth
    for low, high in ((0.0, 0.3), (0.7, 1.01)):
        rows = (sure >= low) & (sure < high)
        assert abs(sure[rows].mean() - correct[rows].mean()) < 0.08


def test_confidences_for_choosing_thresholds_are_held_out() -> None:
    arrays = world(100)
    model, held_out = fit_confidence(*arrays)
    logits, similarity, _ = arrays
    own = model.confidence(model.probabilities(logits), model.in_scope_scores(logits, similarity))
    assert held_out.shape == own.shape
    assert not np.array_equal(held_out, own)
    assert np.corrcoef(held_out, own)[0, 1] > 0.99


def test_json_and_back_changes_nothing() -> None:
    for strays in (0, 100):
        model, _ = fit_confidence(*world(strays))
        assert ConfidenceModel.from_json(json.loads(json.dumps(model.as_json()))) == model
