"""Spans are found in a copy of equal length and replaced in the text itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text_spans import plain_digits, replace_spans

pytestmark = pytest.mark.unit


@given(st.text())
def test_the_copy_keeps_the_length(text: str) -> None:
    assert len(plain_digits(text)) == len(text)


def test_digits_of_all_scripts_become_plain() -> None:
    assert plain_digits("٤٢ ４２ ४२ ＠＋") == "42 42 42 @+"


def test_spans_are_replaced_and_overlapping_ones_once() -> None:
    assert replace_spans("abcdefgh", [(5, 6), (0, 2), (1, 3)], "_") == "_de_gh"
    assert replace_spans("abc", [], "_") == "abc"
