"""The finance monitor: feeds, stories, mentions, watch list, alerts, leases and counters.

This step spells out its own types: later changes to finance_tables.py must not change it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _json() -> sa.JSON:
    return sa.JSON().with_variant(JSONB(), "postgresql")


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "feeds",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("notice", sa.Text),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("interval_seconds", sa.Integer, nullable=False),
        sa.Column("update_after", _time()),
        sa.Column("last_polled_at", _time()),
        sa.Column("last_success_at", _time()),
        sa.Column("last_error", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("added_by", sa.String(120), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feeds"),
        sa.UniqueConstraint("url", name="uq_feeds_url"),
        sa.CheckConstraint("state IN ('active', 'muted')", name=op.f("ck_feeds_state")),
    )
    op.create_index("ix_feeds_update_after", "feeds", ["update_after"])
    op.create_table(
        "stories",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("link", sa.Text),
        sa.Column("published_at", _time(), nullable=False),
        sa.Column("first_seen_at", _time(), nullable=False),
        sa.Column("updated_at", _time(), nullable=False),
        sa.Column("novelty", sa.Float, nullable=False),
        sa.Column("near_story_id", sa.String(32)),
        sa.Column("embedding", sa.LargeBinary),
        sa.Column("label", sa.String(16)),
        sa.Column("probabilities", _json()),
        sa.Column("reason", _json()),
        sa.Column("event", sa.String(32)),
        sa.Column("event_probability", sa.Float),
        sa.Column("version", sa.String(64)),
        sa.Column("scored_at", _time()),
        sa.PrimaryKeyConstraint("id", name="pk_stories"),
        sa.CheckConstraint("kind IN ('news', 'post')", name=op.f("ck_stories_kind")),
        sa.CheckConstraint(
            "label IN ('negative', 'neutral', 'positive')", name=op.f("ck_stories_label")
        ),
    )
    op.create_index("ix_stories_first_seen_at", "stories", ["first_seen_at"])
    op.create_index("ix_stories_published_at", "stories", ["published_at"])
    op.create_index("ix_stories_scored_at", "stories", ["scored_at"])
    op.create_table(
        "story_sources",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("story_id", sa.String(32), nullable=False),
        sa.Column("origin", sa.String(120), nullable=False),
        sa.Column("feed_id", sa.String(32)),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("publisher", sa.String(200), nullable=False),
        sa.Column("author", sa.String(200)),
        sa.Column("link", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("published_at", _time()),
        sa.Column("seen_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_story_sources"),
        sa.ForeignKeyConstraint(
            ["story_id"], ["stories.id"], name="fk_story_sources_story_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["feed_id"], ["feeds.id"], name="fk_story_sources_feed_id", ondelete="SET NULL"
        ),
        sa.UniqueConstraint("origin", "identity", name="uq_story_sources_origin"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_story_sources_feed_id", "story_sources", ["feed_id"])
    op.create_index("ix_story_sources_story_id", "story_sources", ["story_id"])
    op.create_table(
        "story_revisions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("source_id", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("seen_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_story_revisions"),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["story_sources.id"],
            name="fk_story_revisions_source_id",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_story_revisions_source_id", "story_revisions", ["source_id"])
    op.create_table(
        "mentions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("story_id", sa.String(32), nullable=False),
        sa.Column("company_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sector", sa.String(64)),
        sa.Column("relevance", sa.Float, nullable=False),
        sa.Column("in_title", sa.Boolean, nullable=False),
        sa.Column("spans", _json(), nullable=False),
        sa.Column("label", sa.String(16), nullable=False),
        sa.Column("negative", sa.Float, nullable=False),
        sa.Column("neutral", sa.Float, nullable=False),
        sa.Column("positive", sa.Float, nullable=False),
        sa.Column("reason", _json()),
        sa.Column("version", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mentions"),
        sa.ForeignKeyConstraint(
            ["story_id"], ["stories.id"], name="fk_mentions_story_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("story_id", "company_id", name="uq_mentions_story_id"),
        sa.CheckConstraint(
            "label IN ('negative', 'neutral', 'positive')", name=op.f("ck_mentions_label")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mentions_company_id", "mentions", ["company_id"])
    op.create_index("ix_mentions_story_id", "mentions", ["story_id"])
    op.create_table(
        "watched_companies",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("ticker", sa.String(32)),
        sa.Column("sector", sa.String(64)),
        sa.Column("country", sa.String(64)),
        sa.Column("aliases", _json(), nullable=False),
        sa.Column("added_by", sa.String(120), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watched_companies"),
    )
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("scope", sa.String(80), nullable=False),
        sa.Column("parameters", _json(), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_rules"),
        sa.CheckConstraint(
            "kind IN ('threshold', 'fall', 'burst', 'event')", name=op.f("ck_alert_rules_kind")
        ),
    )
    op.create_table(
        "alert_rule_states",
        sa.Column("rule_id", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("armed", sa.Boolean, nullable=False),
        sa.Column("last_fired_at", _time()),
        sa.PrimaryKeyConstraint("rule_id", "subject", name="pk_alert_rule_states"),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["alert_rules.id"], name="fk_alert_rule_states_rule_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("rule_id", sa.String(32), nullable=False),
        sa.Column("rule", _json(), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("fired_at", _time(), nullable=False),
        sa.Column("numbers", _json(), nullable=False),
        sa.Column("story_ids", _json(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("snoozed_until", _time()),
        sa.Column("changed_by", sa.String(120)),
        sa.Column("changed_at", _time()),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.CheckConstraint(
            "state IN ('open', 'acknowledged', 'snoozed', 'closed')", name=op.f("ck_alerts_state")
        ),
    )
    op.create_index("ix_alerts_fired_at", "alerts", ["fired_at"])
    op.create_index("ix_alerts_rule_id", "alerts", ["rule_id"])
    op.create_table(
        "alert_targets",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("secret", sa.Text),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_targets"),
        sa.CheckConstraint(
            "channel IN ('webhook', 'email')", name=op.f("ck_alert_targets_channel")
        ),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("target_id", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("payload", _json(), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", _time()),
        sa.Column("delivered_at", _time()),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name="fk_deliveries_alert_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("alert_id", "target_id", name="uq_deliveries_alert_id"),
        sa.CheckConstraint("channel IN ('webhook', 'email')", name=op.f("ck_deliveries_channel")),
    )
    op.create_index("ix_deliveries_next_attempt_at", "deliveries", ["next_attempt_at"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(120), nullable=False),
        sa.Column("acquired_at", _time(), nullable=False),
        sa.Column("expires_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )


def downgrade() -> None:
    for table in (
        "counters",
        "leases",
        "deliveries",
        "alert_targets",
        "alerts",
        "alert_rule_states",
        "alert_rules",
        "watched_companies",
        "mentions",
        "story_revisions",
        "story_sources",
        "stories",
        "feeds",
    ):
        op.drop_table(table)
