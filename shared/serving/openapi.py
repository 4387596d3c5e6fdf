"""The OpenAPI document, with every answer that the layers around the routes may give.

A route documents what is its own (its result, 404, 409). What applies to all is added here, so
that the document cannot forget it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.api.shapes import Problem
from shared.serving.problems import documented

_REFERENCE = {"$ref": "#/components/schemas/Problem"}


def document(app: FastAPI, *, keys_required: bool) -> None:
    """Make ``app`` describe itself completely; the document is built once, when first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            built = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                separate_input_output_schemas=True,
            )
            app.openapi_schema = _completed(built, keys_required)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(built: dict[str, Any], keys_required: bool) -> dict[str, Any]:
    schemas = built.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault(
        "Problem", Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    )
    for operation in _operations(built):
        responses = operation.setdefault("responses", {})
        if "HTTPValidationError" in str(responses.get("422", "")):
            del responses["422"]
        for status in _added(operation, keys_required):
            responses.setdefault(
                str(status), {"description": documented(status)[status]["description"]}
            )
        for status, response in responses.items():
            if status >= "400":
                # FastAPI would give an error the media type of the route's result.
                response["content"] = {"application/json": {"schema": _REFERENCE}}
        if not keys_required:
            operation.pop("security", None)
        operation["responses"] = dict(sorted(responses.items()))
    if not keys_required:
        built["components"].pop("securitySchemes", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return built


def _operations(built: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in built.get("paths", {}).values():
        yield from (value for value in path.values() if isinstance(value, dict))


def _added(operation: dict[str, Any], keys_required: bool) -> list[int]:
    statuses = [500]
    if "requestBody" in operation:
        statuses += [400, 408, 413, 422]
    if operation.get("parameters"):
        statuses += [422]
    if operation.get("security"):
        statuses += [503, 504]
        if keys_required:
            statuses += [401, 403, 429]
    return statuses
