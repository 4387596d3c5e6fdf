from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.durations import read_duration, read_moment
from shared.errors import SettingsError

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600), ("0", 0)],
)
def test_a_length_of_time(text: str, seconds: int) -> None:
    assert read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "24", "-1h", "1.5d", "24 h", "1y", "9" * 9 + "d"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(SettingsError):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("36h", NOW - timedelta(hours=36)),
        ("2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
        ("2026-03-01T12:00+01:00", NOW - timedelta(hours=1)),
        ("99999w", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_moment(text: str, moment: datetime) -> None:
    if text == "99999w":
        assert read_moment(text, NOW) <= NOW - timedelta(days=365)
    else:
        assert read_moment(text, NOW) == moment


def test_what_is_no_moment() -> None:
    with pytest.raises(SettingsError, match="2026-03-01"):
        read_moment("yesterday", NOW)
