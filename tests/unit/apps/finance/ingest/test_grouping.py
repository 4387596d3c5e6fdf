"""Which of the newcomers tell one story."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from apps.finance.ingest.grouping import NearDuplicates, Newcomer, Placement, contradict
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def place(
    *titles: str,
    apart: timedelta = timedelta(0),
    threshold: float = 0.8,
    publishers: Sequence[str] = tuple("abcdef"),
) -> list[Placement]:
    newcomers = [
        Newcomer(str(number), title, NOW + number * apart, publishers[number])
        for number, title in enumerate(titles)
    ]
    vectors = WordScorer().embed(titles)
    return NearDuplicates(threshold=threshold).place("news", newcomers, vectors)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Acme shares up 3%", "Acme shares down 3%"),
        ("Acme profit rises 20%", "Acme profit rises 12%"),
        ("Acme beats estimates", "Acme misses estimates"),
        ("Desk raises Acme to buy", "Desk cuts Acme to sell"),
    ],
)
def test_up_is_not_down_and_one_number_is_not_another(first: str, second: str) -> None:
    assert contradict(first, second)
    assert contradict(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Acme profit rises 20%", "UPDATE 1-Acme profit rises 20%"),
        ("Acme profit rises 20%", "Acme profit rises 20% to 1,200 million"),
        ("Acme to cut 1,200 jobs", "Acme will cut 1200 jobs"),
        ("Acme rises as Globex falls", "Acme rises as rival Globex falls"),
        ("Same 1 2 3", "same 1  2 3"),
    ],
)
def test_a_longer_telling_of_the_same_is_no_contradiction(first: str, second: str) -> None:
    assert not contradict(first, second)
    assert not contradict(second, first)


def test_five_tellings_are_one_story_and_another_stays_apart() -> None:
    wire = "Acme agrees to buy Globex in a cash deal worth billions"
    placed = place(wire, f"{wire} today", f"Report: {wire}", wire, f"{wire} (Ledger)", "Oil is up")
    assert [one.story_id for one in placed] == ["0", "0", "0", "0", "0", "5"]
    assert placed[0] == Placement("0", 1.0, None)
    assert placed[5].near_story_id == "0"
    assert placed[5].novelty > 0.5


def test_novelty_is_the_distance_to_the_nearest() -> None:
    titles = ("Acme opens a plant in Turin", "Acme opens a plant in the north of Turin")
    vectors = WordScorer().embed(titles)
    placed = place(*titles, threshold=1.1)
    assert placed[1].novelty == pytest.approx(1 - float(vectors[0] @ vectors[1]), abs=1e-5)
    assert placed[1].near_story_id == "0"


def test_the_same_words_after_the_window_are_a_new_story() -> None:
    assert [
        one.story_id for one in place("Week ahead", "Week ahead", apart=timedelta(hours=72))
    ] == [
        "0",
        "0",
    ]
    placed = place("Week ahead", "Week ahead", apart=timedelta(hours=73))
    assert [one.story_id for one in placed] == ["0", "1"]
    assert placed[1] == Placement("1", 1.0, None)


def test_what_contradicts_the_nearest_can_join_the_next() -> None:
    placed = place(
        "Acme shares up 3% in Paris trade now",
        "Acme shares down 3% in Paris trade now",
        "Acme shares down 3% in Paris trade",
        threshold=0.6,
    )
    assert [one.story_id for one in placed] == ["0", "1", "1"]


def test_nothing_is_placed_where_nothing_came() -> None:
    assert NearDuplicates().place("news", [], np.zeros((0, 4), np.float32)) == []


def test_one_publisher_repeats_itself_only_word_for_word() -> None:
    column, next_day = "Morning bid: oil is up and yields", "Morning bid: oil is up and away"
    by_one = place(column, next_day, column, threshold=0.7, publishers="aaa")
    assert [one.story_id for one in by_one] == ["0", "1", "0"]
    by_two = place(column, next_day, threshold=0.7, publishers="ab")
    assert [one.story_id for one in by_two] == ["0", "0"]
