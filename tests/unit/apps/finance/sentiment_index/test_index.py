"""The sentiment index: its numbers, and the laws that it keeps."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance.records import SENTIMENTS, ScoredMention
from apps.finance.sentiment_index.index import (
    NEUTRAL_WEIGHT,
    REMEMBERED_HALF_LIVES,
    IndexPoint,
    IndexStep,
    compare_volume,
    needed_since,
    sentiment_index,
)
from apps.finance.sentiment_index.timeline import Timeline, entry_of, timeline_of
from tests.fakes.scored_rows import row

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
START = NOON - timedelta(days=40)


def index(
    rows: list[ScoredMention],
    since: datetime = NOON - 3 * HOUR,
    until: datetime = NOON,
    *,
    subject: str = "all",
    step: IndexStep = "hour",
    half_life_hours: float = 24.0,
    known_since: datetime | None = START,
) -> list[IndexPoint]:
    return sentiment_index(
        rows,
        subject=subject,
        step=step,
        since=since,
        until=until,
        half_life_hours=half_life_hours,
        known_since=known_since,
    )


def last(rows: list[ScoredMention], **options: object) -> IndexPoint:
    return index(rows, **options)[-1]  # type: ignore[arg-type]


def test_one_fresh_story_counts_beside_half_a_neutral_one() -> None:
    point = last([row("a", NOON)])
    assert point.value == pytest.approx((0.02 - 0.9) / (1 + NEUTRAL_WEIGHT))
    assert (point.at, point.weight, point.volume, point.negative_volume) == (NOON, 1.0, 1, 1)


def test_a_story_weighs_half_after_each_half_life_and_the_index_goes_back_to_neutral() -> None:
    points = index([row("a", NOON)], NOON - HOUR, NOON + timedelta(days=9), step="day")
    weights = [point.weight for point in points if point.weight]
    assert len(weights) == REMEMBERED_HALF_LIVES
    ratios = [later / earlier for earlier, later in pairwise(weights)]
    assert ratios == pytest.approx([0.5] * (REMEMBERED_HALF_LIVES - 1))
    values = [point.value for point in points if point.value is not None]
    assert values == sorted(values)
    assert abs(values[-1]) < 0.03
    assert points[-1].value is None


def test_relevance_and_novelty_decide_between_two_stories() -> None:
    bad, good = row("a", NOON), row("b", NOON, "positive")
    assert last([bad, good]).value == pytest.approx(0.0)
    faint = row("b", NOON, "positive", relevance=0.5, novelty=0.5)
    point = last([bad, faint])
    assert point.weight == pytest.approx(1.25)
    assert point.value == pytest.approx((-0.88 + 0.25 * 0.88) / (1.25 + NEUTRAL_WEIGHT))


def test_a_repetition_without_novelty_changes_volume_and_not_the_value() -> None:
    one = last([row("a", NOON)])
    two = last([row("a", NOON), row("b", NOON, "positive", novelty=0.0)])
    assert (two.value, two.weight) == (one.value, one.weight)
    assert (two.volume, two.negative_volume) == (2, 1)


def test_where_nothing_is_known_there_is_no_value() -> None:
    assert last([]) == IndexPoint(NOON, None, 0.0, 0, 0, pytest.approx(0.0))
    assert last([], known_since=NOON).volume_z is None


def test_subjects_are_kept_apart() -> None:
    rows = [
        row("a", NOON),
        row("a", NOON, "positive", company="acme", sector="steel"),
        row("a", NOON, "negative", company="bolt", sector="steel"),
        row("b", NOON, "neutral", company="coop"),
    ]
    assert last(rows).value < 0  # type: ignore[operator]
    assert last(rows, subject="company:acme").value > 0  # type: ignore[operator]
    steel = last(rows, subject="sector:steel")
    assert (steel.value, steel.volume, steel.negative_volume) == (pytest.approx(0.0), 1, 1)
    assert last(rows, subject="company:nobody").value is None
    assert last(rows, subject="sector:coop").volume == 0


def test_a_point_stands_at_each_full_hour_and_at_the_end() -> None:
    points = index([row("a", NOON - HOUR)], NOON - 2 * HOUR, NOON + HOUR / 2)
    ats = [NOON - HOUR, NOON, NOON + HOUR / 2]
    assert [point.at for point in points] == ats
    assert [point.volume for point in points] == [1, 0, 0]
    days = index([], NOON - timedelta(days=2), NOON, step="day")
    midnight = NOON.replace(hour=0)
    assert [point.at for point in days] == [midnight - timedelta(days=1), midnight, NOON]


def test_what_is_published_later_is_not_known_yet() -> None:
    assert last([row("a", NOON + timedelta(microseconds=1))]).value is None


def test_volume_is_compared_with_the_same_hour_of_past_weeks() -> None:
    week = timedelta(days=7)
    rows = [row(f"past{n}", NOON - week * n) for n in range(1, 6)]
    rows += [row(f"other{n}", NOON - week - n * HOUR) for n in range(2, 30)]
    rows += [row(f"now{n}", NOON - timedelta(minutes=n)) for n in range(9)]
    point = last(rows, known_since=NOON - 5 * week - HOUR)
    # Five weeks of one story each: mean 1, variance 0, so that the floor of 1 holds.
    assert point.volume_z == pytest.approx((9 - 1) / math.sqrt(1 * (1 + 1 / 5)))
    four = last(rows, known_since=NOON - 5 * week)
    assert four.volume_z == pytest.approx((9 - 1) / math.sqrt(1 * (1 + 1 / 4)))


def test_a_restless_past_makes_a_high_volume_less_surprising() -> None:
    week = timedelta(days=7)
    calm = [row(f"w{w}s{n}", NOON - week * w) for w in (1, 2, 3, 4) for n in range(5)]
    wild = [row(f"w{w}s{n}", NOON - week * w) for w, top in ((1, 20), (2, 0)) for n in range(top)]
    now = [row(f"now{n}", NOON) for n in range(15)]

    def z(past: list[ScoredMention]) -> float:
        found = compare_volume(timeline_of(past + now, "all"), NOON - HOUR, NOON, START)
        assert found.z is not None
        return found.z

    assert z(calm) > z(wild)


def test_one_week_is_enough_for_a_comparison_and_none_is_not() -> None:
    rows = [row("now", NOON), row("then", NOON - timedelta(days=7))]
    line = timeline_of(rows, "all")
    one = compare_volume(line, NOON - HOUR, NOON, NOON - timedelta(days=7) - HOUR)
    assert (one.count, one.weeks, one.expected, one.z) == (1, 1, 1.0, 0.0)
    none = compare_volume(line, NOON - HOUR, NOON, NOON - timedelta(days=7))
    assert (none.count, none.weeks, none.expected, none.z) == (1, 0, None, None)


@pytest.mark.parametrize("half_life", [0.0, -1.0, math.inf, math.nan])
def test_a_half_life_that_is_none_is_refused(half_life: float) -> None:
    with pytest.raises(ValueError, match="half-life"):
        index([], half_life_hours=half_life)


def test_other_steps_and_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="not one of hour, day"):
        index([], step="week")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no time zone"):
        index([], since=datetime(2026, 3, 1))  # noqa: DTZ001


def test_a_timeline_keeps_its_order_as_rows_come_in() -> None:
    rows = [row(str(n), NOON - n * HOUR) for n in (5, 1, 3)]
    line = Timeline()
    for one in rows:
        line.add(entry_of(one))
    found = line.between(NOON - 5 * HOUR, NOON - HOUR)
    assert [entry.story_id for entry in found] == ["3", "1"]
    assert len(line) == 3


shares = st.floats(0, 1)
moments = st.integers(0, 80 * 24 * 60).map(lambda m: NOON - timedelta(minutes=m))


@st.composite
def scored_rows(draw: st.DrawFn) -> list[ScoredMention]:
    places = draw(
        st.lists(
            st.tuples(
                st.integers(0, 30), st.sampled_from([None, "acme", "bolt"]), moments, shares, shares
            ),
            max_size=40,
            unique_by=lambda place: place[:2],
        )
    )
    rows = []
    for story, company, at, relevance, novelty in places:
        weights = [draw(st.integers(0, 8)) for _ in SENTIMENTS]
        total = sum(weights) or 1
        parts = dict(zip(SENTIMENTS, [weight / total for weight in weights], strict=True))
        label = max(parts, key=lambda name: parts[name])
        sector = "steel" if company else None
        found = row(
            str(story),
            at,
            label,
            company=company,
            sector=sector,
            relevance=relevance,
            novelty=novelty,
            **parts,
        )
        rows.append(found)
    return rows


subjects = st.sampled_from(["all", "company:acme", "sector:steel"])
steps = st.sampled_from(["hour", "day"])
half_lives = st.floats(0.1, 200)


@settings(max_examples=60, deadline=None)
@given(scored_rows(), subjects, steps, half_lives)
def test_the_index_stays_within_its_bounds(
    rows: list[ScoredMention], subject: str, step: IndexStep, half_life: float
) -> None:
    since = NOON - timedelta(days=4)
    for point in index(rows, since, subject=subject, step=step, half_life_hours=half_life):
        assert point.value is None or -1.0 <= point.value <= 1.0
        assert (point.value is None) == (point.weight == 0.0)
        assert point.weight >= 0.0
        assert 0 <= point.negative_volume <= point.volume
        assert point.volume_z is None or math.isfinite(point.volume_z)


@settings(max_examples=40, deadline=None)
@given(st.data(), scored_rows(), subjects, half_lives)
def test_the_order_of_rows_makes_no_difference_to_the_last_bit(
    data: st.DataObject, rows: list[ScoredMention], subject: str, half_life: float
) -> None:
    shuffled = data.draw(st.permutations(rows))
    since = NOON - timedelta(days=2)
    expected = index(rows, since, subject=subject, half_life_hours=half_life)
    assert index(shuffled, since, subject=subject, half_life_hours=half_life) == expected


@settings(max_examples=40, deadline=None)
@given(scored_rows(), subjects, half_lives, st.integers(1, 71))
def test_two_ranges_that_meet_give_the_points_of_the_whole(
    rows: list[ScoredMention], subject: str, half_life: float, cut: int
) -> None:
    since = NOON - timedelta(days=3)
    middle = since + cut * HOUR
    parts = [
        point
        for begin, end in ((since, middle), (middle, NOON))
        for point in index(rows, begin, end, subject=subject, half_life_hours=half_life)
    ]
    assert parts == index(rows, since, NOON, subject=subject, half_life_hours=half_life)


@settings(max_examples=40, deadline=None)
@given(scored_rows(), subjects, half_lives)
def test_rows_older_than_needed_change_nothing(
    rows: list[ScoredMention], subject: str, half_life: float
) -> None:
    since = NOON - timedelta(days=1)
    oldest = needed_since(since, half_life)
    enough = [one for one in rows if one.published_at > oldest]
    known = START - timedelta(days=60)
    expected = index(rows, since, subject=subject, half_life_hours=half_life, known_since=known)
    found = index(enough, since, subject=subject, half_life_hours=half_life, known_since=known)
    assert found == expected
