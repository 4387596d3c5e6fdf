from __future__ import annotations

import pytest
import torch

from models.target_marks import TargetMarks

pytestmark = pytest.mark.unit

MARKS = TargetMarks(opening=(7,), closing=(8,))


def inside(*ids: int, padding: int = 0) -> list[int]:
    row = torch.tensor([[*ids, *[0] * padding]])
    mask = torch.tensor([[1] * len(ids) + [0] * padding])
    return MARKS.inside(row, mask)[0].int().tolist()


def test_the_tokens_between_brackets_and_the_brackets_are_inside() -> None:
    assert inside(1, 7, 5, 5, 8, 2) == [0, 1, 1, 1, 1, 0]


def test_several_spans_are_inside() -> None:
    assert inside(7, 5, 8, 3, 7, 5, 8) == [1, 1, 1, 0, 1, 1, 1]


def test_without_marks_nothing_is_inside() -> None:
    assert inside(1, 2, 3) == [0, 0, 0]


def test_a_text_that_was_cut_is_marked_to_its_end_and_no_further() -> None:
    assert inside(1, 7, 5, 5, padding=2) == [0, 1, 1, 1, 0, 0]


def test_a_closing_bracket_alone_marks_nothing() -> None:
    assert inside(1, 8, 5) == [0, 0, 0]
