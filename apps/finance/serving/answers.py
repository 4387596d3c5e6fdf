"""From the monitor's records to the shapes that the API answers with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.finance.alerts.rules import AlertRule
from apps.finance.alerts.store import Alert, DeliveryState
from apps.finance.alerts.targets import AlertTarget
from apps.finance.entities.companies import Company
from apps.finance.records import SENTIMENTS, Feed, Mention, Story, StoryScore, StorySource
from apps.finance.sentiment_index.index import IndexPoint, IndexStep
from apps.finance.targets import CLOSING, OPENING
from shared.api import finance, finance_alerts
from shared.api.support import TokenShape
from shared.records import TokenAttribution


def as_feed(feed: Feed) -> finance.FeedShape:
    """A feed without what only the fetcher needs."""
    return finance.FeedShape(
        id=feed.id,
        url=feed.url,
        name=feed.name,
        state=feed.state,
        notice=feed.notice,
        interval_seconds=feed.interval_seconds,
        update_after=feed.update_after,
        last_polled_at=feed.last_polled_at,
        last_success_at=feed.last_success_at,
        last_error=feed.last_error,
        failures=feed.failures,
        added_by=feed.added_by,
        created_at=feed.created_at,
    )


def as_company(company: Company, *, watched: bool) -> finance.CompanyShape:
    """A company, and whether it is on the watch list."""
    return finance.CompanyShape(
        id=company.id,
        name=company.name,
        ticker=company.ticker,
        sector=company.sector,
        country=company.country,
        aliases=list(company.aliases),
        watched=watched,
    )


def as_story(story: Story) -> finance.StoryShape:
    """A story with its sources and its score."""
    return finance.StoryShape(**_story_fields(story))


def as_detail(story: Story, revisions: Sequence[finance.RevisionShape]) -> finance.StoryDetail:
    """The same with what its sources said before."""
    return finance.StoryDetail(**_story_fields(story), revisions=list(revisions))


def _story_fields(story: Story) -> dict[str, Any]:
    return {
        "id": story.id,
        "kind": story.kind,
        "title": story.title,
        "text": story.text,
        "link": story.link,
        "published_at": story.published_at,
        "first_seen_at": story.first_seen_at,
        "updated_at": story.updated_at,
        "novelty": story.novelty,
        "near_story_id": story.near_story_id,
        "sources": [_as_source(source) for source in story.sources],
        "score": None if story.score is None else as_score(story.score),
    }


def _as_source(source: StorySource) -> finance.SourceShape:
    return finance.SourceShape(
        origin=source.origin,
        publisher=source.publisher,
        author=source.author,
        link=source.link,
        title=source.title,
        published_at=source.published_at,
        seen_at=source.seen_at,
        revisions=source.revisions,
    )


def sentiment_of(label: str) -> finance.Sentiment:
    """The label that a version gave, as the API knows it."""
    return next(name for name in SENTIMENTS if name == label)


def as_score(
    score: StoryScore,
    *,
    words: Sequence[TokenAttribution] = (),
    words_toward: Mapping[str, Sequence[TokenAttribution]] | None = None,
) -> finance.ScoreShape:
    """A score, with the words that mattered where they are known; ``words_toward`` by company."""
    toward = words_toward or {}
    return finance.ScoreShape(
        label=sentiment_of(score.label),
        probabilities=finance.Probabilities(**score.probabilities),
        reason=_as_reason(score.reason),
        event=score.event,
        event_probability=score.event_probability,
        mentions=[
            _as_mention(mention, toward.get(mention.company_id, ())) for mention in score.mentions
        ],
        version=score.version,
        words=as_words(words),
    )


def _as_mention(mention: Mention, words: Sequence[TokenAttribution]) -> finance.MentionShape:
    return finance.MentionShape(
        company_id=mention.company_id,
        name=mention.name,
        sector=mention.sector,
        relevance=mention.relevance,
        in_title=mention.in_title,
        spans=[finance.Span(start=start, end=end) for start, end in mention.spans],
        label=sentiment_of(mention.label),
        probabilities=finance.Probabilities(**mention.probabilities),
        reason=_as_reason(mention.reason),
        words=as_words(words),
    )


def _as_reason(reason: Mapping[str, Any] | None) -> finance.Reason | None:
    if reason is None:
        return None
    known = {name: reason[name] for name in finance.Reason.model_fields if name in reason}
    return finance.Reason(**known)


def as_words(words: Sequence[TokenAttribution]) -> list[TokenShape]:
    """The words of the text itself: the brackets that mark a company are not among them."""
    marks = {OPENING.strip(), CLOSING.strip()}
    return [
        TokenShape(token=word.token, weight=word.weight)
        for word in words
        if word.token not in marks
    ]


def as_series(subject: str, step: IndexStep, points: Sequence[IndexPoint]) -> finance.IndexSeries:
    """The index of a subject."""
    return finance.IndexSeries(
        subject=subject,
        step=step,
        points=[
            finance.IndexPointShape(
                at=point.at,
                value=point.value,
                weight=point.weight,
                volume=point.volume,
                negative_volume=point.negative_volume,
                volume_z=point.volume_z,
            )
            for point in points
        ],
    )


def as_rule(rule: AlertRule) -> finance_alerts.RuleShape:
    """A rule with every parameter, those that were left out too."""
    return finance_alerts.RuleShape(
        **rule.as_json(), enabled=rule.enabled, created_at=rule.created_at
    )


def as_alert(
    alert: Alert, *, subject_name: str, stories: Mapping[str, finance_alerts.AlertStory]
) -> finance_alerts.AlertShape:
    """An alert; ``stories`` by id, those that are gone are left out."""
    return finance_alerts.AlertShape(
        id=alert.id,
        rule_id=alert.rule_id,
        rule_name=alert.rule["name"],
        kind=alert.rule["kind"],
        subject=alert.subject,
        subject_name=subject_name,
        fired_at=alert.fired_at,
        numbers=dict(alert.numbers),
        rule=dict(alert.rule),
        stories=[stories[story] for story in alert.story_ids if story in stories],
        deliveries=[_as_delivery(delivery) for delivery in alert.deliveries],
        state=alert.state,
        snoozed_until=alert.snoozed_until,
        changed_by=alert.changed_by,
        changed_at=alert.changed_at,
        note=alert.note,
    )


def _as_delivery(delivery: DeliveryState) -> finance_alerts.DeliveryShape:
    return finance_alerts.DeliveryShape(
        channel=delivery.channel,
        address=delivery.address,
        attempts=delivery.attempts,
        delivered_at=delivery.delivered_at,
        next_attempt_at=delivery.next_attempt_at,
        last_error=delivery.last_error,
    )


def as_target(target: AlertTarget) -> finance_alerts.TargetShape:
    """A target without its secret."""
    return finance_alerts.TargetShape(**_target_fields(target))


def as_added_target(target: AlertTarget) -> finance_alerts.AddedTarget:
    """A new target with its secret, told this once."""
    return finance_alerts.AddedTarget(**_target_fields(target), secret=target.secret)


def _target_fields(target: AlertTarget) -> dict[str, Any]:
    return {
        "id": target.id,
        "channel": target.channel,
        "address": target.address,
        "signed": target.secret is not None,
        "enabled": target.enabled,
        "created_at": target.created_at,
    }
