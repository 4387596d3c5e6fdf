"""The routes of the fake finance API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse

from shared.api import finance, finance_alerts, shapes
from tests.fakes.drift_answers import drift_route
from tests.fakes.finance_api import COMPANIES, VERSION, FakeFinanceApi, weighed
from tests.fakes.support_api import Refused


def routes_of(fake: FakeFinanceApi) -> FastAPI:
    """An application that answers with the fake's state and changes it."""

    def admitted(request: Request, authorization: Annotated[str, Header()] = "") -> None:
        if request.url.path != "/readyz" and fake.key and authorization != f"Bearer {fake.key}":
            raise Refused(401, "unauthorized", "no valid key")

    app = FastAPI(dependencies=[Depends(admitted)], openapi_url=None)

    @app.exception_handler(Refused)
    def refuse(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse(error.problem.model_dump(), status_code=error.status)

    @app.get("/readyz")
    def readyz() -> shapes.Health:
        return shapes.Health(status="ready", versions={"finance": VERSION if fake.ready else None})

    _story_routes(app, fake)
    _score_routes(app, fake)
    _feed_routes(app, fake)
    _company_routes(app, fake)
    _rule_routes(app, fake)
    _alert_routes(app, fake)
    drift_route(app, fake, "finance", fake.now)
    return app


def _story_routes(app: FastAPI, fake: FakeFinanceApi) -> None:
    @app.get("/v1/finance/overview")
    def overview(days: int = 10) -> finance_alerts.Overview:
        return fake.overview(days)

    @app.get("/v1/finance/stories")
    def stories(request: Request, limit: int = 20, cursor: str = "0") -> finance.Stories:
        query = dict(request.query_params)
        fake.asked.append(query)
        found = [story for story in fake.stories() if _fits(story, query)]
        start, stop = int(cursor), int(cursor) + limit
        return finance.Stories(
            stories=found[start:stop], next_cursor=str(stop) if stop < len(found) else None
        )

    @app.get("/v1/finance/stories/{story_id}")
    def story(story_id: str) -> finance.StoryDetail:
        return fake.detail(story_id)

    @app.get("/v1/finance/stories/{story_id}/explanation")
    def explain_story(story_id: str, company: str | None = None) -> finance.StoryExplanation:
        story = fake.detail(story_id)
        assert story.score
        label = story.score.label
        for mention in story.score.mentions:
            if mention.company_id == company:
                label = mention.label
        return finance.StoryExplanation(
            version=VERSION, company_id=company, label=label, words=weighed(story.title)
        )

    @app.get("/v1/finance/index")
    def index(
        subject: str = "all",
        step: finance.IndexStep = "day",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> finance.IndexSeries:
        until = until or fake.now
        return fake.index(subject, step, since or until - timedelta(days=10), until)


def _fits(story: finance.StoryShape, query: dict[str, str]) -> bool:
    score = story.score
    mentions = score.mentions if score else []
    company = query.get("company")
    label, event, text = query.get("label"), query.get("event"), query.get("text", "")
    about = [mention for mention in mentions if mention.company_id == company]
    if company and not about:
        return False
    labels = [one.label for one in about] if about else [score.label if score else None]
    if label and label not in labels:
        return False
    if event and (score is None or score.event != event):
        return False
    return text.casefold() in f"{story.title} {story.text}".casefold()


def _score_routes(app: FastAPI, fake: FakeFinanceApi) -> None:
    @app.get("/v1/finance/scored-by")
    def scored_by() -> finance.ScoredBy:
        return finance.ScoredBy(
            version=VERSION if fake.ready else None,
            days=7.0,
            waiting=0,
            versions=[
                finance.VersionShare(version=name, stories=count, lately=lately, newest_at=fake.now)
                for name, count, lately in fake.scored_by
            ],
        )

    @app.post("/v1/finance/score")
    def score(asked: finance.ScoreRequest) -> finance.ScoreResponse:
        if not fake.ready:
            raise Refused(503, "not_ready", "no model version is in use for the finance monitor")
        scores = [fake.score(text, asked.companies, asked.explain) for text in asked.texts]
        return finance.ScoreResponse(version=VERSION, scores=scores)

    @app.post("/v1/finance/feedback")
    def feedback(asked: finance.ScoreFeedbackRequest) -> finance.ScoreFeedbackReceipt:
        fake.feedback.append(asked)
        return finance.ScoreFeedbackReceipt(
            id=len(fake.feedback),
            text=asked.text or "a story",
            label=asked.label,
            author=asked.author,
            created_at=fake.now,
        )


def _feed_routes(app: FastAPI, fake: FakeFinanceApi) -> None:
    def change(feed_id: str, **changes: object) -> finance.FeedShape:
        for place, feed in enumerate(fake.feeds):
            if feed.id == feed_id:
                fake.feeds[place] = feed.model_copy(update=changes)
                return fake.feeds[place]
        raise Refused(404, "not_found", f"there is no feed {feed_id}")

    @app.get("/v1/finance/feeds")
    def feeds() -> finance.Feeds:
        return finance.Feeds(feeds=fake.feeds)

    @app.post("/v1/finance/feeds")
    def add_feed(asked: finance.AddFeedRequest) -> finance.FeedShape:
        if not asked.url.startswith(("http://", "https://")):
            raise Refused(422, "data_error", f"{asked.url} is not an http or https address")
        added = fake.feeds[0].model_copy(
            update={
                "id": f"{len(fake.feeds) + 1:032x}",
                "url": asked.url,
                "name": asked.name or asked.url,
                "interval_seconds": asked.interval_seconds,
                "last_polled_at": None,
                "last_success_at": None,
                "update_after": None,
                "added_by": asked.author,
            }
        )
        fake.feeds.append(added)
        return added

    @app.post("/v1/finance/feeds/{feed_id}/mute")
    def mute(feed_id: str, asked: finance.SignedRequest) -> finance.FeedShape:
        fake.done.append(("mute", feed_id, asked.author))
        return change(feed_id, state="muted")

    @app.post("/v1/finance/feeds/{feed_id}/unmute")
    def unmute(feed_id: str, asked: finance.SignedRequest) -> finance.FeedShape:
        fake.done.append(("unmute", feed_id, asked.author))
        return change(feed_id, state="active", notice=None)

    @app.delete("/v1/finance/feeds/{feed_id}", status_code=204)
    def remove(feed_id: str, author: str) -> None:
        change(feed_id)
        fake.done.append(("remove", feed_id, author))
        fake.feeds = [feed for feed in fake.feeds if feed.id != feed_id]


def _company_routes(app: FastAPI, fake: FakeFinanceApi) -> None:
    @app.get("/v1/finance/companies")
    def companies(query: str = "", watched: bool = False, limit: int = 50) -> finance.Companies:
        found = [
            fake.company(key)
            for key, company in COMPANIES.items()
            if query.casefold() in f"{company['name']} {company['ticker']}".casefold()
            and (not watched or key in fake.watched)
        ]
        found.sort(key=lambda one: (not one.watched, one.name))
        return finance.Companies(companies=found[:limit])

    @app.get("/v1/finance/companies/{company_id}")
    def company(company_id: str) -> finance.CompanyShape:
        return fake.company(company_id)

    @app.post("/v1/finance/companies")
    def watch(asked: finance.WatchRequest) -> finance.CompanyShape:
        assert asked.company_id
        fake.watched.append(asked.company_id)
        return fake.company(asked.company_id)

    @app.delete("/v1/finance/companies/{company_id}", status_code=204)
    def unwatch(company_id: str, author: str) -> None:
        fake.watched.remove(company_id)
        fake.done.append(("unwatch", company_id, author))


def _rule_routes(app: FastAPI, fake: FakeFinanceApi) -> None:
    @app.get("/v1/finance/rules")
    def rules() -> finance_alerts.Rules:
        return finance_alerts.Rules(rules=fake.rules)

    @app.post("/v1/finance/rules")
    def create(asked: finance_alerts.CreateRuleRequest) -> finance_alerts.RuleShape:
        made = finance_alerts.RuleShape(
            id=f"{len(fake.rules) + 1:032x}", created_at=fake.now, **dict(asked)
        )
        fake.rules.insert(0, made)
        return made

    @app.post("/v1/finance/rules/{rule_id}/{action}")
    def switch(rule_id: str, action: str, asked: finance.SignedRequest) -> finance_alerts.RuleShape:
        fake.done.append((action, rule_id, asked.author))
        for place, rule in enumerate(fake.rules):
            if rule.id == rule_id:
                fake.rules[place] = rule.model_copy(update={"enabled": action == "enable"})
                return fake.rules[place]
        raise Refused(404, "not_found", f"there is no rule {rule_id}")

    @app.delete("/v1/finance/rules/{rule_id}", status_code=204)
    def delete(rule_id: str, author: str) -> None:
        fake.done.append(("delete", rule_id, author))
        fake.rules = [rule for rule in fake.rules if rule.id != rule_id]

    @app.get("/v1/finance/targets")
    def targets() -> finance_alerts.Targets:
        return finance_alerts.Targets(targets=fake.targets)

    @app.post("/v1/finance/targets")
    def add_target(asked: finance_alerts.AddTargetRequest) -> finance_alerts.AddedTarget:
        made = finance_alerts.TargetShape(
            id=f"{len(fake.targets) + 1:032x}",
            channel=asked.channel,
            address=asked.address,
            signed=asked.channel == "webhook",
            enabled=True,
            created_at=fake.now,
        )
        fake.targets.append(made)
        secret = (asked.secret or "a-random-secret-of-ours") if made.signed else None
        return finance_alerts.AddedTarget(**dict(made), secret=secret)

    @app.delete("/v1/finance/targets/{target_id}", status_code=204)
    def remove_target(target_id: str, author: str) -> None:
        fake.targets = [target for target in fake.targets if target.id != target_id]


def _alert_routes(app: FastAPI, fake: FakeFinanceApi) -> None:
    @app.get("/v1/finance/alerts")
    def alerts(
        state: finance_alerts.AlertState | None = None, limit: int = 50, cursor: str = "0"
    ) -> finance_alerts.Alerts:
        found = [alert for alert in fake.alerts if state in (None, alert.state)]
        start, stop = int(cursor), int(cursor) + limit
        return finance_alerts.Alerts(
            alerts=found[start:stop], next_cursor=str(stop) if stop < len(found) else None
        )

    def signed(
        alert_id: str, state: str, asked: finance_alerts.AlertRequest, **more: object
    ) -> finance_alerts.AlertShape:
        return fake.change_alert(
            alert_id,
            state=state,
            changed_by=asked.author,
            changed_at=fake.now,
            note=asked.note,
            **more,
        )

    @app.post("/v1/finance/alerts/{alert_id}/acknowledge")
    def acknowledge(alert_id: str, asked: finance_alerts.AlertRequest) -> finance_alerts.AlertShape:
        if fake.find_alert(alert_id).state == "closed":
            raise Refused(409, "conflict", "the alert is closed")
        return signed(alert_id, "acknowledged", asked)

    @app.post("/v1/finance/alerts/{alert_id}/close")
    def close(alert_id: str, asked: finance_alerts.AlertRequest) -> finance_alerts.AlertShape:
        return signed(alert_id, "closed", asked)

    @app.post("/v1/finance/alerts/{alert_id}/snooze")
    def snooze(alert_id: str, asked: finance_alerts.SnoozeRequest) -> finance_alerts.AlertShape:
        note = finance_alerts.AlertRequest(author=asked.author, note=asked.note)
        return signed(alert_id, "snoozed", note, snoozed_until=asked.until)
