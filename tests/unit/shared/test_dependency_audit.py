from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from shared.dependency_audit import audit, command

pytestmark = pytest.mark.unit

FAULT = {"id": "CVE-2026-1", "fix_versions": ["2.1"], "description": "bad"}
CLEAN = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited"}


def outcome(output: str, *, error: str = "", status: int = 0) -> tuple[int, str]:
    told: list[str] = []

    def run(asked: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert asked == command()
        return subprocess.CompletedProcess(asked, status, output, error)

    return audit(run, told.append), "".join(told)


def report(*packages: Any) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_fault_fails_and_is_named() -> None:
    faulty = {"name": "b", "version": "2.0", "vulns": [FAULT]}
    status, told = outcome(report(CLEAN, faulty, UNKNOWN), status=1)
    assert status == 1
    assert "b 2.0: CVE-2026-1, mended in 2.1" in told
    assert "2 packages checked, 1 known faults; 1 left out" in told


def test_none_known_is_said_with_what_was_looked_at() -> None:
    assert outcome(report(CLEAN)) == (0, "1 packages checked, 0 known faults; 0 left out\n")


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("", "requests.exceptions.ConnectionError: Max retries exceeded"),
        ("not json", ""),
        ("[]", ""),
        (report(UNKNOWN, UNKNOWN), ""),
        (report(), ""),
    ],
)
def test_what_was_not_checked_is_not_called_clean(output: str, error: str) -> None:
    status, told = outcome(output, error=error, status=1)
    assert status == 0
    assert told.startswith("NOT CHECKED")


def test_a_service_that_does_not_answer() -> None:
    told: list[str] = []

    def run(asked: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(asked, options["timeout"])

    assert audit(run, told.append) == 0
    assert told[0].startswith("NOT CHECKED")
