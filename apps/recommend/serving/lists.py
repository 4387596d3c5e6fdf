"""Lists: for a user, a visit, an item, a text; and why an item has its score.

history from the database ─┐
view of the catalogue ─────┼─> rank (pure) ─> reasons (pure) ─> impression written ─> answer
arm of an experiment ──────┘
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from apps.recommend.events.store import StoredHistory
from apps.recommend.experiments.assignment import Assignment
from apps.recommend.ranking.filters import Filters
from apps.recommend.ranking.listing import ListRequest, RankedList
from apps.recommend.ranking.ranker import Wish, rank_by_values, rank_for_history
from apps.recommend.ranking.reasons import explain
from apps.recommend.serving import answers
from apps.recommend.serving.catalogue_view import CatalogueView
from apps.recommend.serving.request_reading import UserMoment
from apps.recommend.serving.watched import ListKind
from shared.api import recommend_lists
from shared.catalogue import BehaviourEvent
from shared.errors import DataError, NotFound
from shared.histories import Rows, UserHistory

HISTORY = 200
"""Events of a history, the newest, that a list is made of."""
WHOLE_HISTORY = 1_000_000
"""Events that are read where everything seen is to be hidden."""
TOLD = 5
"""Items of the history that a reason names."""
NOBODY = ""
"""Whose impression that of a visit is: it names no user."""


class UserReader(Protocol):
    """What lists read of a tenant: ``apps.recommend.serving.request_reading.RequestReader``."""

    def user(self, user: str, limit: int) -> UserMoment:
        """The catalogue's change number, and what a user did up to then."""
        ...


class SessionReader(Protocol):
    """What lists read of sessions: ``apps.recommend.events.store.EventStore`` is one."""

    def session_history(self, session: str) -> StoredHistory:
        """What happened in a session, oldest first."""
        ...


class ViewOf(Protocol):
    """Gives a tenant's catalogue, with the change that is needed at least."""

    def __call__(self, tenant: str, needed: int | None = None) -> CatalogueView:
        """The catalogue; as it is now where no change is named."""
        ...


class Impressions(Protocol):
    """Who sees which arm, and what was shown."""

    def assignment(self, tenant: str, user: str) -> Assignment | None:
        """The arm of a user in the experiment that runs, None where none does."""
        ...

    def shown(
        self,
        tenant: str,
        user: str,
        items: Sequence[str],
        assignment: Assignment | None,
        now: datetime,
        *,
        since: datetime | None = None,
    ) -> str | None:
        """Keep that a list was shown; the id of the impression.

        None, and nothing is kept, where the user was forgotten since the request began.
        """
        ...


class Counts(Protocol):
    """Is told of each list: ``apps.recommend.serving.watched.ListCounter``."""

    def listed(self, kind: ListKind, *, known: bool, recorded: bool, short: bool) -> None:
        """Whether the model knew what was done, the showing was kept, the list was short."""
        ...


