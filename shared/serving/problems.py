"""Every error leaves as a ``Problem``: one shape, a status that the OpenAPI document names.

401 no valid key      404 no such thing        413 body too large       500 a defect here
403 key too weak      405 no such method       422 shape is wrong       503 not now; try again
400 no valid body     408 body too slow        429 asked too often      504 took too long
                      409 against the state
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from shared import errors
from shared.api.shapes import Problem
from shared.errors import TriptychError
from shared.serving.watching.metrics import Metrics

LOGGER = logging.getLogger(__name__)

STATUSES: tuple[tuple[type[TriptychError], int], ...] = (
    (errors.NotAuthenticated, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.VersionNotFound, 404),
    (errors.Conflict, 409),
    (errors.PromotionRefused, 409),
    (errors.ManifestMismatch, 409),
    (errors.NotReady, 503),
    (errors.Overloaded, 503),
    (errors.TooManyRequests, 429),
    (errors.DataError, 422),
    (errors.ServingError, 400),
)
"""The first line that fits an error gives its status; an error that fits none is a defect: 500."""

_DESCRIPTIONS: Mapping[int, str] = {
    400: "The body is not valid JSON, or the request cannot be served as asked",
    401: "No API key, or one that is not valid",
    403: "The API key lacks the scope",
    404: "There is no such thing",
    405: "The path does not know this method",
    409: "The request contradicts the present state",
    408: "The body did not arrive in time",
    413: "The body is too large",
    422: "The request does not have the right shape, or its data cannot be used",
    429: "This key asks too often, or too many wrong keys came from this address",
    500: "A defect in Triptych; the log holds the request's id",
    503: "Not ready, or too many requests wait: try again later",
    504: "The answer took too long",
}
_HTTP_KINDS: Mapping[int, str] = {
    400: "malformed_request",
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}
_MAX_ERRORS = 20
_MAX_TEXT = 500


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route passes as ``responses=`` for the errors of its own (404, 409, 422...).

    What every route may answer (400, 401, 403, 413, 422, 500, 503) is added by the application.
    """
    return {status: {"model": Problem, "description": _DESCRIPTIONS[status]} for status in statuses}


def kind_of(error: TriptychError) -> str:
    """The error's class as programs read it: ``VersionNotFound`` is ``version_not_found``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def status_of(error: TriptychError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def problem_response(
    status: int,
    error: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A Problem as an answer, whatever the texts hold. A 429 and a 503 say when to try again."""
    sent = dict(headers or {})
    if status in (429, 503):
        seconds = (details or {}).get("retry_after_seconds", 2)
        sent.setdefault("Retry-After", str(max(1, math.ceil(float(seconds)))))
    if status == 401:
        sent.setdefault("WWW-Authenticate", 'Bearer realm="triptych"')
    body = Problem(error=error, message=clean(message), details=clean(dict(details or {})))
    return JSONResponse(body.model_dump(), status_code=status, headers=sent)


def clean(value: Any) -> Any:
    """The value as JSON that always encodes: no lone surrogates, no infinities, no long texts."""
    if isinstance(value, str):
        cut = value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…"
        return cut.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write very long ones
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [clean(item) for item in value]
    return clean(str(value))


def answer_problems(app: FastAPI, metrics: Metrics) -> None:
    """Make ``app`` answer every error as a Problem, and count them by kind."""

    def answer(
        status: int,
        error: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JSONResponse:
        metrics.problem(error)
        return problem_response(status, error, message, details, headers)

    async def triptych_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TriptychError)
        status = status_of(error)
        if status == 500:
            LOGGER.error("%s", error.message, exc_info=error)
        details = dict(error.details)
        headers = details.pop("headers", None)
        return answer(status, kind_of(error), error.message, details, headers)

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        found = list(error.errors())
        if any(one["type"] == "json_invalid" for one in found):
            return answer(400, "malformed_request", "the body is not valid JSON")
        told = [_validation_error(one) for one in found[:_MAX_ERRORS]]
        message = "; ".join(f"{one['where']}: {one['what']}" for one in told[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        return answer(422, "invalid_request", message + more, {"errors": told, "count": len(found)})

    async def http_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        status = error.status_code
        kind = _HTTP_KINDS.get(status, f"http_{status}")
        return answer(status, kind, str(error.detail), headers=error.headers)

    async def database_busy(_request: Request, error: Exception) -> JSONResponse:
        LOGGER.error("the database cannot be used", exc_info=error)
        return answer(503, "storage_error", "the database cannot be used at the moment")

    app.add_exception_handler(TriptychError, triptych_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(OperationalError, database_busy)
    app.add_exception_handler(PoolTimeout, database_busy)


def _validation_error(error: Mapping[str, Any]) -> dict[str, str]:
    """Where and what, without the input: a message may hold personal data."""
    where = ".".join(str(part)[:80] for part in error["loc"])
    return {"where": where, "what": str(error["msg"])}
