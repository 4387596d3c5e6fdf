"""What people keep in order: feeds, the watch list, alert rules, alerts, and where those go.

Each change is signed and stands in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine

from apps.finance.alerts.rule_store import RuleStore
from apps.finance.alerts.store import Alert, AlertState, AlertStore
from apps.finance.alerts.targets import TargetStore
from apps.finance.entities import companies
from apps.finance.entities.folding import fold
from apps.finance.entities.gazetteer import Company
from apps.finance.feeds import FeedStore
from apps.finance.serving.alert_answers import answered
from apps.finance.serving.answers import as_added_target, as_company, as_feed, as_rule, as_target
from shared.api import finance, finance_alerts
from shared.errors import DataError, NotFound
from shared.web.addresses import AddressPolicy
from shared.web.connections import Resolve, system_addresses


class UpkeepService:
    """What the routes of feeds, companies, rules, alerts and targets call; every method blocks.

    ``policy`` says which addresses may be called, ``resolve`` asks for the addresses of a name.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        policy: AddressPolicy,
        clock: Callable[[], datetime],
        resolve: Resolve = system_addresses,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._resolve = resolve
        self._feeds = FeedStore(engine)
        self._rules = RuleStore(engine)
        self._alerts = AlertStore(engine)
        self._targets = TargetStore(engine)

    # Feeds

    def feeds(self) -> finance.Feeds:
        """All feeds with their health."""
        return finance.Feeds(feeds=[as_feed(feed) for feed in self._feeds.list()])

    def add_feed(self, request: finance.AddFeedRequest) -> finance.FeedShape:
        """Poll a feed from now on. Raises AddressRefused, Conflict, DataError."""
        self._policy.check_url(request.url)
        feed = self._feeds.add(
            request.url, request.name, request.interval_seconds, request.author, self._clock()
        )
        return as_feed(feed)

    def mute_feed(self, feed_id: str, author: str) -> finance.FeedShape:
        """Poll it no more. Raises NotFound."""
        return as_feed(self._feeds.mute(feed_id, author, self._clock()))

    def unmute_feed(self, feed_id: str, author: str) -> finance.FeedShape:
        """Poll it again. Raises NotFound."""
        return as_feed(self._feeds.unmute(feed_id, author, self._clock()))

    def remove_feed(self, feed_id: str, author: str) -> None:
        """Forget it; its stories stay. Raises NotFound."""
        self._feeds.remove(feed_id, author, self._clock())

    # Companies

    def companies(self, query: str | None, watched_only: bool, limit: int) -> finance.Companies:
        """Companies whose name, alias, ticker or id holds the query, watched ones first."""
        mine = {company.id for company in companies.watched(self._engine)}
        known = companies.linkable(self._engine)
        wanted = _key(query or "")
        found = [
            company
            for company in known
            if (company.id in mine or not watched_only) and _holds(company, wanted)
        ]
        found.sort(key=lambda one: (one.id not in mine, _key(one.name), one.id))
        return finance.Companies(
            companies=[as_company(one, watched=one.id in mine) for one in found[:limit]]
        )

    def company(self, company_id: str) -> finance.CompanyShape:
        """One company. Raises NotFound."""
        mine = {company.id for company in companies.watched(self._engine)}
        for company in companies.linkable(self._engine):
            if company.id == company_id:
                return as_company(company, watched=company.id in mine)
        raise NotFound(f"there is no company {company_id!r}", company=company_id)

    def watch(self, request: finance.WatchRequest) -> finance.CompanyShape:
        """Put a company on the watch list.

        Raises DataError unless exactly one of the id (of the gazetteer) and the name is given,
        Conflict where a name belongs to another company.
        """
        if (request.company_id is None) == (request.name is None):
            raise DataError("name a company_id of the gazetteer or a name: exactly one of them")
        now, author = self._clock(), request.author
        if request.company_id is not None:
            company = companies.watch(
                self._engine,
                request.company_id,
                added_by=author,
                now=now,
                aliases=request.aliases,
            )
        else:
            assert request.name is not None
            own = companies.custom_company(
                request.name,
                ticker=request.ticker,
                sector=request.sector,
                country=request.country,
                aliases=request.aliases,
            )
            company = companies.follow(self._engine, own, added_by=author, now=now)
        return as_company(company, watched=True)

    def unwatch(self, company_id: str, author: str) -> None:
        """Take a company off the watch list. Raises NotFound."""
        companies.unwatch(self._engine, company_id, removed_by=author, now=self._clock())

    # Rules

    def rules(self) -> finance_alerts.Rules:
        """All rules, the newest first."""
        return finance_alerts.Rules(rules=[as_rule(rule) for rule in self._rules.list()])

    def create_rule(self, request: finance_alerts.CreateRuleRequest) -> finance_alerts.RuleShape:
        """A rule that holds from now on. Raises DataError, which says what is wrong with it."""
        rule = self._rules.add(
            name=request.name,
            kind=request.kind,
            scope=request.scope,
            parameters=request.parameters,
            enabled=request.enabled,
            author=request.author,
            now=self._clock(),
        )
        return as_rule(rule)

    def switch_rule(self, rule_id: str, author: str, *, enabled: bool) -> finance_alerts.RuleShape:
        """Let a rule fire, or not. Raises NotFound."""
        return as_rule(
            self._rules.switch(rule_id, enabled=enabled, author=author, now=self._clock())
        )

    def delete_rule(self, rule_id: str, author: str) -> None:
        """Forget a rule; its alerts stay. Raises NotFound."""
        self._rules.remove(rule_id, author=author, now=self._clock())

    # Alerts

    def alerts(
        self, state: AlertState | None, cursor: str | None, limit: int
    ) -> finance_alerts.Alerts:
        """A page of alerts, newest first. Raises DataError for a foreign cursor."""
        page = self._alerts.page(now=self._clock(), state=state, cursor=cursor, limit=limit)
        return finance_alerts.Alerts(
            alerts=answered(self._engine, page.alerts), next_cursor=page.next_cursor
        )

    def acknowledge(
        self, alert_id: str, request: finance_alerts.AlertRequest
    ) -> finance_alerts.AlertShape:
        """Somebody has it. Raises NotFound, Conflict."""
        return self._answered(
            self._alerts.acknowledge(
                alert_id, author=request.author, now=self._clock(), note=request.note
            )
        )

    def snooze(
        self, alert_id: str, request: finance_alerts.SnoozeRequest
    ) -> finance_alerts.AlertShape:
        """Put it aside. Raises NotFound, Conflict, DataError for a time that has passed."""
        return self._answered(
            self._alerts.snooze(
                alert_id,
                request.until,
                author=request.author,
                now=self._clock(),
                note=request.note,
            )
        )

    def close(
        self, alert_id: str, request: finance_alerts.AlertRequest
    ) -> finance_alerts.AlertShape:
        """Be done with it. Raises NotFound, Conflict."""
        return self._answered(
            self._alerts.close(
                alert_id, author=request.author, now=self._clock(), note=request.note
            )
        )

    # Targets

    def targets(self) -> finance_alerts.Targets:
        """Where alerts are sent, the oldest first."""
        return finance_alerts.Targets(targets=[as_target(one) for one in self._targets.list()])

    def add_target(self, request: finance_alerts.AddTargetRequest) -> finance_alerts.AddedTarget:
        """Send the alerts of the future there too. Raises AddressRefused, DataError, Conflict."""
        target = self._targets.add(
            channel=request.channel,
            address=request.address,
            policy=self._policy,
            author=request.author,
            now=self._clock(),
            secret=request.secret,
            resolve=self._resolve,
        )
        return as_added_target(target)

    def remove_target(self, target_id: str, author: str) -> None:
        """Send nothing there any more. Raises NotFound."""
        self._targets.remove(target_id, author=author, now=self._clock())

    def _answered(self, alert: Alert) -> finance_alerts.AlertShape:
        (shape,) = answered(self._engine, [alert])
        return shape


def _key(text: str) -> str:
    return " ".join(fold(text).text.casefold().split())


def _holds(company: Company, wanted: str) -> bool:
    texts = (*company.names, company.ticker or "", company.id)
    return not wanted or any(wanted in _key(text) for text in texts)
