"""What the client asks of the finance monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from shared.api import finance, finance_alerts
from shared.api.calls import Calls, made, path_of

ROOT = ("v1", "finance")


class FinanceCalls:
    """The calls of ``/v1/finance``; a part of ``shared.client.TriptychClient``."""

    _calls: Calls

    def overview(self, days: int = 10) -> finance_alerts.Overview:
        """The present at a glance, with the index of the last 1 to 90 days."""
        return self._calls.get("/v1/finance/overview", finance_alerts.Overview, days=days)

    def scored_by(self) -> finance.ScoredBy:
        """Which versions scored the stories that there are."""
        return self._calls.get("/v1/finance/scored-by", finance.ScoredBy)

    # Feeds

    def feeds(self) -> list[finance.FeedShape]:
        """All feeds with their health."""
        return self._calls.get("/v1/finance/feeds", finance.Feeds).feeds

    def add_feed(
        self,
        url: str,
        *,
        author: str,
        name: str | None = None,
        interval_seconds: int | None = None,
    ) -> finance.FeedShape:
        """A feed to poll from now on."""
        body = made(
            finance.AddFeedRequest,
            url=url,
            name=name or None,
            interval_seconds=interval_seconds,
            author=author,
        )
        return self._calls.post("/v1/finance/feeds", body, finance.FeedShape)

    def mute_feed(self, feed_id: str, *, author: str) -> finance.FeedShape:
        """Poll it no more; what it brought stays."""
        return self._feed(feed_id, "mute", author)

    def unmute_feed(self, feed_id: str, *, author: str) -> finance.FeedShape:
        """Poll it again, from now on."""
        return self._feed(feed_id, "unmute", author)

    def remove_feed(self, feed_id: str, *, author: str) -> None:
        """Forget the feed; its stories stay."""
        self._delete("feeds", feed_id, author=author)

    # Companies

    def companies(
        self, query: str | None = None, *, watched: bool = False, limit: int = 50
    ) -> list[finance.CompanyShape]:
        """Companies by a part of their name, ticker or alias, watched ones first."""
        found = self._calls.get(
            "/v1/finance/companies",
            finance.Companies,
            query=query,
            watched="true" if watched else None,
            limit=limit,
        )
        return found.companies

    def company(self, company_id: str) -> finance.CompanyShape:
        """One company, of the watch list or the gazetteer."""
        return self._calls.get(path_of(*ROOT, "companies", company_id), finance.CompanyShape)

    def watch_company(
        self,
        company_id: str | None = None,
        *,
        author: str,
        name: str | None = None,
        ticker: str | None = None,
        sector: str | None = None,
        country: str | None = None,
        aliases: Sequence[str] = (),
    ) -> finance.CompanyShape:
        """Watch a company of the gazetteer by its id, or one of your own by its name."""
        body = made(
            finance.WatchRequest,
            author=author,
            company_id=company_id,
            name=name,
            ticker=ticker,
            sector=sector,
            country=country,
            aliases=list(aliases),
        )
        return self._calls.post("/v1/finance/companies", body, finance.CompanyShape)

    def unwatch_company(self, company_id: str, *, author: str) -> None:
        """Take a company off the watch list."""
        self._delete("companies", company_id, author=author)

    # Stories and scores

    def stories(
        self,
        *,
        company: str | None = None,
        label: finance.Sentiment | None = None,
        event: str | None = None,
        kind: finance.StoryKind | None = None,
        text: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> finance.Stories:
        """A page of the stories that fit all filters, newest first."""
        return self._calls.get(
            "/v1/finance/stories",
            finance.Stories,
            company=company,
            label=label,
            event=event,
            kind=kind,
            text=text or None,
            since=_iso(since),
            until=_iso(until),
            cursor=cursor,
            limit=limit,
        )

    def story(self, story_id: str) -> finance.StoryDetail:
        """One story with its sources, their revisions and the companies in it."""
        return self._calls.get(path_of(*ROOT, "stories", story_id), finance.StoryDetail)

    def explain_story(self, story_id: str, company: str | None = None) -> finance.StoryExplanation:
        """Which words of a story mattered for its label, overall or toward one company."""
        path = path_of(*ROOT, "stories", story_id, "explanation")
        return self._calls.get(path, finance.StoryExplanation, company=company)

    def score_texts(
        self, texts: Sequence[str], *, companies: Sequence[str] = (), explain: bool = False
    ) -> finance.ScoreResponse:
        """A score of each of 1 to 64 texts, overall and per company; nothing is kept."""
        body = made(
            finance.ScoreRequest, texts=list(texts), companies=list(companies), explain=explain
        )
        return self._calls.post(
            "/v1/finance/score", body, finance.ScoreResponse, repeat=True, slow=True
        )

    def send_score_feedback(
        self,
        label: finance.Sentiment,
        *,
        author: str,
        text: str | None = None,
        story_id: str | None = None,
        company: str | None = None,
        note: str = "",
    ) -> finance.ScoreFeedbackReceipt:
        """The right label of a story or a free text, overall or toward one company."""
        body = made(
            finance.ScoreFeedbackRequest,
            author=author,
            label=label,
            text=text,
            story_id=story_id,
            company=company,
            note=note,
        )
        return self._calls.post("/v1/finance/feedback", body, finance.ScoreFeedbackReceipt)

    def sentiment_index(
        self,
        subject: str = "all",
        *,
        step: finance.IndexStep = "day",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> finance.IndexSeries:
        """The index of ``all``, ``company:<id>`` or ``sector:<name>``: 10 days if unset."""
        return self._calls.get(
            "/v1/finance/index",
            finance.IndexSeries,
            subject=subject,
            step=step,
            since=_iso(since),
            until=_iso(until),
        )

    # Rules, alerts, targets

    def alert_rules(self) -> list[finance_alerts.RuleShape]:
        """All alert rules, the newest first."""
        return self._calls.get("/v1/finance/rules", finance_alerts.Rules).rules

    def create_alert_rule(
        self,
        name: str,
        kind: finance_alerts.RuleKind,
        scope: str,
        parameters: Mapping[str, JsonValue] | None = None,
        *,
        author: str,
    ) -> finance_alerts.RuleShape:
        """A rule that holds from now on; parameters left out have their defaults."""
        body = made(
            finance_alerts.CreateRuleRequest,
            name=name,
            kind=kind,
            scope=scope,
            parameters=dict(parameters or {}),
            author=author,
        )
        return self._calls.post("/v1/finance/rules", body, finance_alerts.RuleShape)

    def switch_alert_rule(
        self, rule_id: str, *, enabled: bool, author: str
    ) -> finance_alerts.RuleShape:
        """Let a rule fire, or not."""
        body = made(finance.SignedRequest, author=author)
        path = path_of(*ROOT, "rules", rule_id, "enable" if enabled else "disable")
        return self._calls.post(path, body, finance_alerts.RuleShape)

    def delete_alert_rule(self, rule_id: str, *, author: str) -> None:
        """Forget a rule; its alerts stay, with the rule as it was."""
        self._delete("rules", rule_id, author=author)

    def alerts(
        self,
        state: finance_alerts.AlertState | None = None,
        *,
        cursor: str | None = None,
        limit: int = 50,
    ) -> finance_alerts.Alerts:
        """A page of alerts (of one state), newest first."""
        return self._calls.get(
            "/v1/finance/alerts", finance_alerts.Alerts, state=state, cursor=cursor, limit=limit
        )

    def acknowledge_alert(
        self, alert_id: str, *, author: str, note: str = ""
    ) -> finance_alerts.AlertShape:
        """Somebody looks into it."""
        body = made(finance_alerts.AlertRequest, author=author, note=note)
        return self._calls.post(_alert(alert_id, "acknowledge"), body, finance_alerts.AlertShape)

    def snooze_alert(
        self, alert_id: str, until: datetime, *, author: str, note: str = ""
    ) -> finance_alerts.AlertShape:
        """Put it aside until then."""
        body = made(finance_alerts.SnoozeRequest, author=author, until=until, note=note)
        return self._calls.post(_alert(alert_id, "snooze"), body, finance_alerts.AlertShape)

    def close_alert(
        self, alert_id: str, *, author: str, note: str = ""
    ) -> finance_alerts.AlertShape:
        """It is done with."""
        body = made(finance_alerts.AlertRequest, author=author, note=note)
        return self._calls.post(_alert(alert_id, "close"), body, finance_alerts.AlertShape)

    def alert_targets(self) -> list[finance_alerts.TargetShape]:
        """Where alerts are sent."""
        return self._calls.get("/v1/finance/targets", finance_alerts.Targets).targets

    def add_alert_target(
        self,
        channel: finance_alerts.Channel,
        address: str,
        *,
        author: str,
        secret: str | None = None,
    ) -> finance_alerts.AddedTarget:
        """Send the alerts of the future there too; the secret is told this once."""
        body = made(
            finance_alerts.AddTargetRequest,
            channel=channel,
            address=address,
            secret=secret or None,
            author=author,
        )
        return self._calls.post("/v1/finance/targets", body, finance_alerts.AddedTarget)

    def remove_alert_target(self, target_id: str, *, author: str) -> None:
        """Send nothing there any more."""
        self._delete("targets", target_id, author=author)

    def _feed(self, feed_id: str, action: str, author: str) -> finance.FeedShape:
        body = made(finance.SignedRequest, author=author)
        return self._calls.post(path_of(*ROOT, "feeds", feed_id, action), body, finance.FeedShape)

    def _delete(self, kind: str, id: str, *, author: str) -> None:
        self._calls.send(
            "DELETE", path_of(*ROOT, kind, id), repeat=False, params={"author": author}
        )


def _alert(alert_id: str, action: str) -> str:
    return path_of(*ROOT, "alerts", alert_id, action)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
