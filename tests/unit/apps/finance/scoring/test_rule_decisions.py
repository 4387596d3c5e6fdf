"""What rules make of probabilities: pins, raises, silence and contradiction."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance.records import SENTIMENTS
from apps.finance.scoring.guarded_patterns import GuardedPattern
from apps.finance.scoring.rule_decisions import PriorRules, Rule, pinned, sentence_around

pytestmark = pytest.mark.unit

EVEN = {"negative": 0.3, "neutral": 0.4, "positive": 0.3}


def rule(name: str, pattern: str, label: str, **how: object) -> Rule:
    for key in ("unless", "unless_before"):
        how[key] = tuple(GuardedPattern(one) for one in how.get(key, ()))  # type: ignore[attr-defined]
    return Rule(name, (GuardedPattern(pattern),), label, **how)  # type: ignore[arg-type]


def test_a_pin_sets_the_probability_and_gives_its_reason() -> None:
    rules = PriorRules((rule("fraud", "charged with fraud", "negative", probability=0.9),))
    result, reason = rules.apply("Boss Charged With Fraud", EVEN)
    assert result == pytest.approx({"negative": 0.9, "neutral": 0.4 / 7, "positive": 0.3 / 7})
    assert reason == {
        "kind": "rule",
        "rule": "fraud",
        "pattern": "charged with fraud",
        "text": "Charged With Fraud",
        "effect": "pin",
    }


def test_a_pin_never_makes_a_sure_model_less_sure() -> None:
    sure = {"negative": 0.995, "neutral": 0.004, "positive": 0.001}
    assert pinned(sure, "negative", 0.9) == pytest.approx(sure)


def test_no_rule_no_change() -> None:
    rules = PriorRules((rule("fraud", "fraud", "negative"),))
    assert rules.apply("Profit rises", EVEN) == (EVEN, None)


def test_pins_that_contradict_one_another_decide_nothing() -> None:
    rules = PriorRules((rule("bad", "bankrupt", "negative"), rule("good", "record", "positive")))
    assert rules.apply("Rival bankrupt, record year here", EVEN) == (EVEN, None)


def test_the_strongest_of_agreeing_pins_is_the_reason() -> None:
    rules = PriorRules(
        (
            rule("weak", "fraud", "negative", probability=0.8),
            rule("strong", "bankrupt", "negative", probability=0.95),
        )
    )
    result, reason = rules.apply("fraud, then bankrupt", EVEN)
    assert result["negative"] == pytest.approx(0.95)
    assert reason is not None
    assert reason["rule"] == "strong"


def test_a_raise_multiplies_the_odds() -> None:
    rules = PriorRules((rule("buyback", "buyback", "positive", effect="raise", factor=4.0),))
    result, reason = rules.apply("New buyback", EVEN)
    odds = result["positive"] / (1 - result["positive"])
    assert odds == pytest.approx(4.0 * 0.3 / 0.7)
    assert reason is not None
    assert reason["effect"] == "raise"


def test_a_raise_that_does_not_decide_is_no_reason() -> None:
    rules = PriorRules((rule("buyback", "buyback", "positive", effect="raise", factor=1.5),))
    result, reason = rules.apply(
        "Loss and buyback", {"negative": 0.9, "neutral": 0.05, "positive": 0.05}
    )
    assert result["positive"] > 0.05
    assert reason is None


def test_unless_looks_at_the_sentence_only() -> None:
    one = rule("recall", "recalls", "negative", unless=["workers"])
    assert one.match("Maker recalls workers") is None
    assert one.match("Workers strike. Maker recalls cars") is not None


def test_unless_before_looks_at_five_words_before_only() -> None:
    one = rule("cut", "cuts guidance", "negative", unless_before=["not"])
    assert one.match("It is not the firm that cuts guidance") is None
    assert one.match("Not a good day for anybody in the trade: firm cuts guidance") is not None
    assert one.match("Firm cuts guidance, not jobs") is not None


def test_a_silenced_place_does_not_hide_a_later_one() -> None:
    one = rule("cut", "cuts guidance", "negative", unless_before=["never"])
    text = "She never cuts guidance. Today she cuts guidance"
    match = one.match(text)
    assert match is not None
    assert match.start == text.rindex("cuts guidance")


def test_a_rule_out_of_time_is_not_found_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    slow = GuardedPattern(r"(?:a|aa){0,19}(?:a|aa){0,19}[b-z]", whole_words=False)
    with caplog.at_level(logging.WARNING):
        assert Rule("slow", (slow,), "negative").match("a" * 4_000) is None
    assert "'slow' ran out of time" in caplog.text


def test_abbreviations_do_not_end_a_sentence() -> None:
    text = "First. Hertz Inc. files papers. Last"
    start = text.index("files")
    first, last = sentence_around(text, start, start + 5)
    assert text[first:last].strip() == "Hertz Inc. files papers."


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "bad"},
        {"probability": 0.5},
        {"probability": 1.0},
        {"factor": 1.0},
        {"name": ""},
        {"patterns": ()},
    ],
)
def test_wrong_rules_are_refused(wrong: dict[str, object]) -> None:
    right = {"name": "one", "patterns": (GuardedPattern("x"),), "label": "neutral"}
    with pytest.raises(ValueError):
        Rule(**{**right, **wrong})  # type: ignore[arg-type]


probabilities = st.tuples(*[st.floats(0.0, 1.0)] * 3).filter(lambda p: sum(p) > 1e-3)


@given(probabilities, st.sampled_from(SENTIMENTS), st.sampled_from(["pin", "raise"]))
def test_the_answer_is_a_distribution_that_favours_the_label_more(
    weights: tuple[float, float, float], label: str, effect: str
) -> None:
    before = {name: w / sum(weights) for name, w in zip(SENTIMENTS, weights, strict=True)}
    after, _ = PriorRules((rule("one", "word", label, effect=effect),)).apply("word", before)
    assert sum(after.values()) == pytest.approx(1.0)
    assert list(after) == list(before)
    assert after[label] >= before[label] - 1e-12
