"""The shapes of ``/v1/finance``: feeds, companies, stories, scores and the index.

Rules and alerts have shapes of their own in ``shared.api.finance_alerts``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from shared.api.shapes import Name, Shape, Text
from shared.api.support import TokenShape

Sentiment = Literal["negative", "neutral", "positive"]
StoryKind = Literal["news", "post"]
FeedState = Literal["active", "muted"]
IndexStep = Literal["hour", "day"]
EVENTS = (
    "earnings",
    "guidance",
    "merger",
    "lawsuit",
    "regulator",
    "rating_change",
    "management",
    "insolvency",
    "dividend",
    "product",
    "macro",
)
"""What a story can be about, as the shipped classifier names it; a trained one may name others."""


Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,32}$")]
"""The id of a feed, a story, a rule, an alert or a target."""

CompanyId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._:&-]{1,64}$")]
"""The id of a company: its own on the watch list, or the gazetteer's."""

Note = Annotated[str, Field(max_length=2_000)]
"""What a person adds in words, or nothing."""

Share = Annotated[float, Field(ge=0, le=1)]


class SignedRequest(Shape):
    """Who does it."""

    author: Name


# Feeds


class FeedShape(Shape):
    """A feed and its health."""

    id: str
    url: str
    name: str
    state: FeedState
    notice: str | None = Field(description="why it was muted, where the feed itself gave cause")
    interval_seconds: int
    update_after: datetime | None = Field(description="when it is polled next; null: as soon as")
    last_polled_at: datetime | None
    last_success_at: datetime | None
    last_error: str | None
    failures: int = Field(description="failed polls since the last success")
    added_by: str
    created_at: datetime


class Feeds(Shape):
    """All feeds, by name."""

    feeds: list[FeedShape]


class AddFeedRequest(Shape):
    """A feed to poll: RSS, Atom or RDF over http or https."""

    url: Annotated[Text, Field(max_length=2_000)]
    name: Name | None = Field(default=None, description="the host's name where none is given")
    interval_seconds: int | None = Field(
        default=None, ge=60, le=7 * 86_400, description="between two polls; the default if unset"
    )
    author: Name


# Companies


class CompanyShape(Shape):
    """A company that stories can be linked to."""

    id: str
    name: str
    ticker: str | None
    sector: str | None
    country: str | None
    aliases: list[str]
    watched: bool


class Companies(Shape):
    """Companies, those on the watch list first."""

    companies: list[CompanyShape]


class WatchRequest(Shape):
    """Put a company on the watch list: one of the gazetteer by its id, or one of your own."""

    author: Name
    company_id: CompanyId | None = Field(default=None, description="of the gazetteer")
    name: Name | None = Field(default=None, description="of a company that is not in it")
    ticker: Annotated[Name, Field(max_length=32)] | None = None
    sector: Annotated[Name, Field(max_length=64)] | None = None
    country: Annotated[Name, Field(max_length=64)] | None = None
    aliases: Annotated[list[Name], Field(max_length=32)] = Field(default_factory=list)


# Stories and their scores


class Probabilities(Shape):
    """Calibrated; they sum to 1."""

    negative: Share
    neutral: Share
    positive: Share


class Span(Shape):
    """A stretch of a story's title + line feed + text, in characters."""

    start: int = Field(ge=0)
    end: int = Field(ge=1, description="behind the last character")


class Reason(Shape):
    """The user's rule that decided a label, and the words that it found."""

    kind: Literal["rule"] = "rule"
    rule: str
    pattern: str
    text: str
    effect: Literal["pin", "raise"]


class MentionShape(Shape):
    """What a text says of one company."""

    company_id: str
    name: str
    sector: str | None
    relevance: Share
    in_title: bool
    spans: list[Span]
    label: Sentiment
    probabilities: Probabilities
    reason: Reason | None = None
    words: list[TokenShape] = Field(
        default_factory=list, description="how much each word spoke for the label, where asked"
    )


class ScoreShape(Shape):
    """What a model version says of one text, as a whole and per company."""

    label: Sentiment
    probabilities: Probabilities
    reason: Reason | None = None
    event: str | None
    event_probability: float | None
    mentions: list[MentionShape]
    version: str
    words: list[TokenShape] = Field(
        default_factory=list, description="how much each word spoke for the label, where asked"
    )


class VersionShare(Shape):
    """How many stories a model version has scored, as they are now."""

    version: str
    stories: int
    lately: int = Field(description="of these read in the days that are scored again")
    newest_at: datetime = Field(description="when the newest of them was read")


class ScoredBy(Shape):
    """Which versions scored the stories: after a promotion the newest are scored again."""

    version: str | None = Field(description="in use now")
    days: float = Field(description="of stories that the watcher scores again; 0: none")
    waiting: int = Field(description="stories without a score")
    versions: list[VersionShare] = Field(description="the newest version first")


class SourceShape(Shape):
    """Where a story was read."""

    origin: str
    publisher: str
    author: str | None
    link: str | None
    title: str
    published_at: datetime | None
    seen_at: datetime
    revisions: int = Field(description="how often it changed since")


class StoryShape(Shape):
    """One story, however many publishers had it. ``score`` is null until a model is in use."""

    id: str
    kind: StoryKind
    title: str
    text: str
    link: str | None
    published_at: datetime
    first_seen_at: datetime
    updated_at: datetime
    novelty: Share = Field(description="1 less the likeness to the most similar known story")
    near_story_id: str | None
    sources: list[SourceShape]
    score: ScoreShape | None


class RevisionShape(Shape):
    """What a source said before it changed."""

    publisher: str
    title: str
    text: str
    seen_at: datetime


class StoryDetail(StoryShape):
    """One story with what its sources said before."""

    revisions: list[RevisionShape]


class Stories(Shape):
    """A page of stories, newest first; ``next_cursor`` asks for the next one."""

    stories: list[StoryShape]
    next_cursor: str | None = None


class ScoreRequest(Shape):
    """Texts to score, each on its own; nothing of them is kept."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=64)]
    companies: Annotated[list[Name], Field(max_length=16)] = Field(
        default_factory=list,
        description="names to look for beside the companies that are known",
    )
    explain: bool = Field(
        default=False, description="also say which words mattered; for at most 8 texts"
    )


class ScoreResponse(Shape):
    """One score a text, in the order they came, all by one version."""

    version: str
    scores: list[ScoreShape]


class StoryExplanation(Shape):
    """Which words of a story mattered for a label, overall or toward one company."""

    version: str
    company_id: str | None
    label: Sentiment
    words: list[TokenShape]


class ScoreFeedbackRequest(Shape):
    """The right label of a story or of a free text, overall or toward one company.

    ``company`` is an id that the story mentions, or a name that stands in the free text.
    """

    author: Name
    label: Sentiment
    text: Text | None = None
    story_id: Id | None = None
    company: Name | None = None
    note: Note = ""


class ScoreFeedbackReceipt(Shape):
    """The correction as it was stored, the company in brackets where it is about one."""

    id: int
    text: str
    label: Sentiment
    author: str
    created_at: datetime


# The index


class IndexPointShape(Shape):
    """The mood at one moment, and the stories of the hour or day that ends there."""

    at: datetime
    value: float | None = Field(description="from -1 to 1; null where nothing is known yet")
    weight: float
    volume: int
    negative_volume: int
    volume_z: float | None = Field(description="against the same hour of past weeks")


class IndexSeries(Shape):
    """The sentiment index of a subject: ``all``, ``company:<id>`` or ``sector:<name>``."""

    subject: str
    step: IndexStep
    points: list[IndexPointShape]
