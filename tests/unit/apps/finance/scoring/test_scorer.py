"""What is asked of the model about each company, and what the rules make of the answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from apps.finance.entities.gazetteer import Company
from apps.finance.entities.linking import CompanyLinker
from apps.finance.records import LEAD_CHARACTERS, SENTIMENTS, StoryText
from apps.finance.scoring.guarded_patterns import GuardedPattern
from apps.finance.scoring.rule_decisions import PriorRules, Rule
from apps.finance.scoring.scorer import RememberedVectors, StoryReader, lead
from shared.errors import DataError

pytestmark = pytest.mark.unit

ORRIN = Company("orrin", "Orrin Steel", sector="Materials")
TARN = Company("tarn", "Tarn Foods", sector="Food")


class MarkedWords:
    """Says what stands right after the marked name, or anywhere where nothing is marked.

    ``asked`` keeps the texts. Columns are in an order of their own.
    """

    version = "v1"
    labels = ("positive", "negative", "neutral")

    def __init__(self, *, marks: bool = True) -> None:
        self.bank = (("[ A ] rises" if marks else "A rises", "positive"),)
        self.asked: list[str] = []

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.array([self._row(text) for text in texts])

    def _row(self, text: str) -> list[float]:
        said = text.split("] ")[1] if "] " in text else text
        if said.startswith("rises") or "rises" in said.split()[:3]:
            return [0.8, 0.1, 0.1]
        return [0.1, 0.8, 0.1] if "falls" in said else [0.1, 0.1, 0.8]


class NoEvents:
    def classify(self, texts: Sequence[str]) -> list[tuple[str | None, float]]:
        return [("earnings", 0.7) if "profit" in text else (None, 0.1) for text in texts]


def reader(model: MarkedWords, *rules: Rule) -> StoryReader:
    return StoryReader(model, CompanyLinker([ORRIN, TARN]), PriorRules(rules), NoEvents())


def pin(pattern: str, label: str) -> Rule:
    return Rule("a rule", (GuardedPattern(pattern),), label)


def test_each_company_gets_its_own_answer() -> None:
    story = StoryText("Orrin Steel rises as Tarn Foods falls")
    score = reader(MarkedWords()).score([story])[0]
    toward = {mention.company_id: mention.label for mention in score.mentions}
    assert toward == {"orrin": "positive", "tarn": "negative"}
    assert {mention.sector for mention in score.mentions} == {"Materials", "Food"}
    for mention in score.mentions:
        assert set(mention.probabilities) == set(SENTIMENTS)
        assert sum(mention.probabilities.values()) == pytest.approx(1.0)


def test_columns_are_read_by_name_and_not_by_place() -> None:
    score = reader(MarkedWords()).score([StoryText("Orrin Steel falls")])[0]
    assert score.label == "negative"
    assert score.probabilities["negative"] == pytest.approx(0.8)


def test_a_company_is_asked_about_in_the_sentence_that_names_it_first() -> None:
    model = MarkedWords()
    story = StoryText(
        "Markets are mixed today.", "Rates hold. Tarn Foods falls again. Nothing else."
    )
    reader(model).score([story])
    assert "[ Tarn Foods ] falls again." in model.asked


def test_a_model_without_marks_is_asked_without_them() -> None:
    model = MarkedWords(marks=False)
    reader(model).score([StoryText("Orrin Steel rises")])
    assert model.asked == ["Orrin Steel rises", "Orrin Steel rises"]


def test_a_rule_decides_and_is_the_reason() -> None:
    rule = pin("goes bankrupt", "negative")
    score = reader(MarkedWords(), rule).score([StoryText("Orrin Steel rises, goes bankrupt")])[0]
    assert score.label == "negative"
    assert score.reason is not None
    assert score.reason["rule"] == "a rule"
    assert score.mentions[0].label == "negative"


def test_a_rule_in_a_sentence_of_two_companies_says_nothing_of_either() -> None:
    rule = pin("goes bankrupt", "negative")
    story = StoryText("Orrin Steel rises as Tarn Foods goes bankrupt")
    score = reader(MarkedWords(), rule).score([story])[0]
    assert score.reason is not None
    assert [mention.reason for mention in score.mentions] == [None, None]


def test_events_come_with_their_probability_or_not_at_all() -> None:
    scores = reader(MarkedWords()).score([StoryText("profit up"), StoryText("weather")])
    assert (scores[0].event, scores[0].event_probability) == ("earnings", 0.7)
    assert (scores[1].event, scores[1].event_probability) == (None, None)


def test_no_stories_ask_nothing() -> None:
    model = MarkedWords()
    assert reader(model).score([]) == []
    assert model.asked == []


def test_a_model_of_other_classes_is_refused() -> None:
    model = MarkedWords()
    model.labels = ("refund", "greeting", "neutral")  # type: ignore[assignment]
    with pytest.raises(DataError, match="refund"):
        reader(model)


def test_a_long_story_is_led_by_its_first_words() -> None:
    story = StoryText("A title", "many words " * 100)
    cut = lead(story)
    assert len(cut) <= LEAD_CHARACTERS
    assert story.whole.startswith(cut)
    assert not cut.endswith("wor")


class Counting:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += texts
        return np.array([[float(len(text))] for text in texts], dtype=np.float32).reshape(-1, 1)


def test_a_text_is_embedded_once_and_the_last_ones_are_kept() -> None:
    counting = Counting()
    remembered = RememberedVectors(counting, capacity=2)
    assert remembered.embed(["a", "bb", "a"])[:, 0].tolist() == [1.0, 2.0, 1.0]
    assert remembered.embed(["bb", "a"])[:, 0].tolist() == [2.0, 1.0]
    assert counting.seen == ["a", "bb"]
    remembered.embed(["ccc", "dddd", "eeeee"])
    assert remembered.embed(["a"])[:, 0].tolist() == [1.0]
    assert counting.seen == ["a", "bb", "ccc", "dddd", "eeeee", "a"]
    assert remembered.embed([]).shape[0] == 0
