"""The sentiment index: how the news of a subject stands, from -1 (bad) to 1 (good), over time.

At a moment, the index is a weighted mean of the moods of all stories published until then:

    weight = relevance * novelty * 0.5 ** (age / half-life)
    value  = sum(weight * mood) / (sum(weight) + NEUTRAL_WEIGHT)

The constant in the divisor stands for half a fresh story that is neutral: one story alone moves
the index less than five that agree, and without news the index goes back to 0.

Volume is compared with the same part of the same hour (of the same weekday, in steps of days) of
the past weeks. Its z-score divides by the spread of a prediction from n weeks; counts vary at
least as much as their mean (Poisson), so one quiet past does not make any story a sensation:

    z = (volume - mean) / sqrt(max(variance, mean, 1) * (1 + 1 / n))

Pure: the same rows give the same numbers to the last bit, in whatever order they come; sums are
rounded once (``math.fsum``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apps.finance.records import ScoredMention
from apps.finance.sentiment_index.timeline import Columns, Entry, Timeline, timeline_of, utc

IndexStep = Literal["hour", "day"]
STEPS: dict[str, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}

HALF_LIFE_HOURS = 24.0
"""Age in hours at which a story counts half."""
REMEMBERED_HALF_LIVES = 8
"""Older stories count for nothing: they would weigh less than 0.4 % of a fresh one."""
NEUTRAL_WEIGHT = 0.5
"""What stands beside the stories in the mean: a neutral half of one."""
PAST_WEEKS = 8
"""How many past weeks volume is compared with, as far as they are known."""
WEEK = timedelta(days=7)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """The index at a moment. ``value`` in [-1, 1], None where no story counts; ``weight`` >= 0."""

    value: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class VolumeComparison:
    """Stories of a stretch of time beside the same stretch of past weeks.

    ``expected`` is their mean over ``weeks`` known weeks, ``z`` how far ``count`` lies above it
    in standard deviations; both None where no week is known.
    """

    count: int
    weeks: int
    expected: float | None
    z: float | None


@dataclass(frozen=True, slots=True)
class IndexPoint:
    """The index as it stood ``at`` a moment, and the stories of the step that ends there.

    ``volume`` and ``negative_volume`` count stories; ``volume_z`` is None where no past week is
    known.
    """

    at: datetime
    value: float | None
    weight: float
    volume: int
    negative_volume: int
    volume_z: float | None


def sentiment_index(
    rows: Sequence[ScoredMention],
    *,
    subject: str,
    step: IndexStep,
    since: datetime,
    until: datetime,
    half_life_hours: float = HALF_LIFE_HOURS,
    known_since: datetime | None = None,
) -> list[IndexPoint]:
    """One point at each full hour or UTC midnight in (since, until], and one at ``until``.

    The last step may be cut short by ``until``. Two ranges that meet at a full step give the
    points of the whole range. ``rows`` may hold other subjects and other times; all of
    (``needed_since``, until] must be among them. ``known_since`` is when the monitor began to
    listen: weeks before it are not taken for silent ones (unset: the earliest row).

    ValueError: an unknown step, a time without a zone, a half-life that is not positive.
    """
    if step not in STEPS:
        raise ValueError(f"step is {step!r}, not one of {', '.join(STEPS)}")
    if known_since is None:
        known_since = min((row.published_at for row in rows), default=until)
    timeline = timeline_of(rows, subject)
    return [
        _point(timeline, begin, at, half_life_hours, utc(known_since))
        for begin, at in _steps(utc(since), utc(until), STEPS[step])
    ]


def needed_since(since: datetime, half_life_hours: float = HALF_LIFE_HOURS) -> datetime:
    """Rows published until then can make no difference to an index from ``since`` on."""
    longest = max(PAST_WEEKS * WEEK + STEPS["day"], remembered(half_life_hours))
    return utc(since) - longest


def remembered(half_life_hours: float) -> timedelta:
    """How long a story counts. ValueError: a half-life that is not positive and finite."""
    if not (math.isfinite(half_life_hours) and half_life_hours > 0):
        raise ValueError(f"the half-life is {half_life_hours} hours; it must be positive")
    return timedelta(hours=half_life_hours * REMEMBERED_HALF_LIVES)


def reading(timeline: Timeline, at: datetime, half_life_hours: float = HALF_LIFE_HOURS) -> Reading:
    """The index at a moment, from what was published until then."""
    entries = timeline.columns(at - remembered(half_life_hours), at)
    weights = entries.weight * _fresh(entries, at, half_life_hours)
    weight = math.fsum(weights.tolist())
    if weight <= 0.0:
        return Reading(None, 0.0)
    total = math.fsum((weights * entries.mood).tolist())
    return Reading(total / (weight + NEUTRAL_WEIGHT), weight)


def pulls(
    timeline: Timeline, after: datetime, at: datetime, half_life_hours: float
) -> list[tuple[float, Entry]]:
    """How much each entry of (after, at] pulls the index at ``at``: weight times mood."""
    entries = timeline.columns(after, at)
    each = entries.weight * _fresh(entries, at, half_life_hours) * entries.mood
    return list(zip(each.tolist(), timeline.between(after, at), strict=True))


def _fresh(entries: Columns, at: datetime, half_life_hours: float) -> NDArray[np.float64]:
    """1 for an entry of this moment, halved once a half-life of its age."""
    return np.exp2((entries.seconds - at.timestamp()) / (half_life_hours * 3600.0))


def count_stories(entries: Sequence[Entry], *, negative: bool = False) -> int:
    """Distinct stories, or only those that are negative in one of the entries."""
    return len({entry.story_id for entry in entries if entry.negative or not negative})


def compare_volume(
    timeline: Timeline,
    after: datetime,
    until: datetime,
    known_since: datetime,
    *,
    negative: bool = False,
) -> VolumeComparison:
    """Stories published in (after, until] beside the same hours of the past weeks."""
    count = count_stories(timeline.between(after, until), negative=negative)
    past = [
        count_stories(timeline.between(after - week, until - week), negative=negative)
        for week in (WEEK * number for number in range(1, PAST_WEEKS + 1))
        if after - week >= known_since
    ]
    if not past:
        return VolumeComparison(count, 0, None, None)
    mean = math.fsum(past) / len(past)
    variance = (
        math.fsum((one - mean) ** 2 for one in past) / (len(past) - 1) if len(past) > 1 else 0.0
    )
    spread = math.sqrt(max(variance, mean, 1.0) * (1.0 + 1.0 / len(past)))
    return VolumeComparison(count, len(past), mean, (count - mean) / spread)


def _point(
    timeline: Timeline, begin: datetime, at: datetime, half_life: float, known_since: datetime
) -> IndexPoint:
    now = reading(timeline, at, half_life)
    volume = compare_volume(timeline, begin, at, known_since)
    negative = count_stories(timeline.between(begin, at), negative=True)
    return IndexPoint(at, now.value, now.weight, volume.count, negative, volume.z)


def _steps(
    since: datetime, until: datetime, step: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """(begin, end) of the steps that end in (since, until]; the last one may end early."""
    begin = EPOCH + (since - EPOCH) // step * step
    while begin < until:
        end = min(begin + step, until)
        if end > since:
            yield begin, end
        begin += step
