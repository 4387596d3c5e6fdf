"""The finance monitor's tables, on the MetaData of ``tables.py``. Nothing connects here.

feeds -> stories -> story_sources -> story_revisions     what was read, where, and what it said
         stories -> mentions                             what a story says of each company
alert_rules -> alerts -> deliveries                      what fired, and who was told

Import ``metadata`` from here where all tables must be on it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shared.storage.tables import UtcDateTime, json_column, metadata, one_of

__all__ = [
    "alert_rule_states",
    "alert_rules",
    "alert_targets",
    "alerts",
    "counters",
    "deliveries",
    "feeds",
    "leases",
    "mentions",
    "metadata",
    "stories",
    "story_revisions",
    "story_sources",
    "watched_companies",
]


def _belongs_to(column: str, target: str, type_: Any, **options: Any) -> Column[Any]:
    """A column that names a row of another table and goes with it."""
    reference = ForeignKey(target, ondelete="CASCADE")
    return Column(column, type_, reference, nullable=False, **options)


feeds = Table(
    "feeds",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("url", Text, nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("notice", Text),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("interval_seconds", Integer, nullable=False),
    Column("update_after", UtcDateTime, index=True),
    Column("last_polled_at", UtcDateTime),
    Column("last_success_at", UtcDateTime),
    Column("last_error", Text),
    Column("failures", Integer, nullable=False),
    Column("added_by", String(120), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    one_of("state", "active", "muted"),
)
"""One row an address. ``update_after`` null is due at once; ``failures`` counts those in a row."""

stories = Table(
    "stories",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("link", Text),
    Column("published_at", UtcDateTime, nullable=False, index=True),
    Column("first_seen_at", UtcDateTime, nullable=False, index=True),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("novelty", Float, nullable=False),
    Column("near_story_id", String(32)),
    Column("embedding", LargeBinary),
    Column("label", String(16)),
    Column("probabilities", json_column()),
    Column("reason", json_column()),
    Column("event", String(32)),
    Column("event_probability", Float),
    Column("version", String(64)),
    Column("scored_at", UtcDateTime, index=True),
    Column("rescored_at", UtcDateTime),
    one_of("kind", "news", "post"),
    one_of("label", "negative", "neutral", "positive"),
)
"""One row a story, however many publishers carry it. ``embedding`` holds float16 bytes;
``scored_at`` null waits for a model; ``rescored_at`` is when a later version took its score's
place."""

story_sources = Table(
    "story_sources",
    metadata,
    Column("id", Integer, primary_key=True),
    _belongs_to("story_id", "stories.id", String(32), index=True),
    Column("origin", String(120), nullable=False),
    Column("feed_id", String(32), ForeignKey("feeds.id", ondelete="SET NULL"), index=True),
    Column("identity", String(64), nullable=False),
    Column("digest", String(32), nullable=False),
    Column("publisher", String(200), nullable=False),
    Column("author", String(200)),
    Column("link", Text),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("published_at", UtcDateTime),
    Column("seen_at", UtcDateTime, nullable=False),
    UniqueConstraint("origin", "identity"),
    sqlite_autoincrement=True,
)
"""One row an entry of an origin; the story takes its words from the first one. ``seen_at`` is
when the words that it holds now were first seen."""

story_revisions = Table(
    "story_revisions",
    metadata,
    Column("id", Integer, primary_key=True),
    _belongs_to("source_id", "story_sources.id", Integer, index=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("digest", String(32), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
"""What a source said before each change, each wording once."""

mentions = Table(
    "mentions",
    metadata,
    Column("id", Integer, primary_key=True),
    _belongs_to("story_id", "stories.id", String(32), index=True),
    Column("company_id", String(64), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("sector", String(64)),
    Column("relevance", Float, nullable=False),
    Column("in_title", Boolean, nullable=False),
    Column("spans", json_column(), nullable=False),
    Column("label", String(16), nullable=False),
    Column("negative", Float, nullable=False),
    Column("neutral", Float, nullable=False),
    Column("positive", Float, nullable=False),
    Column("reason", json_column()),
    Column("version", String(64), nullable=False),
    UniqueConstraint("story_id", "company_id"),
    one_of("label", "negative", "neutral", "positive"),
    sqlite_autoincrement=True,
)
"""One row a company that a scored story speaks of. ``spans`` are [start, end] in title + newline
+ text."""

watched_companies = Table(
    "watched_companies",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("ticker", String(32)),
    Column("sector", String(64)),
    Column("country", String(64)),
    Column("aliases", json_column(), nullable=False),
    Column("added_by", String(120), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""One row a company on the watch list."""

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("scope", String(80), nullable=False),
    Column("parameters", json_column(), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("author", String(120), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    one_of("kind", "threshold", "fall", "burst", "event"),
)
"""One row a rule that can fire."""

alert_rule_states = Table(
    "alert_rule_states",
    metadata,
    _belongs_to("rule_id", "alert_rules.id", String(32), primary_key=True),
    Column("subject", String(80), primary_key=True),
    Column("armed", Boolean, nullable=False),
    Column("last_fired_at", UtcDateTime),
    Column("passed_over", json_column()),
)
"""Whether a rule can fire for a subject: hysteresis and cool-down. ``passed_over`` maps stories
that an event rule does not tell of, because a later score made the event, to when that was."""

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("rule_id", String(32), nullable=False, index=True),
    Column("rule", json_column(), nullable=False),
    Column("subject", String(80), nullable=False),
    Column("fired_at", UtcDateTime, nullable=False, index=True),
    Column("numbers", json_column(), nullable=False),
    Column("story_ids", json_column(), nullable=False),
    Column("state", String(16), nullable=False),
    Column("snoozed_until", UtcDateTime),
    Column("changed_by", String(120)),
    Column("changed_at", UtcDateTime),
    Column("note", Text, nullable=False),
    one_of("state", "open", "acknowledged", "snoozed", "closed"),
)
"""One row an alert, with the rule as it was when it fired."""

alert_targets = Table(
    "alert_targets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("channel", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("secret", Text),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    one_of("channel", "webhook", "email"),
)
"""One row an address that is told of alerts."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    _belongs_to("alert_id", "alerts.id", String(32)),
    Column("target_id", String(32), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("payload", json_column(), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, index=True),
    Column("delivered_at", UtcDateTime),
    Column("last_error", Text),
    UniqueConstraint("alert_id", "target_id"),
    one_of("channel", "webhook", "email"),
)
"""One row an alert and target. ``id`` is the event id that the receiver sees;
``next_attempt_at`` null is tried no more."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(120), nullable=False),
    Column("acquired_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
"""Who alone may do a thing, and until when."""

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Integer, nullable=False),
)
"""Numbers that only grow, such as missed runs."""
