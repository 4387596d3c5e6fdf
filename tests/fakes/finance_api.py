"""A finance API that keeps all its state in plain sight. Companies, stories and numbers invented.

No model, no database: stories are those below, indexes are drawn from a formula, and "loss" or
"gain" decide what an ad hoc text is.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.api import finance, finance_alerts
from shared.api.drift import AppDrift
from shared.api.support import TokenShape
from tests.fakes.finance_desk import alerts_at, feeds_at, rules_at
from tests.fakes.finance_stories import COMPANIES, STORIES, Told
from tests.fakes.support_api import Refused

MORNING = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
VERSION = "20261123T080000Z-cccccccc"
OLD_VERSION = "20261101T080000Z-aaaaaaaa"
WORDS = {"loss": "negative", "fraud": "negative", "gain": "positive", "record": "positive"}
LABELS: tuple[finance.Sentiment, ...] = ("negative", "neutral", "positive")


def probabilities(label: str, share: float) -> finance.Probabilities:
    """``share`` for the label, the rest over the other two."""
    rest = {other: (1 - share) * part for other, part in _others(label)}
    return finance.Probabilities(**{**rest, label: share})


def _others(label: str) -> list[tuple[str, float]]:
    others = [one for one in LABELS if one != label]
    parts = (0.35, 0.65) if label == "negative" else (0.65, 0.35)
    return list(zip(reversed(others), parts, strict=True))


class FakeFinanceApi:
    """The state of the fake; ``finance_api_routes.routes_of`` puts it on HTTP.

    ``now``     the present of the fake
    ``ready``   when False, no model is in use: stories come without scores, texts are refused
    ``watched`` ids of companies on the watch list
    ``asked``   the queries of story pages, as they came
    """

    def __init__(self, now: datetime = MORNING) -> None:
        self.now = now
        self.reset()

    def reset(self) -> None:
        """Forget what was done, and begin with the same data again."""
        self.ready = True
        self.drift: AppDrift | None = None
        self.scored_by = [(VERSION, 412, 380), (OLD_VERSION, 1_733, 121)]
        self.key: str | None = None
        self.watched = ["norvik", "halden", "calyx", "tarn", "orsa"]
        self.feeds = feeds_at(self.now)
        self.told = list(STORIES)
        self.rules = rules_at(self.now)
        self.alerts = alerts_at(self.now, self.rules, self.stories())
        self.targets: list[finance_alerts.TargetShape] = []
        self.feedback: list[finance.ScoreFeedbackRequest] = []
        self.asked: list[dict[str, str]] = []
        self.done: list[tuple[str, ...]] = []
        self.quiet = False

    # Stories

    def stories(self) -> list[finance.StoryShape]:
        """All stories, newest first."""
        found = [self.story(number, told) for number, told in enumerate(self.told)]
        return sorted(found, key=lambda story: story.published_at, reverse=True)

    def story(self, number: int, told: Told) -> finance.StoryShape:
        published = self.now - timedelta(hours=told.hours_ago)
        sources = [
            finance.SourceShape(
                origin=f"https://{publisher.lower().replace(' ', '')}.test/feed",
                publisher=publisher,
                author=None,
                link=f"https://{publisher.lower().replace(' ', '')}.test/{number}",
                title=told.title,
                published_at=published + timedelta(minutes=9 * place),
                seen_at=published + timedelta(minutes=9 * place + 4),
                revisions=1 if told.before and place == 0 else 0,
            )
            for place, publisher in enumerate(told.publishers)
        ]
        return finance.StoryShape(
            id=f"{number:032x}",
            kind=told.kind,
            title=told.title,
            text=told.text,
            link=sources[0].link,
            published_at=published,
            first_seen_at=published + timedelta(minutes=4),
            updated_at=published + timedelta(minutes=4),
            novelty=told.novelty,
            near_story_id=None,
            sources=sources,
            score=self.score_of(told) if self.ready else None,
        )

    def score_of(self, told: Told) -> finance.ScoreShape:
        whole = f"{told.title}\n{told.text}" if told.text else told.title
        return finance.ScoreShape(
            label=told.label,
            probabilities=probabilities(told.label, told.share),
            reason=self._reason(told) if not told.mentions else None,
            event=told.event,
            event_probability=0.81 if told.event else None,
            mentions=[
                self.mention(whole, company_id, label, share, told)
                for company_id, label, share in told.mentions
            ],
            version=VERSION,
        )

    def mention(
        self, whole: str, company_id: str, label: str, share: float, told: Told | None = None
    ) -> finance.MentionShape:
        company = COMPANIES[company_id]
        spans = _spans(whole, (company["name"], *company["aliases"]))
        title_end = whole.find("\n") if "\n" in whole else len(whole)
        return finance.MentionShape(
            company_id=company_id,
            name=company["name"],
            sector=company["sector"],
            relevance=0.9 if spans and spans[0].start < title_end else 0.4,
            in_title=bool(spans) and spans[0].start < title_end,
            spans=spans,
            label=label,
            probabilities=probabilities(label, share),
            reason=self._reason(told) if told else None,
        )

    def _reason(self, told: Told) -> finance.Reason | None:
        if told.ruled is None:
            return None
        rule, text = told.ruled
        return finance.Reason(rule=rule, pattern=rf"\b{text}\b", text=text, effect="pin")

    def detail(self, story_id: str) -> finance.StoryDetail:
        for number, told in enumerate(self.told):
            story = self.story(number, told)
            if story.id == story_id:
                before = [
                    finance.RevisionShape(
                        publisher=told.publishers[0],
                        title=told.before,
                        text="",
                        seen_at=story.first_seen_at,
                    )
                ]
                return finance.StoryDetail(**dict(story), revisions=before if told.before else [])
        raise Refused(404, "not_found", f"there is no story {story_id}")

    def score(self, text: str, names: list[str], explain: bool) -> finance.ScoreShape:
        """Words decide; companies are found by name."""
        label = next((kind for word, kind in WORDS.items() if word in text.casefold()), "neutral")
        mentions = [
            self.mention(text, key, label, 0.88)
            for key, company in COMPANIES.items()
            if _spans(text, (company["name"], *company["aliases"]))
        ]
        for name in names:
            if spans := _spans(text, (name,)):
                mentions.append(
                    finance.MentionShape(
                        company_id=f"asked:{name.casefold()}",
                        name=name,
                        sector=None,
                        relevance=0.8,
                        in_title=True,
                        spans=spans,
                        label=label,
                        probabilities=probabilities(label, 0.74),
                    )
                )
        return finance.ScoreShape(
            label=label,
            probabilities=probabilities(label, 0.86),
            event="earnings" if "profit" in text.casefold() else None,
            event_probability=0.7 if "profit" in text.casefold() else None,
            mentions=mentions,
            version=VERSION,
            words=weighed(text) if explain else [],
        )

    # The index

    def index(
        self, subject: str, step: finance.IndexStep, since: datetime, until: datetime
    ) -> finance.IndexSeries:
        """A wave of its own for each subject, with a slump two days ago."""
        span = timedelta(hours=1) if step == "hour" else timedelta(days=1)
        phase = sum(map(ord, subject)) % 7
        points = []
        end = since.replace(minute=0, second=0, microsecond=0)
        end = end if step == "hour" else end.replace(hour=0)
        while end < until:
            end += span
            at = min(end, until)
            hours = (self.now - at).total_seconds() / 3600
            slump = 0.75 * math.exp(-(((hours - 46) / 14) ** 2))
            value = 0.22 * math.sin(hours / 21 + phase) + 0.12 * math.cos(hours / 6.5) - slump + 0.1
            busy = 1.5 + math.cos((at.hour - 13) / 24 * 2 * math.pi) + 3 * slump
            volume = max(0, round(busy * (2 if step == "hour" else 31)))
            negative = round(volume * min(0.9, max(0.08, 0.3 - value / 2)))
            points.append(
                finance.IndexPointShape(
                    at=at,
                    value=None if self.quiet else round(max(-1.0, min(1.0, value)), 4),
                    weight=0.0 if self.quiet else busy,
                    volume=0 if self.quiet else volume,
                    negative_volume=0 if self.quiet else negative,
                    volume_z=None if self.quiet else round((busy - 1.5) / 0.8, 2),
                )
            )
        return finance.IndexSeries(subject=subject, step=step, points=points)

    def overview(self, days: int) -> finance_alerts.Overview:
        since = self.now - timedelta(days=days)
        stories = [] if self.quiet else self.stories()
        bad = [story for story in stories if story.score and story.score.label == "negative"]
        day = self.now - timedelta(days=1)
        movers = [] if self.quiet else self._movers()
        return finance_alerts.Overview(
            at=self.now,
            version=VERSION if self.ready else None,
            hourly=self.index("all", "hour", since, self.now),
            daily=self.index("all", "day", since, self.now),
            stories_today=sum(story.published_at > day for story in stories),
            negative_today=sum(story.published_at > day for story in bad),
            up=[mover for mover in movers if mover.change > 0],
            down=sorted(
                (mover for mover in movers if mover.change < 0), key=lambda one: one.change
            ),
            negative_stories=bad[:8],
            open_alerts=[alert for alert in self.alerts if alert.state == "open"],
            feeds=finance_alerts.FeedCounts(
                active=sum(feed.state == "active" for feed in self.feeds),
                muted=sum(feed.state == "muted" for feed in self.feeds),
                failing=sum(feed.failures > 0 for feed in self.feeds if feed.state == "active"),
            ),
        )

    def _movers(self) -> list[finance_alerts.Mover]:
        changes = {
            "norvik": (-0.08, -0.71, 9),
            "halden": (0.02, -0.34, 5),
            "orsa": (-0.12, -0.29, 3),
            "calyx": (0.11, 0.64, 7),
            "tarn": (-0.31, 0.05, 4),
            "brightwater": (0.18, 0.31, 2),
        }
        return [
            finance_alerts.Mover(
                company_id=key,
                name=COMPANIES[key]["name"],
                before=before,
                now=after,
                change=round(after - before, 4),
                stories=stories,
            )
            for key, (before, after, stories) in changes.items()
        ]

    # Companies, feeds, rules, alerts

    def company(self, company_id: str) -> finance.CompanyShape:
        if company_id not in COMPANIES:
            raise Refused(404, "not_found", f"no company {company_id}")
        return finance.CompanyShape(
            id=company_id, watched=company_id in self.watched, **COMPANIES[company_id]
        )

    def find_alert(self, alert_id: str) -> finance_alerts.AlertShape:
        for alert in self.alerts:
            if alert.id == alert_id:
                return alert
        raise Refused(404, "not_found", f"there is no alert {alert_id}")

    def change_alert(self, alert_id: str, **changes: Any) -> finance_alerts.AlertShape:
        changed = self.find_alert(alert_id).model_copy(update=changes)
        self.alerts = [changed if one.id == alert_id else one for one in self.alerts]
        return changed


def weighed(text: str) -> list[TokenShape]:
    """Each word of the text with a weight."""
    heavy = {**WORDS, "halts": "negative", "leak": "negative", "lost": "negative"}
    return [
        TokenShape(token=word, weight=0.8 if word.casefold().strip(".,") in heavy else -0.05)
        for word in text.split()
    ]


def _spans(whole: str, names: tuple[str, ...]) -> list[finance.Span]:
    found: list[finance.Span] = []
    for name in sorted(names, key=len, reverse=True):
        start = whole.find(name)
        while start >= 0:
            if not any(span.start <= start < span.end for span in found):
                found.append(finance.Span(start=start, end=start + len(name)))
            start = whole.find(name, start + 1)
    return sorted(found, key=lambda span: span.start)
