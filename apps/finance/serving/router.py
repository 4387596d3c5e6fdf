"""The routes under ``/v1/finance``. Each says who may call it and calls one method."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from apps.finance.serving.overview import OverviewService
from apps.finance.serving.service import FinanceService
from apps.finance.serving.upkeep import UpkeepService
from apps.finance.stories import StoryFilter
from shared.api import finance, finance_alerts
from shared.api.finance import CompanyId, Id
from shared.api.shapes import Moment, Name
from shared.serving.guards.auth import require
from shared.serving.problems import documented

PREFIX = "/v1/finance"

IdOfPath = Annotated[Id, Path()]
CompanyOfPath = Annotated[CompanyId, Path()]
Author = Annotated[Name, Query(description="who does it, for the audit log")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of a page")]
Limit = Annotated[int, Query(ge=1, le=200)]
Subject = Annotated[
    str,
    Query(
        pattern=r"^(all|company:[0-9A-Za-z._:&-]{1,64}|sector:[^\x00-\x1f\x7f]{1,64})$",
        description="`all`, `company:<id>` or `sector:<name>`",
    ),
]

USE = [Depends(require("use"))]
REVIEW = [Depends(require("review"))]
ADMIN = [Depends(require("admin"))]


def finance_router(
    service: FinanceService, overview: OverviewService, upkeep: UpkeepService
) -> APIRouter:
    """All routes of the finance monitor.

    What reads stories, scores and indexes asks for the scope ``use``; what a desk decides every
    day (alerts, rules, feedback, the watch list) for ``review``; what the server calls by itself
    (feeds, targets) for ``admin``.
    """
    router = APIRouter(prefix=PREFIX, tags=["finance"])
    _add_stories(router, service)
    _add_overview(router, overview)
    _add_feeds(router, upkeep)
    _add_companies(router, upkeep)
    _add_rules(router, upkeep)
    _add_alerts(router, upkeep)
    _add_targets(router, upkeep)
    return router


def _add_stories(router: APIRouter, service: FinanceService) -> None:
    @router.get("/stories", dependencies=USE)
    def stories(
        company: Annotated[CompanyId | None, Query()] = None,
        label: finance.Sentiment | None = None,
        event: Annotated[Name | None, Query()] = None,
        kind: finance.StoryKind | None = None,
        text: Annotated[Name | None, Query(description="in title or text")] = None,
        since: Annotated[Moment | None, Query(description="published then or later")] = None,
        until: Annotated[Moment | None, Query(description="published before")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> finance.Stories:
        """Stories that fit all filters, newest first. With a company, the label is toward it."""
        wanted = StoryFilter(
            company=company,
            label=label,
            event=event,
            since=since,
            until=until,
            text=text,
            kind=kind,
        )
        return service.stories(wanted, cursor, limit)

    @router.get("/stories/{story_id}", dependencies=USE, responses=documented(404))
    def story(story_id: IdOfPath) -> finance.StoryDetail:
        """One story with its sources, what they said before, and the companies in it."""
        return service.story(story_id)

    @router.get("/stories/{story_id}/explanation", dependencies=USE, responses=documented(404, 409))
    def explain_story(
        story_id: IdOfPath, company: Annotated[CompanyId | None, Query()] = None
    ) -> finance.StoryExplanation:
        """Which words of a story mattered for its label, overall or toward one company."""
        return service.explain_story(story_id, company)

    @router.post("/score", dependencies=USE)
    def score(request: finance.ScoreRequest) -> finance.ScoreResponse:
        """Score texts, overall and per company; nothing of them is kept."""
        return service.score(request)

    @router.post("/feedback", dependencies=REVIEW, responses=documented(404, 409))
    def feedback(request: finance.ScoreFeedbackRequest) -> finance.ScoreFeedbackReceipt:
        """What the label of a story or a text should have been, overall or toward a company."""
        return service.correct(request)


def _add_overview(router: APIRouter, overview: OverviewService) -> None:
    @router.get("/overview", dependencies=USE)
    def glance(days: Annotated[int, Query(ge=1, le=90)] = 10) -> finance_alerts.Overview:
        """The present at a glance: the index, movers, negative stories, alerts, feeds."""
        return overview.overview(days)

    @router.get("/scored-by", dependencies=USE)
    def scored_by() -> finance.ScoredBy:
        """How many stories each model version has scored; after a promotion the newest change."""
        return overview.scored_by()

    @router.get("/index", dependencies=USE)
    def index(
        subject: Subject = "all",
        step: finance.IndexStep = "day",
        since: Annotated[Moment | None, Query()] = None,
        until: Annotated[Moment | None, Query()] = None,
    ) -> finance.IndexSeries:
        """The sentiment index of a subject over (since, until]: the last 10 days if unset."""
        return overview.index(subject, step, since, until)


def _add_feeds(router: APIRouter, upkeep: UpkeepService) -> None:
    @router.get("/feeds", dependencies=USE)
    def feeds() -> finance.Feeds:
        """All feeds with their health."""
        return upkeep.feeds()

    @router.post("/feeds", dependencies=ADMIN, responses=documented(409))
    def add_feed(request: finance.AddFeedRequest) -> finance.FeedShape:
        """Poll a feed from now on; its address is checked."""
        return upkeep.add_feed(request)

    @router.delete(
        "/feeds/{feed_id}", status_code=204, dependencies=ADMIN, responses=documented(404)
    )
    def remove_feed(feed_id: IdOfPath, author: Author) -> None:
        """Forget a feed; its stories stay."""
        upkeep.remove_feed(feed_id, author)

    @router.post("/feeds/{feed_id}/mute", dependencies=ADMIN, responses=documented(404))
    def mute_feed(feed_id: IdOfPath, request: finance.SignedRequest) -> finance.FeedShape:
        """Poll a feed no more."""
        return upkeep.mute_feed(feed_id, request.author)

    @router.post("/feeds/{feed_id}/unmute", dependencies=ADMIN, responses=documented(404))
    def unmute_feed(feed_id: IdOfPath, request: finance.SignedRequest) -> finance.FeedShape:
        """Poll a feed again, from now on."""
        return upkeep.unmute_feed(feed_id, request.author)


def _add_companies(router: APIRouter, upkeep: UpkeepService) -> None:
    @router.get("/companies", dependencies=USE)
    def companies(
        query: Annotated[Name | None, Query(description="in name, alias, ticker or id")] = None,
        watched: Annotated[bool, Query(description="only those on the watch list")] = False,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 50,
    ) -> finance.Companies:
        """Companies that texts are linked to, those on the watch list first."""
        return upkeep.companies(query, watched, limit)

    @router.post("/companies", dependencies=REVIEW, responses=documented(409))
    def watch(request: finance.WatchRequest) -> finance.CompanyShape:
        """Put a company on the watch list."""
        return upkeep.watch(request)

    @router.get("/companies/{company_id}", dependencies=USE, responses=documented(404))
    def company(company_id: CompanyOfPath) -> finance.CompanyShape:
        """One company."""
        return upkeep.company(company_id)

    @router.delete(
        "/companies/{company_id}",
        status_code=204,
        dependencies=REVIEW,
        responses=documented(404),
    )
    def unwatch(company_id: CompanyOfPath, author: Author) -> None:
        """Take a company off the watch list."""
        upkeep.unwatch(company_id, author)


def _add_rules(router: APIRouter, upkeep: UpkeepService) -> None:
    @router.get("/rules", dependencies=USE)
    def rules() -> finance_alerts.Rules:
        """All alert rules, the newest first."""
        return upkeep.rules()

    @router.post("/rules", dependencies=REVIEW)
    def create_rule(request: finance_alerts.CreateRuleRequest) -> finance_alerts.RuleShape:
        """A rule that holds from now on."""
        return upkeep.create_rule(request)

    @router.post("/rules/{rule_id}/enable", dependencies=REVIEW, responses=documented(404))
    def enable(rule_id: IdOfPath, request: finance.SignedRequest) -> finance_alerts.RuleShape:
        """Let a rule fire."""
        return upkeep.switch_rule(rule_id, request.author, enabled=True)

    @router.post("/rules/{rule_id}/disable", dependencies=REVIEW, responses=documented(404))
    def disable(rule_id: IdOfPath, request: finance.SignedRequest) -> finance_alerts.RuleShape:
        """Let a rule fire no more."""
        return upkeep.switch_rule(rule_id, request.author, enabled=False)

    @router.delete(
        "/rules/{rule_id}", status_code=204, dependencies=REVIEW, responses=documented(404)
    )
    def delete_rule(rule_id: IdOfPath, author: Author) -> None:
        """Forget a rule; its alerts stay, with the rule as it was."""
        upkeep.delete_rule(rule_id, author)


def _add_alerts(router: APIRouter, upkeep: UpkeepService) -> None:
    @router.get("/alerts", dependencies=USE)
    def alerts(
        state: finance_alerts.AlertState | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> finance_alerts.Alerts:
        """Alerts (of one state), newest first."""
        return upkeep.alerts(state, cursor, limit)

    changing = documented(404, 409)

    @router.post("/alerts/{alert_id}/acknowledge", dependencies=REVIEW, responses=changing)
    def acknowledge(
        alert_id: IdOfPath, request: finance_alerts.AlertRequest
    ) -> finance_alerts.AlertShape:
        """Somebody looks into it."""
        return upkeep.acknowledge(alert_id, request)

    @router.post("/alerts/{alert_id}/snooze", dependencies=REVIEW, responses=changing)
    def snooze(
        alert_id: IdOfPath, request: finance_alerts.SnoozeRequest
    ) -> finance_alerts.AlertShape:
        """Put it aside until a time; it is open again from then on."""
        return upkeep.snooze(alert_id, request)

    @router.post("/alerts/{alert_id}/close", dependencies=REVIEW, responses=changing)
    def close(
        alert_id: IdOfPath, request: finance_alerts.AlertRequest
    ) -> finance_alerts.AlertShape:
        """Be done with it."""
        return upkeep.close(alert_id, request)


def _add_targets(router: APIRouter, upkeep: UpkeepService) -> None:
    @router.get("/targets", dependencies=ADMIN)
    def targets() -> finance_alerts.Targets:
        """Where alerts are sent."""
        return upkeep.targets()

    @router.post("/targets", dependencies=ADMIN, responses=documented(409))
    def add_target(request: finance_alerts.AddTargetRequest) -> finance_alerts.AddedTarget:
        """Send the alerts of the future there too. The secret is told in this answer only."""
        return upkeep.add_target(request)

    @router.delete(
        "/targets/{target_id}", status_code=204, dependencies=ADMIN, responses=documented(404)
    )
    def remove_target(target_id: IdOfPath, author: Author) -> None:
        """Send nothing there any more."""
        upkeep.remove_target(target_id, author)
