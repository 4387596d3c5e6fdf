"""A database from before the recommender, on both kinds: brought up to date and back."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, select, text

from shared.storage.engine import open_database, reading
from shared.storage.recommend_tables import metadata
from shared.storage.tables import api_keys

pytestmark = pytest.mark.integration


def migrate(engine: Engine, step: str, *, back: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", "shared.storage:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if back else command.upgrade)(config, step)


def test_keys_from_before_open_the_default_tenant(engine: Engine, database_url: str) -> None:
    migrate(engine, "0002", back=True)
    left = set(inspect(engine).get_table_names())
    assert "behaviour_events" not in left
    assert "stories" in left
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO api_keys (id, name, digest, scopes, created_at)"
                " VALUES ('old', 'shop', 'd', '[\"use\"]', '2026-01-01 00:00:00')"
            )
        )
    again = open_database(database_url)
    try:
        with reading(again) as connection:
            assert connection.execute(select(api_keys.c.id, api_keys.c.tenant)).all() == [
                ("old", "default")
            ]
        assert set(metadata.tables) <= set(inspect(again).get_table_names())
    finally:
        again.dispose()
