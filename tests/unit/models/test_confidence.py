"""Confidence: honest where there are out-of-scope texts, cautious where there are none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.confidence import ConfidenceModel, fit_confidence
from shared.evaluation.calibration import negative_log_likelihood

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
    model, _ = fit_confidence(*world(strays), votes=None)
    logits = np.tile(np.array([[8.0, 0, 0, 0, 0]]), (2, 1))
    scores = model.in_scope_scores(logits, np.array([0.85, 0.2]))
    familiar, strange = model.confidence(model.probabilities(logits, None), scores)
    assert familiar > 0.8
    assert strange < 0.5 * familiar


def test_confidence_is_calibrated_where_strays_are_known() -> None:
    model, _ = fit_confidence(*world(200), votes=None)
    logits, similarity, truth = world(200, seed=7)
    probabilities = model.probabilities(logits, None)
    sure = model.confidence(probabilities, model.in_scope_scores(logits, similarity))
    correct = probabilities.argmax(1) == truth
    for low, high in ((0.0, 0.3), (0.7, 1.01)):
        rows = (sure >= low) & (sure < high)
        assert abs(sure[rows].mean() - correct[rows].mean()) < 0.08


def test_confidences_for_choosing_thresholds_are_held_out() -> None:
    arrays = world(100)
    model, held_out = fit_confidence(*arrays, votes=None)
    logits, similarity, _ = arrays
    scores = model.in_scope_scores(logits, similarity)
    own = model.confidence(model.probabilities(logits, None), scores)
    assert held_out.shape == own.shape
    assert not np.array_equal(held_out, own)
    assert np.corrcoef(held_out, own)[0, 1] > 0.99


def test_json_and_back_changes_nothing() -> None:
    for strays in (0, 100):
        model, _ = fit_confidence(*world(strays), votes=None)
        assert ConfidenceModel.from_json(json.loads(json.dumps(model.as_json()))) == model


def votes_of(truth: np.ndarray, right: float, seed: int = 3) -> np.ndarray:
    """What neighbours say of texts: nine in ten votes for one class, mostly the true one."""
    draw = np.random.default_rng(seed)
    named = np.where(draw.random(len(truth)) < right, truth, draw.integers(0, 5, len(truth)))
    votes = np.full((len(truth), 5), 0.025)
    votes[np.arange(len(truth)), named] = 0.9
    return votes


def test_neighbours_who_know_more_are_heard() -> None:
    logits, similarity, truth = world(0)
    votes = votes_of(truth, right=0.98)
    model, _ = fit_confidence(logits, similarity, truth, votes)
    assert model.neighbour_share == 0.5
    alone, _ = fit_confidence(logits, similarity, truth, votes=None)
    later_logits, _, later = world(0, seed=7)
    heard = model.probabilities(later_logits, votes_of(later, right=0.98, seed=8))
    assert np.allclose(heard.sum(axis=1), 1.0)
    before = negative_log_likelihood(alone.probabilities(later_logits, None), later)
    assert negative_log_likelihood(heard, later) < 0.8 * before


def test_neighbours_who_know_nothing_are_not_heard() -> None:
    logits, similarity, truth = world(0)
    model, _ = fit_confidence(logits, similarity, truth, votes_of(truth, right=0.0))
    assert model.neighbour_share == 0.0
    plain, _ = fit_confidence(logits, similarity, truth, votes=None)
    assert model == plain


def test_few_validation_texts_choose_no_share() -> None:
    logits, similarity, truth = (part[:99] for part in world(0))
    model, _ = fit_confidence(logits, similarity, truth, votes_of(truth, right=1.0))
    assert model.neighbour_share == 0.0


def test_a_model_with_a_share_asks_for_votes() -> None:
    logits, similarity, truth = world(0)
    model, _ = fit_confidence(logits, similarity, truth, votes_of(truth, right=1.0))
    with pytest.raises(ValueError, match="votes"):
        model.probabilities(logits, None)


def test_a_version_from_before_votes_reads_as_it_did() -> None:
    model, _ = fit_confidence(*world(0), votes=None)
    stored = model.as_json()
    del stored["neighbour_share"]
    assert ConfidenceModel.from_json(json.loads(json.dumps(stored))) == model
