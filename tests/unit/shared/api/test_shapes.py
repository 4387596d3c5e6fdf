"""A time that comes in: with its zone, in text, within reach."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.api.shapes import Moment

MOMENT = TypeAdapter(Moment)


def test_a_time_with_its_zone_is_read_as_utc() -> None:
    assert MOMENT.validate_python("2026-01-31T09:00:00+01:00") == datetime(
        2026, 1, 31, 8, tzinfo=UTC
    )
    assert MOMENT.validate_python("2026-01-31T09:00:00+01:00").tzinfo is UTC


@pytest.mark.parametrize(
    "given", ["-431", "1700000000", "1.7e9", " 12 ", "inf", 1_700_000_000, 0.5]
)
def test_seconds_since_1970_are_refused_as_the_document_says(given: object) -> None:
    with pytest.raises(ValidationError, match="written as 2026"):
        MOMENT.validate_python(given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("2026-01-31T09:00:00", "timezone"),
        ("1969-12-31T23:00:00Z", "between the years"),
        ("2200-01-01T00:00:00Z", "between the years"),
    ],
)
def test_a_time_without_a_zone_or_out_of_reach_is_refused(given: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        MOMENT.validate_python(given)
