"""The gate of a runtime sees each thing that an app acts on move: class, probability, scope."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.runtime.parity import Change, compare
from models.text_predictor import Assessment

pytestmark = pytest.mark.unit

TEXTS = [str(number) for number in range(200)]
SCORES = np.linspace(-2, 2, 200)
REFERENCE: Assessment = (
    np.array([[0.9, 0.1], [0.2, 0.8]] * 100),
    SCORES,
    np.clip(0.5 + SCORES / 4, 0, 1),
)


def rows_of(reference: Assessment, texts: Sequence[str]) -> Assessment:
    """What a graph says that says what the reference does."""
    rows = [int(text) for text in texts]
    return reference[0][rows], reference[1][rows], reference[2][rows]


def steady(texts: Sequence[str]) -> Assessment:
    return rows_of(REFERENCE, texts)


def with_mates(texts: Sequence[str]) -> Assessment:
    found = steady(texts)
    return found if len(texts) == 1 else (found[0][:, ::-1], found[1], found[2])


def test_what_does_not_move_passes() -> None:
    report = compare("int8", TEXTS, REFERENCE, steady, threshold=0.5)
    assert report.accepted
    assert report.alone == Change(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    assert report.among == report.alone


def test_a_text_that_moves_with_its_mates_is_seen() -> None:
    report = compare("int8", TEXTS, REFERENCE, with_mates, threshold=0.5)
    assert not report.accepted
    assert "among other texts: 0.00%" in report.reason


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ((REFERENCE[0][:, ::-1], *REFERENCE[1:]), "have the same class"),
        ((REFERENCE[0] - 0.03, *REFERENCE[1:]), "on average"),
        ((REFERENCE[0], REFERENCE[1] + 0.2, REFERENCE[2]), "in-scope scores change by"),
        ((*REFERENCE[:2], REFERENCE[2] - 0.03), "answered or not as before"),
        ((*REFERENCE[:2], np.maximum(REFERENCE[2], 0.45)), "confidence changes by"),
    ],
)
def test_each_thing_that_an_app_acts_on_has_its_bound(reference: Assessment, told: str) -> None:
    report = compare("int8", TEXTS, reference, steady, threshold=0.5)
    assert not report.accepted
    assert "against torch" in report.reason
    assert told in report.reason
