from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.api.drift import DriftCheck
from shared.monitoring.drift_history import ADVICE
from shared.ui.drift_charts import (
    SIGNALS,
    drifting_since,
    signal_chart,
    signal_frame,
    standing,
)
from tests.fakes.drift_answers import drift_of

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def checks(*, told: bool = True) -> list[DriftCheck]:
    return drift_of("support", "v1", NOW, told=told).checks


def test_each_signal_has_a_title_of_its_own() -> None:
    assert set(SIGNALS) == set(ADVICE)
    assert len({one.title for one in SIGNALS.values()}) == len(SIGNALS)


def test_how_a_signal_stands_to_its_limit() -> None:
    labels = next(one for one in checks()[-1].signals if one.name == "labels")
    assert labels.drifted
    assert standing(labels).endswith(", limit 0.10")
    chance = labels.model_copy(update={"drifted": False, "p_value": 0.02})
    assert "it may be chance (p 0.02)" in standing(chance)
    share = labels.model_copy(update={"name": "out_of_scope", "effect": 0.031, "floor": 0.05})
    assert standing(share) == "3.1 points, limit 5.0 points"


def test_since_when_a_signal_tells_drift() -> None:
    found = checks()
    fired = [one.at for one in found for s in one.signals if s.name == "labels" and s.drifted]
    assert drifting_since(found, "labels") == min(fired)
    assert drifting_since(found, "centroid") is None
    few = found[-1].model_copy(update={"at": NOW, "verdict": "too few readings", "signals": []})
    assert drifting_since([*found, few], "labels") == min(fired)
    other = [one.model_copy(update={"version": "v0"}) for one in found[:-1]]
    assert drifting_since([*other, found[-1]], "labels") == found[-1].at


def test_the_chart_has_every_comparison_in_the_readers_time_and_the_limit_in_sight() -> None:
    found = checks()
    frame = signal_frame(found, "out_of_scope", BERLIN)
    assert len(frame) == len(found)
    assert frame["at"].iloc[-1].hour == found[-1].at.astimezone(BERLIN).hour
    assert frame["limit"].tolist() == [5.0] * len(found)  # in points
    assert frame["state"].tolist().count("drift") == sum(
        one.drifted for check in found for one in check.signals if one.name == "out_of_scope"
    )
    spec = signal_chart(frame).to_dict()
    low, high = spec["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert low <= frame["effect"].min()
    assert high > max(5.0, frame["effect"].max())


def test_one_comparison_alone_is_a_chart_too() -> None:
    frame = signal_frame(checks(told=False)[:1], "separability", BERLIN)
    spec = signal_chart(frame).to_dict()
    low, high = spec["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert (low, high > 0.6) == (0.4, True)
    first, last = spec["layer"][1]["encoding"]["x"]["scale"]["domain"]
    assert first != last
    assert timedelta(0) < timedelta(hours=last["hours"] - first["hours"])
