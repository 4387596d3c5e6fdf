from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from shared import errors
from shared.serving.problems import clean, documented, kind_of, problem_response, status_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.NotAuthenticated("x"), 401, "not_authenticated"),
        (errors.NotAllowed("x"), 403, "not_allowed"),
        (errors.NotFound("x"), 404, "not_found"),
        (errors.VersionNotFound("x"), 404, "version_not_found"),
        (errors.Conflict("x"), 409, "conflict"),
        (errors.PromotionRefused("x"), 409, "promotion_refused"),
        (errors.UnknownColumn("x"), 422, "unknown_column"),
        (errors.DataError("x"), 422, "data_error"),
        (errors.ServingError("x"), 400, "serving_error"),
        (errors.NotReady("x"), 503, "not_ready"),
        (errors.Overloaded("x"), 503, "overloaded"),
        (errors.StorageError("x"), 500, "storage_error"),
        (errors.EncoderError("x"), 500, "encoder_error"),
    ],
)
def test_each_error_has_its_status_and_name(
    error: errors.TriptychError, status: int, kind: str
) -> None:
    assert (status_of(error), kind_of(error)) == (status, kind)


@pytest.mark.parametrize(
    "value",
    ["lone \ud800 surrogate", float("nan"), float("-inf"), 10**5000, b"\xff", {1: {2, 3}}],
    ids=["surrogate", "nan", "infinity", "huge", "bytes", "set"],
)
def test_whatever_the_details_hold_the_answer_is_json(value: object) -> None:
    response = problem_response(400, "kind", "message \udcff", {"value": value})
    body = json.loads(bytes(response.body).decode("utf-8"), parse_int=str)
    assert set(body) == {"error", "message", "details"}


def test_cleaning_keeps_what_is_plain() -> None:
    plain = {"a": [1, 2.5, None, True, "é🙂"], "b": {"c": "d"}}
    assert clean(plain) == plain
    assert clean(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02 00:00:00+00:00"
    assert clean("x" * 10_000) == "x" * 500 + "…"


def test_a_503_says_when_to_come_back() -> None:
    assert problem_response(503, "overloaded", "m").headers["retry-after"] == "2"
    busy = problem_response(503, "overloaded", "m", {"retry_after_seconds": 6.2})
    assert busy.headers["retry-after"] == "7"


def test_a_401_names_the_scheme() -> None:
    assert problem_response(401, "k", "m").headers["www-authenticate"].startswith("Bearer")


def test_documented_statuses_carry_the_problem() -> None:
    assert set(documented(404, 409)) == {404, 409}
    assert documented(404)[404]["model"].__name__ == "Problem"
