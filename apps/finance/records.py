"""What the finance monitor passes around: a story, where it was read, and what it says of whom.

Records validate themselves when they are made. Times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

Sentiment = Literal["negative", "neutral", "positive"]
SENTIMENTS: tuple[Sentiment, ...] = ("negative", "neutral", "positive")
"""The three classes, in the order of every table and chart."""

StoryKind = Literal["news", "post"]
STORY_KINDS: tuple[StoryKind, ...] = get_args(StoryKind)

Reason = Mapping[str, Any]
"""Why a rule decided: {"kind": "rule", "rule", "pattern", "text", "effect": "pin" or "raise"}."""


def whole_text(title: str, text: str) -> str:
    """Title, newline, text; the title alone where there is no text. Spans count in this."""
    return f"{title}\n{text}" if text else title


FeedState = Literal["active", "muted"]


@dataclass(frozen=True, slots=True)
class Feed:
    """An address that is polled, and how its polls went.

    ``interval_seconds`` is the shortest time between two polls; ``update_after`` None is due at
    once; ``failures`` counts those in a row; ``notice`` says why a feed was muted.
    """

    id: str
    url: str
    name: str
    state: FeedState
    notice: str | None
    etag: str | None
    last_modified: str | None
    interval_seconds: int
    update_after: datetime | None
    last_polled_at: datetime | None
    last_success_at: datetime | None
    last_error: str | None
    failures: int
    added_by: str
    created_at: datetime

    def __post_init__(self) -> None:
        _check_utc(
            update_after=self.update_after,
            last_polled_at=self.last_polled_at,
            last_success_at=self.last_success_at,
            created_at=self.created_at,
        )
        if self.interval_seconds <= 0:
            raise ValueError(f"interval_seconds is {self.interval_seconds}, not positive")


LEAD_CHARACTERS = 240
"""Of a story, what it is grouped, classed and read by as a whole: about two sentences."""


@dataclass(frozen=True, slots=True)
class StoryText:
    """The words of a story, as a scorer reads them."""

    title: str
    text: str = ""

    @property
    def whole(self) -> str:
        """Title, newline, text; the title alone where there is no text."""
        return whole_text(self.title, self.text)

    @property
    def lead(self) -> str:
        """Title and what follows it, up to LEAD_CHARACTERS, cut between words."""
        whole = self.whole
        if len(whole) <= LEAD_CHARACTERS:
            return whole
        cut = max(whole.rfind(" ", 0, LEAD_CHARACTERS), len(self.title[:LEAD_CHARACTERS]))
        return whole[:cut]


@dataclass(frozen=True, slots=True)
class Mention:
    """What a story says of one company.

    ``spans`` are (start, end) in ``StoryText.whole``; ``relevance`` in [0, 1]; ``probabilities``
    holds all of SENTIMENTS and sums to 1.
    """

    company_id: str
    name: str
    sector: str | None
    relevance: float
    in_title: bool
    spans: tuple[tuple[int, int], ...]
    label: str
    probabilities: Mapping[str, float]
    reason: Reason | None = None

    def __post_init__(self) -> None:
        if not self.company_id or not self.name:
            raise ValueError("a mention needs a company with an id and a name")
        if not 0.0 <= self.relevance <= 1.0:
            raise ValueError(f"relevance is {self.relevance}, outside [0, 1]")
        if any(not 0 <= start < end for start, end in self.spans):
            raise ValueError(f"a span needs 0 <= start < end: {self.spans}")
        _check_sentiment(self.label, self.probabilities)


@dataclass(frozen=True, slots=True)
class StoryScore:
    """What one model version says of a story, overall and per company."""

    label: str
    probabilities: Mapping[str, float]
    reason: Reason | None
    event: str | None
    event_probability: float | None
    mentions: tuple[Mention, ...]
    version: str

    def __post_init__(self) -> None:
        _check_sentiment(self.label, self.probabilities)
        if not self.version:
            raise ValueError("a score needs the version that gave it")
        if (self.event is None) != (self.event_probability is None):
            raise ValueError("an event and its probability come together")
        companies = [mention.company_id for mention in self.mentions]
        if len(set(companies)) < len(companies):
            raise ValueError("a company is mentioned once a story, with all its spans")


@dataclass(frozen=True, slots=True)
class StorySource:
    """One entry of one origin that carries the story.

    ``seen_at`` is when its present words were first seen; ``revisions`` counts earlier wordings.
    """

    origin: str
    feed_id: str | None
    publisher: str
    author: str | None
    link: str | None
    title: str
    published_at: datetime | None
    seen_at: datetime
    revisions: int = 0

    def __post_init__(self) -> None:
        _check_utc(seen_at=self.seen_at, published_at=self.published_at)


@dataclass(frozen=True, slots=True)
class Story:
    """One story, however many publishers carry it.

    ``novelty`` in [0, 1] is 1 less the highest cosine with what was known within the window;
    ``near_story_id`` names the story of that cosine. ``score`` is None until a model scored it.
    """

    id: str
    kind: StoryKind
    title: str
    text: str
    link: str | None
    published_at: datetime
    first_seen_at: datetime
    updated_at: datetime
    novelty: float
    near_story_id: str | None
    sources: tuple[StorySource, ...]
    score: StoryScore | None

    def __post_init__(self) -> None:
        _check_utc(
            published_at=self.published_at,
            first_seen_at=self.first_seen_at,
            updated_at=self.updated_at,
        )
        if self.kind not in STORY_KINDS:
            raise ValueError(f"kind is {self.kind!r}, not one of {', '.join(STORY_KINDS)}")
        if not 0.0 <= self.novelty <= 1.0:
            raise ValueError(f"novelty is {self.novelty}, outside [0, 1]")

    @property
    def words(self) -> StoryText:
        """What a scorer reads."""
        return StoryText(self.title, self.text)


@dataclass(frozen=True, slots=True)
class ScoredMention:
    """A row that the index is made of: a scored story (company None) or a company in it."""

    story_id: str
    company_id: str | None
    sector: str | None
    published_at: datetime
    relevance: float
    novelty: float
    label: str
    negative: float
    neutral: float
    positive: float
    event: str | None
    event_probability: float | None

    def __post_init__(self) -> None:
        _check_utc(published_at=self.published_at)


def _check_sentiment(label: str, probabilities: Mapping[str, float]) -> None:
    if label not in SENTIMENTS:
        raise ValueError(f"label is {label!r}, not one of {', '.join(SENTIMENTS)}")
    if set(probabilities) != set(SENTIMENTS):
        raise ValueError(f"probabilities are of {sorted(probabilities)}, not of {SENTIMENTS}")
    if any(not 0.0 <= value <= 1.0 for value in probabilities.values()):
        raise ValueError(f"a probability is outside [0, 1]: {dict(probabilities)}")
    if abs(sum(probabilities.values()) - 1.0) > 1e-3:
        raise ValueError(f"probabilities sum to {sum(probabilities.values()):.4f}, not to 1")


def _check_utc(**times: datetime | None) -> None:
    for name, time in times.items():
        if time is not None and time.tzinfo is not UTC and time.utcoffset() != UTC.utcoffset(None):
            raise ValueError(f"{name} is {time.isoformat()}, not in UTC")
