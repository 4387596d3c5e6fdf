"""Held-out texts by a classifier and its neighbours together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models import held_out
from models.confidence import ENOUGH_TO_VOTE
from models.held_out import judge_held_out

pytestmark = pytest.mark.unit

CLASSES = 3


def drawn(count: int, seed: int) -> tuple[Any, ...]:
    """Vectors that lie by class, logits that are wrong for a third of them, and the classes."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, CLASSES, count)
    vectors = np.eye(CLASSES)[truth] + draw.normal(0, 0.3, (count, CLASSES))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    said = np.where(draw.random(count) < 1 / 3, draw.integers(0, CLASSES, count), truth)
    logits = 1.5 * np.eye(CLASSES)[said]
    return vectors.astype(np.float32), logits.astype(np.float32), truth


def judged(monkeypatch: pytest.MonkeyPatch, count: int, strays: int = 0) -> Any:
    bank, _, bank_truth = drawn(200, seed=1)
    vectors, logits, truth = drawn(count, seed=2)
    truth[:strays] = -1
    monkeypatch.setattr(held_out, "forward", lambda *_: (vectors, logits))
    found = judge_held_out(
        None,  # type: ignore[arg-type]
        ["text"] * count,
        truth,
        bank=bank,
        bank_truth=bank_truth,
    )
    return found, logits


def test_neighbours_mend_what_the_classifier_gets_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    found, logits = judged(monkeypatch, 300)
    assert found.confidence.neighbour_share > 0.2
    assert found.correct.mean() > (logits.argmax(axis=1) == found.truth).mean() + 0.1
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)
    assert found.sure.shape == (300,)


def test_few_texts_let_nobody_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    found, logits = judged(monkeypatch, ENOUGH_TO_VOTE - 1)
    assert found.confidence.neighbour_share == 0
    assert (found.probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_a_text_of_no_class_is_never_right(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = judged(monkeypatch, 300, strays=40)
    assert not found.correct[:40].any()
