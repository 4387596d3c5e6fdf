"""What a rule may be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.finance.alerts.rules import (
    RULE_KINDS,
    AlertRule,
    BurstParameters,
    FallParameters,
    ThresholdParameters,
    make_rule,
)
from shared.errors import DataError

pytestmark = pytest.mark.unit


def rule(kind: str = "threshold", scope: str = "all", name: str = "r", **given: Any) -> AlertRule:
    return make_rule(
        id="r1",
        name=name,
        kind=kind,
        scope=scope,
        parameters=given,
        enabled=True,
        author="Ada",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("kind", RULE_KINDS)
def test_each_kind_can_be_made_and_comes_back_from_its_json(kind: str) -> None:
    events = {"events": ["lawsuit"]} if kind == "event" else {}
    quiet = {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"}
    made = rule(kind, quiet_hours=quiet, **events)
    stored = made.as_json()
    again = rule(stored["kind"], stored["scope"], stored["name"], **stored["parameters"])
    assert again == made
    assert stored["parameters"]["quiet_hours"] == quiet


def test_the_levels_that_make_a_rule_ready_again_have_defaults() -> None:
    below = rule(level=-0.3).parameters
    assert isinstance(below, ThresholdParameters)
    assert below.rearm_level == pytest.approx(-0.2)
    above = rule(level=0.3, direction="above").parameters
    assert isinstance(above, ThresholdParameters)
    assert above.rearm_level == pytest.approx(0.2)
    fall = rule("fall", points=0.6).parameters
    assert isinstance(fall, FallParameters)
    assert fall.rearm_below == pytest.approx(0.3)
    burst = rule("burst", min_stories=9, min_z=4).parameters
    assert isinstance(burst, BurstParameters)
    assert (burst.rearm_count, burst.rearm_below_z) == (4, 2.0)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("threshold", {"level": -0.3, "rearm": -0.3}, "above the level"),
        ("threshold", {"level": 0.3, "direction": "above", "rearm": 0.4}, "below the level"),
        ("threshold", {"level": -2}, "level: "),
        ("threshold", {"level": float("nan")}, "level: "),
        ("threshold", {"levle": 0.1}, "levle is no parameter of a threshold rule: cooldown_hours"),
        ("threshold", {"quiet_hours": {"start": "22:00", "end": "x"}}, "quiet_hours.end: "),
        ("fall", {"points": 0.4, "rearm_points": 0.4}, "less than points"),
        ("fall", {"points": 0}, "points: "),
        ("burst", {"rearm_stories": 5}, "less than min_stories"),
        ("burst", {"rearm_z": 3.0}, "less than min_z"),
        ("burst", {"cooldown_hours": -1}, "cooldown_hours: "),
        ("event", {}, "events: "),
        ("event", {"events": []}, "events: "),
        ("surge", {}, "'surge' is no kind of rule: threshold, fall, burst, event"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(kind: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        rule(kind, **given)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "scope", ["", "everything", "company:", "company:a*", "company:*b", "sector:", "sector:a\nb"]
)
def test_a_scope_that_is_none_is_refused(scope: str) -> None:
    with pytest.raises(DataError, match="is no scope"):
        rule(scope=scope)


@pytest.mark.parametrize("name", ["", "  ", "a\r\nBcc: x@example.com", "a\u2028b", "n" * 201])
def test_a_name_is_one_line(name: str) -> None:
    with pytest.raises(DataError, match="one line"):
        rule(name=name)


def test_a_scope_names_its_subjects() -> None:
    watched = ["bolt", "acme", "acme"]
    assert rule(scope="all").subjects(watched) == ("all",)
    assert rule(scope="company:coop").subjects(watched) == ("company:coop",)
    assert rule(scope="company:*").subjects(watched) == ("company:acme", "company:bolt")
    assert rule(scope="company:*").subjects([]) == ()
    assert rule(scope="sector:Steel & iron").subjects(watched) == ("sector:Steel & iron",)
