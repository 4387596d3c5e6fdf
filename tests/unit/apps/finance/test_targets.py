from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance.targets import mark, mark_name, unmark

pytestmark = pytest.mark.unit


def test_each_span_stands_in_brackets() -> None:
    assert mark("Orrin beats Tarn", [(12, 16), (0, 5)]) == "[ Orrin ] beats [ Tarn ]"


def test_brackets_of_the_text_are_no_marks() -> None:
    assert mark("[Update] Orrin", [(9, 14)]) == "(Update) [ Orrin ]"
    assert mark("[Update] Orrin", []) == "(Update) Orrin"


@pytest.mark.parametrize("spans", [[(0, 3), (2, 5)], [(3, 3)], [(-1, 2)], [(0, 99)]])
def test_spans_that_overlap_or_leave_the_text_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="span"):
        mark("a short text", spans)


def test_every_whole_word_of_the_name_is_marked_in_any_case() -> None:
    assert mark_name("Tarn up, TARN steady", "Tarn") == "[ Tarn ] up, [ TARN ] steady"


def test_a_possessive_that_lost_its_apostrophe_is_found() -> None:
    assert mark_name("Tarns rights issue", "Tarn") == "[ Tarn ]s rights issue"


def test_a_name_that_is_not_there_marks_nothing() -> None:
    assert mark_name("all quiet", "Tarn") is None


@given(st.text(max_size=40), st.integers(0, 39), st.integers(1, 10))
def test_the_words_stay_as_they_were(text: str, start: int, length: int) -> None:
    end = min(len(text), start + length)
    if start >= end:
        return
    marked = mark(text, [(start, end)])
    plain = text.replace("[", "(").replace("]", ")")
    assert unmark(marked) == plain
