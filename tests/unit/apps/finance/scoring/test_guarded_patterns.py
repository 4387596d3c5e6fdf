"""Users' patterns: whole words, refusals that say what to do, and no search without end."""

from __future__ import annotations

import time

import pytest

from apps.finance.scoring.guarded_patterns import (
    MAXIMUM_PATTERN_LENGTH,
    MAXIMUM_TEXT_LENGTH,
    TIME_LIMIT,
    GuardedPattern,
    UnsuitablePattern,
    repeats_a_repeat,
)

pytestmark = pytest.mark.unit


def test_matches_whole_words_unless_told_otherwise() -> None:
    assert not GuardedPattern("default").found_in("the defaulted loan")
    assert GuardedPattern("default").found_in("a default.")
    assert GuardedPattern("default", whole_words=False).found_in("the defaulted loan")


def test_alternatives_are_whole_words_too() -> None:
    pattern = GuardedPattern("cut|slash")
    assert not pattern.found_in("haircuts and slashing")
    assert pattern.found_in("they slash it")


def test_case() -> None:
    assert GuardedPattern("chapter 11").found_in("CHAPTER 11")
    assert not GuardedPattern("UPS", ignore_case=False).found_in("ups outlook")


def test_spans_are_those_of_the_text() -> None:
    text = "cut, then cut again"
    assert [text[start:end] for start, end in GuardedPattern("cut").spans(text)] == ["cut", "cut"]


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("(", "no regular expression"),
        ("a)(b", "no regular expression"),
        ("   ", "empty"),
        ("x*", "matches the empty text"),
        ("(a+)+b", "small bound"),
        ("x" * (MAXIMUM_PATTERN_LENGTH + 1), "shorter patterns"),
    ],
)
def test_unsuitable_patterns_are_refused_with_advice(source: str, advice: str) -> None:
    with pytest.raises(UnsuitablePattern, match=advice):
        GuardedPattern(source)


@pytest.mark.parametrize(
    "source",
    [r"(a+)+", r"(a|b*)*", r"(?:\w+\s+){2,}", r"((x+)y)*", r"(?:a{3,}b)+", r"([ab]+c)*"],
)
def test_a_repeat_inside_a_repeat_is_seen(source: str) -> None:
    assert repeats_a_repeat(source)


@pytest.mark.parametrize(
    "source",
    [r"(?:\w+ ){0,4}loss", r"(ab)+", r"a+b+", r"\(a+\)+", r"[(a+)]+", r"[]+)]*", r"(a{2})*x"],
)
def test_harmless_repeats_are_let_through(source: str) -> None:
    assert not repeats_a_repeat(source)


def test_a_pattern_that_slips_past_the_check_is_stopped_by_the_clock() -> None:
    slow = GuardedPattern(r"(?:a|aa){0,19}(?:a|aa){0,19}[b-z]", whole_words=False)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        slow.found_in("a" * 4_000)
    assert time.monotonic() - started < 20 * TIME_LIMIT


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    pattern = GuardedPattern("default")
    assert pattern.found_in(" " * (MAXIMUM_TEXT_LENGTH - 7) + "default")
    assert not pattern.found_in(" " * MAXIMUM_TEXT_LENGTH + "default")
