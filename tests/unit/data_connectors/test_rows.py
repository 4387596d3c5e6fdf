import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from data_connectors.columns import Columns
from data_connectors.rows import LONGEST_LABEL, Row, canonical_label, example_or_reason, reject
from shared.records import OUT_OF_SCOPE, Example

pytestmark = pytest.mark.unit

COLUMNS = Columns("text", "label", "split")


@pytest.mark.parametrize(
    "spelling", ["oos", "OOS", " Out-of-Scope ", "out_of_scope", "OUT OF SCOPE"]
)
def test_every_spelling_of_out_of_scope_is_one_label(spelling: str) -> None:
    assert canonical_label(spelling) == OUT_OF_SCOPE


def test_other_labels_are_stripped_and_kept() -> None:
    assert canonical_label(" Refund_not_showing_up ") == "Refund_not_showing_up"
    assert canonical_label("oos_hotel") == "oos_hotel"


@pytest.mark.parametrize(
    ("label", "expected"),
    [(7, "7"), (7.0, "7"), (7.5, "7.5"), (True, "true"), (Decimal("1.5"), "1.5"),
     (date(2026, 1, 2), "2026-01-02"), ("0", "0"), (0, "0")],
)  # fmt: skip
def test_a_label_of_any_plain_kind_becomes_text(label: Any, expected: str) -> None:
    assert example_or_reason({"text": " hi\n", "label": label}, COLUMNS) == Example("hi", expected)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("train", "train"), ("VAL", "validation"), ("dev", "validation"), ("Test", "test"),
     ("gate", "gate"), ("", None), (None, None)],
)  # fmt: skip
def test_a_stated_split_is_kept(stated: str | None, expected: str | None) -> None:
    outcome = example_or_reason({"text": "hi", "label": "a", "split": stated}, COLUMNS)
    assert isinstance(outcome, Example)
    assert outcome.split == expected


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"text": "  ", "label": "a"}, "text is blank"),
        ({"text": None, "label": "a"}, "text is blank"),
        ({"label": "a"}, "text is blank"),
        ({"text": "hi", "label": ""}, "label is blank"),
        ({"text": "hi", "label": float("nan")}, "label is blank"),
        ({"text": ["hi"], "label": "a"}, "text is a list"),
        ({"text": "hi", "label": {"name": "a"}}, "label is a dict"),
        ({"text": "hi", "label": "x" * (LONGEST_LABEL + 1)}, "longer than 120"),
        ({"text": "h\x00i", "label": "a"}, "NUL"),
        ({"text": "h\udce9", "label": "a"}, "not valid text"),
        ({"text": b"h\xe9", "label": "a"}, "not valid text"),
        ({"text": "hi", "label": "a", "split": "holdout"}, "'holdout', not one of"),
    ],
)
def test_an_unusable_row_says_why(values: dict[str, Any], reason: str) -> None:
    outcome = example_or_reason(values, COLUMNS)
    assert isinstance(outcome, str)
    assert reason in outcome


def test_a_reject_fits_json_and_is_cut() -> None:
    row = Row(
        3, {"text": "x" * 5_000, "n": float("inf"), "when": date(2026, 1, 2), "bad": "\udce9"}
    )
    rejected = reject(row, "because")
    written = json.dumps(rejected.row, ensure_ascii=False).encode()
    assert len(json.loads(written)["text"]) == 1_000
    assert rejected.row["n"] is None
    assert rejected.row["when"] == "2026-01-02"
    assert rejected.row["bad"] == "\\udce9"
