"""What docs/alerts.md tells a receiver is true."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance.alerts.rules import PARAMETERS
from shared.monitoring.webhook import sign

pytestmark = pytest.mark.unit

TEXT = (Path(__file__).parents[5] / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_check_for_receivers_works() -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    is_genuine = names["is_genuine"]
    now = datetime.now(UTC)
    assert is_genuine(b"{}", sign(b"{}", "secret", now), "secret")
    assert not is_genuine(b"{ }", sign(b"{}", "secret", now), "secret")
    assert not is_genuine(b"{}", sign(b"{}", "other", now), "secret")
    assert not is_genuine(b"{}", sign(b"{}", "secret", now - timedelta(hours=1)), "secret")


def test_the_parameters_that_it_names_are_there() -> None:
    known = {name for parameters in PARAMETERS.values() for name in parameters.model_fields}
    rows = [
        line for line in TEXT.splitlines() if line.startswith(tuple(f"| `{k}`" for k in PARAMETERS))
    ]
    assert len(rows) == len(PARAMETERS)
    for line in rows:
        kind, *named = re.findall(r"`(\w+)`", line)
        assert set(named) <= set(PARAMETERS[kind].model_fields)  # type: ignore[index]
    assert {"cooldown_hours", "quiet_hours"} <= known
