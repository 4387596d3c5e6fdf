"""The schema's history; ``shared.storage.engine.open_database`` runs it, without alembic.ini."""
