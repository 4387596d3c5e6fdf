"""What people corrected, as examples: feedback is one more source of data."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from data_connectors.rows import canonical_label
from shared.records import Dataset, Example, fingerprint

if TYPE_CHECKING:
    from sqlalchemy import Engine


def read_feedback(engine: Engine, app: str) -> Dataset:
    """The corrections of one app, oldest first; of those of one text the newest wins.

    Texts are one when case and space are folded. ``details`` says who and when: ``author``,
    ``created_at`` (ISO 8601, UTC). An app without corrections gives an empty data set.
    """
    from sqlalchemy import select

    from shared.storage.tables import feedback

    query = (
        select(feedback.c.text, feedback.c.label, feedback.c.author, feedback.c.created_at)
        .where(feedback.c.app == app)
        .order_by(feedback.c.created_at, feedback.c.id)
    )
    newest: dict[str, Example] = {}
    with engine.connect() as connection:
        for text, label, author, created_at in connection.execute(query):
            key = fingerprint(text)
            newest.pop(key, None)
            details = MappingProxyType({"author": author, "created_at": created_at.isoformat()})
            newest[key] = Example(text.strip(), canonical_label(label), details=details)
    return Dataset(f"feedback of {app}", tuple(newest.values()))
