"""The page of a search needs nothing else and says what won."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.evaluation.search_report import render_search_report, write_search_report
from shared.finetuning.search import Score, SearchResult, TrialRecord

pytestmark = pytest.mark.unit

TRIALS = (
    TrialRecord(0, "done", {"method": "head"}, Score(0.9, 0.3), (), 2.0),
    TrialRecord(
        1, "done", {"method": "full", "learning_rate": 2e-4}, Score(0.9375, 0.2), (0.7, 0.9), 9.0
    ),
    TrialRecord(2, "pruned", {"method": "full", "learning_rate": 9e-4}, None, (0.31,), 4.0),
    TrialRecord(3, "failed", {"method": "full"}, None, (), 1.0, "the loss became <nan>"),
)


def test_the_page_shows_every_trial_and_the_line() -> None:
    page = render_search_report(
        SearchResult(TRIALS, 16.0), title="support", command="triptych train support --data a&b"
    )
    assert page.count("<svg") == 3
    assert "93.75\u202f%" in page
    assert "triptych train support --data a&amp;b" in page
    assert "the loss became &lt;nan&gt;" in page
    assert page.count("<tr>") == 1 + len(TRIALS)


def test_the_page_loads_nothing() -> None:
    page = render_search_report(SearchResult(TRIALS, 16.0), title="t", command="c")
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)
    assert "<script" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")


@pytest.mark.parametrize("trials", [TRIALS[:1], TRIALS[2:], TRIALS[3:]])
def test_few_trials_make_a_page_too(trials: tuple[TrialRecord, ...], tmp_path: Path) -> None:
    path = tmp_path / "runs" / "search.html"
    write_search_report(path, SearchResult(trials, 1.0), title="t", command="c")
    assert "<svg" in path.read_text()