class ListService:
    """What the routes of lists call; every method blocks.

    ``reader`` and ``sessions`` give what reads a tenant's users and sessions; ``draw`` a seed for a
    request that has none; ``count`` is told of each list.
    """

    def __init__(
        self,
        *,
        view: ViewOf,
        reader: Callable[[str], UserReader],
        sessions: Callable[[str], SessionReader],
        impressions: Impressions,
        clock: Callable[[], datetime],
        draw: Callable[[], int],
        count: Counts | None = None,
    ) -> None:
        self._view = view
        self._reader = reader
        self._sessions = sessions
        self._impressions = impressions
        self._clock = clock
        self._draw = draw
        self._count = count

    def for_user(
        self, tenant: str, user: str, body: recommend_lists.ListSettings
    ) -> recommend_lists.ListShape:
        """A list for a user; an unknown one gets what is popular. Raises DataError."""
        begun = self._clock()
        whole = body.filters.hide == "seen"
        moment = self._reader(tenant).user(user, WHOLE_HISTORY if whole else HISTORY)
        view = self._view(tenant, moment.change)
        bought = moment.bought | unwanted(moment.history)
        assignment = self._impressions.assignment(tenant, user) if moment.experimenting else None
        settings = body.model_copy(update=assignment.settings) if assignment else body
        return self._answer(tenant, user, view, moment.history, bought, settings, begun, assignment)

    def for_session(
        self, tenant: str, body: recommend_lists.SessionBody
    ) -> recommend_lists.ListShape:
        """A list for a visit. Raises DataError unless exactly one way of naming it is used."""
        given = [body.session, body.items, body.events]
        if sum(one is not None for one in given) != 1:
            raise DataError("a visit is a session, items or events: give exactly one of them")
        begun, view = self._clock(), self._view(tenant)
        if body.session is not None:
            stored = self._sessions(tenant).session_history(body.session)
        else:
            told = body.events or [
                recommend_lists.SessionEvent(item=item) for item in body.items or ()
            ]
            stored = visit(told, begun)
        bought = unwanted(stored, ("purchase", "dislike"))
        return self._answer(tenant, NOBODY, view, stored, bought, body, begun)

    def similar(
        self, tenant: str, item: str, k: int, *, category: str | None, available_only: bool
    ) -> recommend_lists.SimilarShape:
        """The items nearest to an item. Raises NotFound."""
        view = self._view(tenant)
        row = known_row(view, item)
        filters = Filters(
            categories=frozenset([category] if category else []),
            available_only=available_only,
            exclude=frozenset([item]),
            hide="none",
        )
        ranked = rank_by_values(
            view.scorer.similar(row),
            view.scorer,
            view.arrays,
            Wish(filters, ListRequest(k=k)),
            part="behaviour",
        )
        return recommend_lists.SimilarShape(
            item=answers.as_summary(view.items[item]),
            bundle=view.bundle,
            entries=answers.as_scored(view, ranked),
        )

    def query(self, tenant: str, body: recommend_lists.QueryBody) -> recommend_lists.QueryShape:
        """The items that fit a text. Raises DataError."""
        view = self._view(tenant)
        wish = Wish(_filters(body.filters), ListRequest(k=body.k))
        values = view.scorer.search(body.text)
        ranked = rank_by_values(values, view.scorer, view.arrays, wish, part="text")
        return recommend_lists.QueryShape(
            bundle=view.bundle,
            entries=answers.as_scored(view, ranked),
            missing=answers.as_missing(ranked.missing),
        )

    def explain(
        self, tenant: str, body: recommend_lists.ExplainBody
    ) -> recommend_lists.ExplainShape:
        """A score taken apart, whether or not a list would hold the item. Raises NotFound."""
        moment = self._reader(tenant).user(body.user, HISTORY)
        view, stored = self._view(tenant, moment.change), moment.history
        row = known_row(view, body.item)
        history, _ = known_history(view, stored)
        only = np.zeros(len(view.scorer.item_ids), dtype=bool)
        only[row] = True
        now = self._clock().timestamp()
        scores = view.scorer.score(history, allowed=only, wanted=1, now=now)
        (reasons,) = explain(history, view.scorer, scores, now=now, most=TOLD)
        return recommend_lists.ExplainShape(
            user=body.user,
            item=answers.as_summary(view.items[body.item]),
            bundle=view.bundle,
            score=float(scores.totals[0]),
            parts={name: float(part[0]) for name, part in scores.parts.items()},
            reasons=answers.as_reasons(view, reasons, deeds_of(stored)),
        )

    def _answer(
        self,
        tenant: str,
        user: str,
        view: CatalogueView,
        stored: StoredHistory,
        bought: Collection[str],
        settings: recommend_lists.ListSettings,
        begun: datetime,
        assignment: Assignment | None = None,
    ) -> recommend_lists.ListShape:
        now = begun.timestamp()
        history, seen = known_history(view, stored)
        row_of = view.arrays.row_of
        wish = Wish(
            _filters(settings.filters),
            answers.as_request(settings, seed=self._draw()),
            bought=[row_of[item] for item in bought if item in row_of],
            seen=seen,
        )
        ranked = rank_for_history(history, view.scorer, view.arrays, wish, now=now)
        reasons = (
            explain(history, view.scorer, ranked.scores, now=now, most=TOLD)
            if settings.explain
            else ()
        )
        request_id = None
        if settings.record:
            request_id = self._impressions.shown(
                tenant,
                user,
                shown_ids(view, ranked),
                assignment,
                self._clock(),
                since=begun,
            )
        if self._count is not None:
            self._count.listed(
                "session" if user == NOBODY else "user",
                known=len(history) > 0,
                recorded=request_id is not None,
                short=len(ranked.entries) < settings.k,
            )
        return recommend_lists.ListShape(
            request_id=request_id,
            bundle=view.bundle,
            experiment=assignment.experiment if assignment else None,
            arm=assignment.arm if assignment else None,
            events=len(history),
            entries=answers.as_entries(view, ranked, reasons, deeds_of(stored)),
            missing=answers.as_missing(ranked.missing),
        )


def known_history(view: CatalogueView, stored: StoredHistory) -> tuple[UserHistory, Rows]:
    """The newest events whose item the scorer knows, and the rows of all that was seen."""
    row_of = view.arrays.row_of
    rows = np.array([row_of.get(item, -1) for item in stored.item_ids], dtype=np.int64)
    known = rows >= 0
    history = UserHistory(rows[known], stored.strengths[known], stored.times[known])
    return history.last(HISTORY), history.rows


def known_row(view: CatalogueView, item: str) -> int:
    """The row of an item of the catalogue. Raises NotFound."""
    if item not in view.items:
        raise NotFound(f"there is no item {item!r} in the catalogue", item=item)
    return view.arrays.row_of[item]


def visit(events: Sequence[recommend_lists.SessionEvent], now: datetime) -> StoredHistory:
    """A visit that is not stored, as if it had happened now. Raises DataError."""
    try:
        made = [
            BehaviourEvent(
                id="visit", user="visitor", item=one.item, type=one.type, at=now, value=one.value
            )
            for one in events
        ]
    except ValueError as error:
        raise DataError(f"an event of the visit cannot be used: {error}") from error
    return StoredHistory(
        item_ids=tuple(one.item for one in made),
        strengths=np.array([one.strength for one in made], dtype=np.float32),
        times=np.full(len(made), now.timestamp()),
        types=tuple(one.type for one in made),
        sessions=(None,) * len(made),
    )


def unwanted(stored: StoredHistory, types: Sequence[str] = ("dislike",)) -> frozenset[str]:
    """The items with an event of these types: what was disliked is not offered again."""
    pairs = zip(stored.item_ids, stored.types, strict=True)
    return frozenset(item for item, type in pairs if type in types)


def deeds_of(stored: StoredHistory) -> dict[str, str]:
    """What was done last with each item."""
    return dict(zip(stored.item_ids, stored.types, strict=True))


def shown_ids(view: CatalogueView, ranked: RankedList) -> list[str]:
    """The ids of a list's items, in order."""
    return [view.scorer.item_ids[entry.row] for entry in ranked.entries]


def _filters(shape: recommend_lists.FilterShape) -> Filters:
    try:
        return answers.as_filters(shape)
    except ValueError as error:
        raise DataError(f"the filters cannot be used: {error}") from error
