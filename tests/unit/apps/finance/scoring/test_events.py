"""The event classifier on an encoder of three words: nearest phrase, threshold, probability."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.finance.scoring.events import EVENT_TYPES, EventClassifier
from shared.finetuning.zero_shot import SCALE

pytestmark = pytest.mark.unit

DATA = Path(__file__).parents[4] / "data" / "finance_events"
WORDS = ("profit", "bank", "court", "dog")
TYPES = {"earnings": ("profit", "profit bank"), "lawsuit": ("court",)}


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """One dimension a word of WORDS, unit rows; a text without them is a dog."""
    counts = np.array(
        [[text.split().count(word) for word in WORDS] for text in texts], dtype=np.float32
    )
    counts[counts.sum(axis=1) == 0, -1] = 1.0
    return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), dtype=np.float32)


def test_the_nearest_phrase_names_the_type() -> None:
    classifier = EventClassifier(embed, types=TYPES)
    named = [event for event, _ in classifier.classify(["court", "profit bank", "bank", "dog"])]
    assert named == ["lawsuit", "earnings", "earnings", None]


def test_the_threshold_is_a_cosine() -> None:
    cosine = 2**-0.5  # "bank" lies this near to "profit bank"
    below = EventClassifier(embed, types=TYPES, no_event_similarity=cosine + 0.01)
    above = EventClassifier(embed, types=TYPES, no_event_similarity=cosine - 0.01)
    assert below.classify(["bank"])[0][0] is None
    assert above.classify(["bank"])[0][0] == "earnings"


def test_the_probability_is_that_of_the_answer() -> None:
    classifier = EventClassifier(embed, types=TYPES, no_event_similarity=0.25)
    _, probability = classifier.classify(["court"])[0]
    weights = np.exp(SCALE * np.array([0.0, 1.0, 0.25]))
    assert probability == pytest.approx(weights[1] / weights.sum(), rel=1e-5)


def test_nothing_to_classify() -> None:
    assert EventClassifier(embed, types=TYPES).classify([]) == []


def test_phrases_are_embedded_once() -> None:
    calls: list[list[str]] = []

    def counting(texts: Sequence[str]) -> NDArray[np.float32]:
        calls.append(list(texts))
        return embed(texts)

    classifier = EventClassifier(counting, types=TYPES)
    classifier.classify(["court"])
    classifier.classify(["bank", "dog"])
    assert calls == [["profit", "profit bank", "court"], ["court"], ["bank", "dog"]]


@pytest.mark.parametrize("types", [{}, {"earnings": ()}])
def test_types_without_phrases_are_refused(types: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="at least one phrase"):
        EventClassifier(embed, types=types)


def test_the_types_are_those_of_the_issue() -> None:
    assert set(EVENT_TYPES) == set(
        "earnings guidance merger lawsuit regulator rating_change management insolvency dividend "
        "product macro".split()
    )


def test_the_labelled_headlines() -> None:
    halves: dict[str, list[dict[str, str]]] = {}
    for half in ("development", "held_out"):
        with (DATA / f"{half}.csv").open(encoding="utf-8", newline="") as file:
            halves[half] = list(csv.DictReader(file))
    for rows, least in ((halves["development"], 14), (halves["held_out"], 7)):
        counts = Counter(row["event"] for row in rows)
        assert set(counts) == {*EVENT_TYPES, ""}
        assert min(counts.values()) >= least
    texts = [row["text"].casefold() for rows in halves.values() for row in rows]
    assert len(texts) == len(set(texts))
    phrases = {phrase.casefold() for described in EVENT_TYPES.values() for phrase in described}
    assert not phrases & set(texts)
