"""Feeds, rules and alerts of the fake finance API, as they stand at a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from shared.api import finance, finance_alerts


def feeds_at(now: datetime) -> list[finance.FeedShape]:
    def feed(number: int, name: str, **changes: Any) -> finance.FeedShape:
        host = name.lower().replace(" ", "")
        fields: dict[str, Any] = {
            "id": f"{number:032x}",
            "url": f"https://{host}.test/markets/rss.xml",
            "name": name,
            "state": "active",
            "notice": None,
            "interval_seconds": 900,
            "update_after": now + timedelta(minutes=3 + number),
            "last_polled_at": now - timedelta(minutes=12 - number),
            "last_success_at": now - timedelta(minutes=12 - number),
            "last_error": None,
            "failures": 0,
            "added_by": "Ada",
            "created_at": now - timedelta(days=40),
        }
        return finance.FeedShape(**{**fields, **changes})

    return [
        feed(1, "Harbour Wire"),
        feed(2, "Ledger Daily"),
        feed(
            3,
            "North Market Post",
            failures=4,
            last_error="the server answered 503 and asked to wait for 2 hours",
            last_success_at=now - timedelta(hours=9),
            update_after=now + timedelta(hours=2),
        ),
        feed(4, "The Floor", last_success_at=now - timedelta(minutes=2)),
        feed(
            5,
            "Old Gazette",
            state="muted",
            notice="the server says that this feed is gone for good (410)",
            update_after=None,
            last_success_at=now - timedelta(days=6),
        ),
        feed(
            6,
            "Company Filings",
            last_polled_at=None,
            last_success_at=None,
            update_after=None,
            interval_seconds=3600,
        ),
    ]


def rules_at(now: datetime) -> list[finance_alerts.RuleShape]:
    def rule(number: int, name: str, kind: str, scope: str, **parameters: Any) -> Any:
        return finance_alerts.RuleShape(
            id=f"{number:032x}",
            name=name,
            kind=kind,
            scope=scope,
            parameters=parameters,
            enabled=number != 4,
            author="Ada",
            created_at=now - timedelta(days=20 - number),
        )

    return [
        rule(1, "Mood of a watched company turns bad", "threshold", "company:*", level=-0.5),
        rule(2, "Market mood falls fast", "fall", "all", points=0.4, within_hours=24),
        rule(3, "Wave of bad news on banks", "burst", "sector:Banks", min_z=3.0, within_hours=6),
        rule(4, "Insolvency anywhere", "event", "company:*", events=["insolvency"]),
    ]


def alerts_at(
    now: datetime,
    rules: list[finance_alerts.RuleShape],
    stories: list[finance.StoryShape],
) -> list[finance_alerts.AlertShape]:
    def alert(number: int, rule: int, subject: str, name: str, hours: float, **changes: Any):
        shape = rules[rule]
        fields: dict[str, Any] = {
            "id": f"{number:032x}",
            "rule_id": shape.id,
            "rule_name": shape.name,
            "kind": shape.kind,
            "subject": subject,
            "subject_name": name,
            "fired_at": now - timedelta(hours=hours),
            "numbers": {"index": -0.71, "level": -0.5, "direction": "below", "stories": 9},
            "rule": {"name": shape.name, "parameters": shape.parameters},
            "stories": [
                finance_alerts.AlertStory(
                    id=story.id,
                    title=story.title,
                    link=story.link,
                    published_at=story.published_at,
                )
                for story in stories[:2]
            ],
            "deliveries": [],
            "state": "open",
            "snoozed_until": None,
            "changed_by": None,
            "changed_at": None,
            "note": "",
        }
        return finance_alerts.AlertShape(**{**fields, **changes})

    return [
        alert(
            1,
            0,
            "company:norvik",
            "Norvik Energy",
            1.2,
            deliveries=[
                finance_alerts.DeliveryShape(
                    channel="webhook",
                    address="https://desk.test/hook",
                    attempts=1,
                    delivered_at=now - timedelta(hours=1.19),
                    next_attempt_at=None,
                    last_error=None,
                )
            ],
        ),
        alert(
            2,
            2,
            "sector:Banks",
            "Banks",
            20,
            numbers={"negative": 14, "expected": 2.6, "z": 4.2, "weeks": 5, "within_hours": 6},
        ),
        alert(
            3,
            1,
            "all",
            "All companies",
            44,
            numbers={
                "index": -0.38,
                "highest": 0.12,
                "highest_at": (now - timedelta(hours=60)).isoformat(),
                "fall": 0.5,
            },
            state="acknowledged",
            changed_by="Ada",
            changed_at=now - timedelta(hours=42),
            note="storm in the north, known",
        ),
    ]
