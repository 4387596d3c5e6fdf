from __future__ import annotations

from pathlib import Path

import pytest

from apps.finance.entities.gazetteer import Company
from apps.finance.entities.linking import CompanyLinker
from apps.finance.entities.measuring import LabelledHeadline, measure, read_headlines
from apps.finance.records import StoryText
from shared.errors import DataError, UnreadableFile

pytestmark = pytest.mark.unit

LINKER = CompanyLinker([Company("acme", "Acme"), Company("beta", "Beta")])


def headline(title: str, *companies: str) -> LabelledHeadline:
    return LabelledHeadline(1, StoryText(title), frozenset(companies), "development", False)


def test_pairs_are_counted_right_wrong_and_missed() -> None:
    headlines = [headline("Acme and Beta rise", "acme", "gamma"), headline("Beta falls", "beta")]
    measured = measure(LINKER, headlines)
    assert (measured.headlines, measured.right) == (2, 2)
    assert [(one.company_id, one.wrong) for one in measured.confusions] == [
        ("beta", True),
        ("gamma", False),
    ]
    assert measured.precision == pytest.approx(2 / 3)
    assert measured.recall == pytest.approx(2 / 3)


def test_nothing_found_and_nothing_to_find_is_perfect() -> None:
    measured = measure(LINKER, [headline("Rain in the north")])
    assert (measured.precision, measured.recall) == (1.0, 1.0)


def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.jsonl"):
        read_headlines(tmp_path / "none.jsonl")
    file = tmp_path / "some.jsonl"
    file.write_text(
        '{"id": 1, "title": "a", "text": "", "companies": [], "split": "x", "trap": true}\n{}\n'
    )
    with pytest.raises(DataError, match=r"some\.jsonl:2"):
        read_headlines(file)
