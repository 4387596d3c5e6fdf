from __future__ import annotations

import pytest

from shared.errors import SettingsError, TooManyRequests
from shared.serving.guards.rate_limits import RateLimits, check_rate

pytestmark = pytest.mark.unit


def test_a_key_asks_as_often_as_it_may_and_no_more() -> None:
    limits = RateLimits("3/hour")
    left = [limits.spend("a", None) for _ in range(3)]
    assert [one.remaining for one in left if one is not None] == [2, 1, 0]
    with pytest.raises(TooManyRequests) as caught:
        limits.spend("a", None)
    assert 1 <= caught.value.details["retry_after_seconds"] <= 3600
    headers = caught.value.details["headers"]
    assert headers["RateLimit-Limit"] == "3"
    assert headers["RateLimit-Remaining"] == "0"
    assert headers["RateLimit-Policy"] == "3;w=3600"
    assert 1 <= int(headers["RateLimit-Reset"]) <= 3600
    assert limits.spend("b", None) is not None, "another key is not held up"


def test_a_key_may_have_a_rate_of_its_own() -> None:
    limits = RateLimits("1/hour")
    assert [limits.spend("a", "2/hour") is not None for _ in range(2)] == [True, True]
    with pytest.raises(TooManyRequests):
        limits.spend("a", "2/hour")
    assert RateLimits().spend("a", None) is None


def test_who_guesses_is_stopped_and_shuts_out_nobody() -> None:
    limits = RateLimits(guesses="5/hour")
    limits.tried("10.0.0.1", "right", right=True)
    for number in range(5):
        limits.may_try("10.0.0.1", f"wrong {number}")
        limits.tried("10.0.0.1", f"wrong {number}", right=False)
    with pytest.raises(TooManyRequests) as caught:
        limits.may_try("10.0.0.1", "wrong again")
    assert caught.value.details["retry_after_seconds"] >= 1
    with pytest.raises(TooManyRequests):
        limits.may_try("10.0.0.1", "perhaps right, but never seen")
    limits.may_try("10.0.0.1", "right")
    limits.may_try("10.0.0.2", "wrong again")


@pytest.mark.parametrize("text", ["", "x", "0/minute", "-1/minute", "600", "600/fortnight"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(SettingsError):
        check_rate(text)
    with pytest.raises(SettingsError):
        RateLimits(text)
