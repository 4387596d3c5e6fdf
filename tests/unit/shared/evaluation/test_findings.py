"""Findings quote without giving personal data away, and long lists end."""

from __future__ import annotations

import pytest

from shared.evaluation.findings import EXCERPT_LENGTH, Finding, excerpt, listed

pytestmark = pytest.mark.unit


def test_an_excerpt_is_one_short_line_without_personal_data() -> None:
    assert excerpt("write to\njohn@example.com  please") == "write to [email] please"
    assert len(excerpt("word " * 100)) == EXCERPT_LENGTH
    assert excerpt("word " * 100).endswith("…")


def test_a_long_list_ends_with_the_rows_of_the_rest() -> None:
    findings = [Finding("duplicate", "info", str(row), (row, row + 1)) for row in range(5)]
    assert listed(findings, most=5) == findings
    shortened = listed(findings, most=3)
    assert shortened[:3] == findings[:3]
    assert shortened[3].rows == (3, 4, 5)
    assert shortened[3].kind == "duplicate"
    assert shortened[3].message.startswith("2 more")
