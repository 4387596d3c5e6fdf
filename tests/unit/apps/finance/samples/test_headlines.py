"""The laws of the sample headlines: counts, balance, targets in the text, a split that holds."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from importlib import resources

import pytest

from apps.finance.targets import mark_name

pytestmark = pytest.mark.unit

LABELS = {"negative", "neutral", "positive"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    path = resources.files("apps.finance.samples") / "headlines.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def toward(rows: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """The labels by company of each headline."""
    by_text: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        if row["entity"]:
            by_text[row["text"]][row["entity"]] = row["label"]
    return by_text


def test_columns_and_values(rows: list[dict[str, str]]) -> None:
    assert list(rows[0]) == ["text", "entity", "label", "split"]
    assert {row["label"] for row in rows} == LABELS
    assert {row["split"] for row in rows} == {"", "test"}
    assert all(row["text"] == " ".join(row["text"].split()) and row["text"] for row in rows)


def test_each_headline_has_one_overall_label_and_one_a_company(rows: list[dict[str, str]]) -> None:
    keys = Counter((row["text"], row["entity"]) for row in rows)
    assert [key for key, count in keys.items() if count > 1] == []
    assert {row["text"] for row in rows if not row["entity"]} == {row["text"] for row in rows}


def test_headlines_differ_after_normalising(rows: list[dict[str, str]]) -> None:
    overall = [row["text"] for row in rows if not row["entity"]]
    folded = Counter(" ".join(text.casefold().split()) for text in overall)
    assert [text for text, count in folded.items() if count > 1] == []


def test_no_headline_is_in_two_parts(rows: list[dict[str, str]]) -> None:
    parts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        parts[" ".join(row["text"].casefold().split())].add(row["split"])
    assert [text for text, found in parts.items() if len(found) > 1] == []


def test_counts_and_balance(rows: list[dict[str, str]]) -> None:
    overall = [row for row in rows if not row["entity"]]
    assert len(overall) >= 640
    shares = {label: n / len(overall) for label, n in Counter(r["label"] for r in overall).items()}
    assert shares == pytest.approx({"negative": 0.3, "neutral": 0.4, "positive": 0.3}, abs=0.02)
    for part in ("", "test"):
        held = [row["label"] for row in overall if row["split"] == part]
        for label, share in Counter(held).items():
            assert share / len(held) == pytest.approx(shares[label], abs=0.01)
    tests = sum(row["split"] == "test" for row in overall)
    assert tests / len(overall) == pytest.approx(0.2, abs=0.01)


def test_every_company_can_be_marked_in_its_headline(rows: list[dict[str, str]]) -> None:
    for row in rows:
        if row["entity"]:
            assert row["entity"] in row["text"], row
            assert mark_name(row["text"], row["entity"]) is not None, row


def test_companies_in_conflict(rows: list[dict[str, str]]) -> None:
    labels = toward(rows)
    pairs = [found for found in labels.values() if len(found) == 2]
    conflict = {
        text for text, found in labels.items() if {"negative", "positive"} <= set(found.values())
    }
    assert len(pairs) >= 120
    assert len(conflict) >= 70
    tested = {row["text"] for row in rows if row["split"] == "test"}
    assert len(conflict & tested) == round(len(conflict) / 5)
    mixed = {row["label"] for row in rows if row["text"] in conflict and not row["entity"]}
    assert mixed == {"neutral"}


def test_no_company_name_gives_its_label_away(rows: list[dict[str, str]]) -> None:
    """Among companies with four labels or more, hardly any has one label alone."""
    by_company: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["entity"]:
            by_company[row["entity"]].append(row["label"])
    frequent = {name: set(found) for name, found in by_company.items() if len(found) >= 4}
    assert len(frequent) >= 50
    assert [name for name, found in frequent.items() if len(found) == 1] == []
