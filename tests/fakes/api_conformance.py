"""Schemathesis as a caller who sends whatever the document allows, and whatever it does not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import positive_data_acceptance
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig

_FRAMING = {"content-length", "transfer-encoding"}
"""Headers whose nonsense is no HTTP: the server refuses it before any route is known."""


def check_conformance(
    url: str,
    document: dict[str, Any],
    headers: Mapping[str, str],
    subtests: pytest.Subtests,
    *,
    examples: int,
    prefix: str = "/",
) -> int:
    """Ask every operation below ``prefix``, each in a subtest; how many operations there are."""
    # The caller's own key is sent: what would be made up for it never reaches the server.
    config = SchemathesisConfig(
        projects=ProjectsConfig(
            default=ProjectConfig(generation=GenerationConfig(with_security_parameters=False))
        )
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    operations = [
        operation
        for operation in (result.ok() for result in schema.get_all_operations())
        if operation.path.startswith(prefix)
    ]
    for operation, mode in itertools.product(operations, GenerationMode):

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def conforms(case: schemathesis.Case) -> None:
            assume(_FRAMING.isdisjoint(name.lower() for name in case.headers or ()))
            # Lengths are those of texts without the blanks around them: JSON Schema cannot say so.
            assume(case.meta.generation.mode.is_positive or not _has_outer_blanks(case.body))
            case.call_and_validate(
                base_url=url,
                headers=dict(headers),
                # A text of blanks fits the document and is refused: JSON Schema cannot say so.
                excluded_checks=[positive_data_acceptance],
            )

        # Nothing can be wrong with a request that carries nothing.
        if mode.is_negative and not _takes_anything(operation):
            continue
        with subtests.test(operation=operation.label, mode=mode.value):
            conforms()
    return len(operations)


def _has_outer_blanks(value: Any) -> bool:
    if isinstance(value, str):
        return value != value.strip()
    if isinstance(value, Mapping):
        return any(_has_outer_blanks(part) for part in value.values())
    return isinstance(value, list) and any(map(_has_outer_blanks, value))


def _takes_anything(operation: Any) -> bool:
    described = operation.definition.raw
    return bool(described.get("parameters") or described.get("requestBody"))
