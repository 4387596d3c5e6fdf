"""All findings together: what is judged, in which order, and on which rows."""

from __future__ import annotations

import numpy as np
import pytest

from shared.evaluation.data_quality import WordPieces, find_faults
from shared.records import OUT_OF_SCOPE

pytestmark = pytest.mark.unit


def test_clean_data_has_no_finding() -> None:
    texts = [f"where is parcel number {row}" for row in range(10)]
    labels = ["track"] * 5 + ["refund"] * 5
    vectors = np.eye(10, dtype=np.float32)
    pieces = WordPieces(np.full(10, 5), np.zeros(10, dtype=np.int64), 100)
    assert find_faults(texts, labels, embeddings=vectors, pieces=pieces) == []


def test_warnings_come_first_and_the_gravest_kind_first() -> None:
    texts = ["a\u200b b", "same", "same", "twice", "twice", "x"]
    labels = ["one", "one", "two", "two", "two", "two"]
    findings = find_faults(texts, labels)
    assert [finding.kind for finding in findings] == [
        "conflicting_duplicate",
        "tiny_class",
        "tiny_class",
        "invisible_character",
        "duplicate",
    ]


def test_out_of_scope_is_no_class_and_may_be_in_any_language() -> None:
    texts = [f"parcel {row}" for row in range(6)] + ["где моя посылка", "где"]
    labels = ["track"] * 6 + [OUT_OF_SCOPE, "track"]
    pieces = WordPieces(np.array([2] * 6 + [13, 3]), np.zeros(8, dtype=np.int64), 100)
    (finding,) = find_faults(texts, labels, pieces=pieces)
    assert finding.kind == "unknown_script"
    assert finding.rows == (7,)


def test_class_sizes_count_what_is_learned_from() -> None:
    texts = [f"text {row}" for row in range(16)]
    labels = ["a"] * 6 + ["b"] * 10
    splits = ["train"] * 6 + ["train"] * 3 + ["test"] * 7
    (finding,) = find_faults(texts, labels, splits=splits)
    assert finding.kind == "tiny_class"
    assert finding.rows == (6, 7, 8)
