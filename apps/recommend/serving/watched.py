"""What the recommender counts: lists, impressions, clicks; and how old its fits are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Engine, and_, func, or_, select

from shared.serving.watching.stored_gauges import ReadGauges, StoredGauge
from shared.storage.engine import reading
from shared.storage.recommend_tables import catalogue_state

if TYPE_CHECKING:
    from shared.serving.watching.metrics import Metrics

ListKind = Literal["user", "session"]


class ListCounter:
    """Counts lists and clicks, once it has been given metrics; before that it does nothing.

    The click-through rate is clicks over impressions, both counted in this process since it
    started; an experiment's own rates stand in the database.
    """

    def __init__(self) -> None:
        self._lists: Any = None
        self._impressions: Any = None
        self._short: Any = None
        self._clicks: Any = None

    def measure(self, metrics: Metrics) -> None:
        """Count there from now on."""
        kind = ["kind"]
        self._lists = metrics.counter(
            "triptych_recommend_lists_total",
            "Lists by kind, and whether the model knew anything that the visitor did",
            ["kind", "history"],
        )
        self._impressions = metrics.counter(
            "triptych_recommend_impressions_total", "Lists whose showing was recorded", kind
        )
        self._short = metrics.counter(
            "triptych_recommend_short_lists_total", "Lists shorter than was asked for", kind
        )
        self._clicks = metrics.counter(
            "triptych_recommend_clicks_total", "Items of shown lists that were clicked, each once"
        )
        for one in ("user", "session"):  # a rate over a counter that is not there yet is no rate
            self._impressions.labels(one)
            self._short.labels(one)

    def listed(self, kind: ListKind, *, known: bool, recorded: bool, short: bool) -> None:
        """Count a list that is answered now."""
        if self._lists is None:
            return
        self._lists.labels(kind, "known" if known else "none").inc()
        if recorded:
            self._impressions.labels(kind).inc()
        if short:
            self._short.labels(kind).inc()

    def clicked(self) -> None:
        """Count a click that was not counted before."""
        if self._clicks is not None:
            self._clicks.inc()


def recommend_gauges(engine: Engine) -> ReadGauges:
    """A reader of the fits' gauges, over all tenants."""
    finished = catalogue_state.c.refit_finished_at
    requested, started = catalogue_state.c.refit_requested_at, catalogue_state.c.refit_started_at
    waits = and_(requested.is_not(None), or_(started.is_(None), started < requested))
    query = select(
        func.min(finished, type_=finished.type).label("finished"),
        func.count().filter(catalogue_state.c.refit_error.is_not(None)).label("failed"),
        func.min(requested, type_=requested.type).filter(waits).label("asked"),
    )

    def read(_now: datetime) -> Iterable[StoredGauge]:
        with reading(engine) as connection:
            row = connection.execute(query).one()
        return [
            StoredGauge.single(
                "triptych_recommend_fit_timestamp_seconds",
                "When the bundle of the tenant whose fit is oldest was fitted",
                row.finished,
            ),
            StoredGauge.single(
                "triptych_recommend_fits_failed", "Tenants whose last fit failed", float(row.failed)
            ),
            StoredGauge.single(
                "triptych_recommend_fit_asked_timestamp_seconds",
                "Since when the fit that has waited longest has been asked for",
                row.asked,
            ),
        ]

    return read
