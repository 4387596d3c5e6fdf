from __future__ import annotations

from datetime import UTC, datetime

import pytest

from data_connectors.http_caching import LONGEST_WAIT, fresh_for, http_date, retry_after

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DATE = "Sun, 01 Mar 2026 13:00:00 GMT"  # the server's clock is an hour ahead


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "public"}, None),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": 'PUBLIC, Max-Age="600", s-maxage=9'}, 600),
        ({"cache-control": "max-age=600", "age": "90"}, 510),
        ({"cache-control": "max-age=600", "age": "900"}, 0),
        ({"cache-control": "max-age=600, max-age=5"}, 600),
        ({"cache-control": "max-age=soon"}, 0),
        ({"cache-control": "max-age=-5"}, 0),
        ({"cache-control": "max-age=31536000"}, LONGEST_WAIT),
        ({"cache-control": "max-age=" + "9" * 400}, LONGEST_WAIT),
        ({"cache-control": "no-cache, max-age=600"}, 0),
        ({"cache-control": "no-store"}, 0),
        ({"expires": "Sun, 01 Mar 2026 12:10:00 GMT"}, 600),
        ({"expires": "Sun, 01 Mar 2026 13:10:00 GMT", "date": DATE}, 600),
        ({"expires": "Sun, 01 Mar 2026 13:10:00 GMT", "date": DATE, "age": "60"}, 540),
        ({"expires": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"expires": "0"}, 0),
        ({"expires": "-1"}, 0),
        ({"expires": "Sun, 01 Mar 2026 12:10:00 GMT", "cache-control": "max-age=60"}, 60),
    ],
)
def test_how_long_a_response_is_fresh(headers: dict[str, str], seconds: float | None) -> None:
    assert fresh_for(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "99999999999999"}, LONGEST_WAIT),
        ({"retry-after": "Sun, 01 Mar 2026 12:02:00 GMT"}, 120),
        ({"retry-after": "Sunday, 01-Mar-26 12:02:00 GMT"}, 120),
        ({"retry-after": "Sun Mar  1 12:02:00 2026"}, 120),
        ({"retry-after": "Sun, 01 Mar 2026 13:02:00 GMT", "date": DATE}, 120),
        ({"retry-after": "Sun, 01 Mar 2020 12:02:00 GMT"}, 0),
        ({"retry-after": "Sun, 01 Mar 2099 12:02:00 GMT"}, LONGEST_WAIT),
        ({"retry-after": "later"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "²"}, None),
    ],
)
def test_when_a_server_wants_to_be_asked_again(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize("text", ["", "0", "Sun, 99 Mar 2026 12:00:00 GMT", "x" * 500, "1 2 3 4 5"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert http_date(text) is None
