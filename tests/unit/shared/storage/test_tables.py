from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from shared.storage.tables import UtcDateTime, metadata

pytestmark = pytest.mark.unit
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
DIALECTS = [sqlite.dialect(), postgresql.dialect()]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_time_goes_in_and_out_as_utc(dialect: Dialect) -> None:
    kind = UtcDateTime()
    stored = kind.process_bind_param(NOON.astimezone(timezone(timedelta(hours=5))), dialect)
    assert stored is not None
    assert stored.replace(tzinfo=UTC) == NOON
    assert kind.process_result_value(stored, dialect) == NOON
    assert kind.process_bind_param(None, dialect) is None
    assert kind.process_result_value(None, dialect) is None


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_naive_time_is_refused(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 2), dialect)  # noqa: DTZ001


def test_every_constraint_has_a_name() -> None:
    """A migration can only change what it can name."""
    for table in metadata.sorted_tables:
        assert all(constraint.name for constraint in table.constraints), table.name
