from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from apps.finance.page_parts.index_charts import (
    index_chart,
    index_frame,
    movers_chart,
    volume_frame,
)
from shared.api.finance import IndexPointShape, IndexSeries, IndexStep
from shared.api.finance_alerts import Mover

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)


def point(at: datetime, value: float | None, volume: int = 0, negative: int = 0) -> IndexPointShape:
    return IndexPointShape(
        at=at,
        value=value,
        weight=1.0,
        volume=volume,
        negative_volume=negative,
        volume_z=None,
    )


def series(step: IndexStep, *points: IndexPointShape) -> IndexSeries:
    return IndexSeries(subject="all", step=step, points=list(points))


def test_points_stand_at_the_readers_clock_and_tell_utc() -> None:
    frame = index_frame(series("hour", point(MIDNIGHT, 0.5), point(MIDNIGHT, None)), BERLIN)
    assert len(frame) == 1
    assert frame["at"][0] == datetime(2026, 11, 24, 1, 0)  # noqa: DTZ001
    assert (frame["told"][0], frame["utc"][0]) == ("Tue 24 Nov, 01:00", "Tue 24 Nov, 00:00")


def test_negative_stories_stand_below_the_others_in_one_bar() -> None:
    frame = volume_frame(series("day", point(MIDNIGHT, 0.1, 10, 4), point(MIDNIGHT, 0.1)), UTC)
    assert frame[["kind", "base", "from_zero"]].to_numpy().tolist() == [
        ["negative", 0, 4],
        ["other", 4, 10],
    ]
    assert frame["span"][0] == "Mon 23 Nov, 00:00 to Tue 24 Nov, 00:00"


def test_a_step_that_is_cut_short_begins_where_it_should() -> None:
    at = MIDNIGHT + timedelta(hours=9, minutes=20)
    day = volume_frame(series("day", point(at, 0.1, 3)), UTC)
    hour = volume_frame(series("hour", point(at, 0.1, 3)), UTC)
    assert day["span"][0].startswith("Tue 24 Nov, 00:00 to Tue 24 Nov, 09:20")
    assert hour["span"][0].startswith("Tue 24 Nov, 09:00 to")
    assert MIDNIGHT.replace(tzinfo=None) < day["begin"][0] < day["end"][0]
    assert day["end"][0] < at.replace(tzinfo=None)


def test_the_chart_keeps_line_and_bars_on_axes_of_their_own() -> None:
    line = series("hour", point(MIDNIGHT, -0.2), point(MIDNIGHT + timedelta(hours=1), 0.3))
    drawn = index_chart(line, series("day", point(MIDNIGHT, 0.1, 10, 4)), BERLIN).to_dict()
    assert drawn["resolve"] == {"scale": {"y": "independent"}}
    bars, moods = drawn["layer"]
    assert bars["encoding"]["y"]["scale"]["domain"] == [0, 42.0]
    assert moods["layer"][0]["encoding"]["y"]["scale"]["domain"] == [-1, 1]
    begin = datetime(2026, 11, 23, 1, 0, tzinfo=UTC) + timedelta(days=0.08)
    end = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    assert bars["encoding"]["x"]["scale"] == {
        "type": "utc",
        "domain": [begin.timestamp() * 1000, end.timestamp() * 1000],
    }


def test_a_chart_of_nothing_is_a_chart() -> None:
    assert index_chart(series("hour"), series("day"), UTC).to_dict()["layer"]


def test_movers_stand_in_the_order_of_their_change() -> None:
    def mover(name: str, change: float) -> Mover:
        return Mover(company_id=name, name=name, before=0.0, now=change, change=change, stories=1)

    drawn = movers_chart(
        [mover("most up", 0.6), mover("up", 0.1)], [mover("most down", -0.7), mover("down", -0.1)]
    ).to_dict()
    assert drawn["layer"][0]["encoding"]["y"]["sort"] == ["most up", "up", "down", "most down"]
