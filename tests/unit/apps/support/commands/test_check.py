"""How the check reads on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from apps.support.commands.check import MOST_SHOWN, print_report
from shared.api.support import CheckFinding, CheckReport

pytestmark = pytest.mark.unit


def printed(*findings: CheckFinding, width: int = 100) -> str:
    stream = io.StringIO()
    report = CheckReport(
        rows=1_881,
        rejected=2,
        classes=28,
        warnings=sum(finding.severity == "warning" for finding in findings),
        findings=list(findings),
        seconds=1.25,
    )
    print_report(Console(file=stream, width=width), "shop.csv", report)
    return stream.getvalue()


def test_counts_and_findings_by_kind() -> None:
    text = printed(
        CheckFinding(
            kind="tiny_class", severity="warning", message="refund has 2 examples", rows=[4, 9]
        ),
        CheckFinding(kind="duplicate", severity="info", message="1 row repeats", rows=[5]),
    )
    assert "shop.csv: 1,881 rows, 2 rejected, 28 classes" in text
    assert "tiny class · 1" in text
    assert "4, 9" in text
    assert "refund has 2 examples" in text
    assert "1 warnings" in text


def test_a_clean_report_says_so() -> None:
    assert "no warnings" in printed()


def test_long_lists_are_cut_and_say_where_the_rest_is() -> None:
    text = printed(
        *(
            CheckFinding(kind="tiny_class", severity="warning", message=f"m{n}", rows=[n])
            for n in range(MOST_SHOWN + 3)
        )
    )
    assert f"m{MOST_SHOWN - 1}" in text
    assert f"m{MOST_SHOWN}\n" not in text
    assert "and 3 more" in text


def test_many_rows_are_counted_and_brackets_are_shown_as_they_are() -> None:
    message = '"write to [email]" [bold]'
    text = printed(CheckFinding(kind="k", severity="info", message=message, rows=[1, 2, 3, 4, 5]))
    assert message in text
    assert "1, 2, 3 +2" in text
