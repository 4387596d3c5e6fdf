"""The monitor's stories as they are asked for, texts scored ad hoc, and what people correct."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Engine, insert, select

from apps.finance.entities.companies import Company
from apps.finance.entities.linking import LinkedCompany
from apps.finance.records import Mention, Story, StoryScore, StoryText
from apps.finance.scoring.rule_decisions import sentence_around
from apps.finance.scoring.scorer import StoryReader
from apps.finance.serving.answers import (
    as_detail,
    as_score,
    as_story,
    as_words,
    sentiment_of,
)
from apps.finance.serving.named_companies import NamingLinker, spans_of
from apps.finance.stories import StoryFilter, StoryStore
from apps.finance.targets import mark
from apps.finance.training_data import APP
from shared.api import finance
from shared.errors import Conflict, DataError, NotFound
from shared.records import TokenAttribution
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.finance_tables import story_revisions, story_sources
from shared.storage.tables import feedback

MOST_EXPLAINED = 8
"""Texts of one request whose words are weighed: each costs many times what a score does."""
MENTIONS_EXPLAINED = 4
"""Companies of one text, the most relevant first, whose words are weighed."""


class Scorer(Protocol):
    """What follows the version in use: ``apps.finance.scoring.in_use.ScorerInUse`` is one."""

    @property
    def version(self) -> str | None:
        """The version that scores, None when none is in use."""
        ...

    def reader(self) -> StoryReader:
        """The reader in use. Raises NotReady when there is none."""
        ...

    def explain(self, text: str, label: str) -> list[TokenAttribution]:
        """Which words spoke for the label and which against it."""
        ...


class FinanceService:
    """What the routes of stories and scores call; every method blocks.

    ``mask`` takes personal data out of what people send to be kept; ``observe`` is told each score
    of a text that was sent.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        scorer: Scorer,
        mask: Callable[[str], str],
        clock: Callable[[], datetime],
        observe: Callable[[StoryScore], None] = lambda score: None,
    ) -> None:
        self._observe = observe
        self._engine = engine
        self._scorer = scorer
        self._mask = mask
        self._clock = clock
        self._stories = StoryStore(engine)
        self._explaining = threading.Lock()

    def stories(self, wanted: StoryFilter, cursor: str | None, limit: int) -> finance.Stories:
        """A page of stories, newest first."""
        page = self._stories.page(wanted, cursor, limit)
        return finance.Stories(
            stories=[as_story(story) for story in page.stories], next_cursor=page.next_cursor
        )

    def story(self, story_id: str) -> finance.StoryDetail:
        """One story with what its sources said before. Raises NotFound."""
        story = self._stories.get(story_id)
        query = (
            select(story_revisions, story_sources.c.publisher)
            .join(story_sources, story_sources.c.id == story_revisions.c.source_id)
            .where(story_sources.c.story_id == story.id)
            .order_by(story_revisions.c.seen_at, story_revisions.c.id)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        before = [
            finance.RevisionShape(
                publisher=row.publisher, title=row.title, text=row.text, seen_at=row.seen_at
            )
            for row in rows
        ]
        return as_detail(story, before)

    def explain_story(self, story_id: str, company: str | None) -> finance.StoryExplanation:
        """The words of a story that mattered. Raises NotFound, Conflict where it has no score."""
        story = self._stories.get(story_id)
        score = _scored(story)
        reader = self._scorer.reader()
        if company is None:
            label, asked = score.label, mark(story.words.lead, ())
        else:
            mention = _mention_of(story, score, company)
            label, asked = mention.label, reader.question_about(story.words, _linked(mention))
        return finance.StoryExplanation(
            version=reader.version,
            company_id=company,
            label=sentiment_of(label),
            words=as_words(self._explain(asked, label)),
        )

    def score(self, request: finance.ScoreRequest) -> finance.ScoreResponse:
        """Score texts by one version; companies that are asked for stand behind the known ones.

        Raises NotReady, and DataError for more texts to explain than MOST_EXPLAINED.
        """
        if request.explain and len(request.texts) > MOST_EXPLAINED:
            raise DataError(
                f"the words of at most {MOST_EXPLAINED} texts are weighed at once, not of "
                f"{len(request.texts)}: send fewer, or leave `explain` out",
                texts=len(request.texts),
            )
        reader = self._scorer.reader()
        texts = [_story_text(text) for text in request.texts]
        scores = reader.score(texts)
        for score in scores:
            self._observe(score)
        if request.companies:
            scores = self._with_named(reader, texts, scores, request.companies)
        shapes = []
        for text, score in zip(texts, scores, strict=True):
            words: Sequence[TokenAttribution] = ()
            toward: dict[str, Sequence[TokenAttribution]] = {}
            if request.explain:
                words = self._explain(mark(text.lead, ()), score.label)
                for mention in score.mentions[:MENTIONS_EXPLAINED]:
                    question = reader.question_about(text, _linked(mention))
                    toward[mention.company_id] = self._explain(question, mention.label)
            shapes.append(as_score(score, words=words, words_toward=toward))
        return finance.ScoreResponse(version=reader.version, scores=shapes)

    def _with_named(
        self,
        reader: StoryReader,
        texts: Sequence[StoryText],
        scores: Sequence[StoryScore],
        names: Sequence[str],
    ) -> list[StoryScore]:
        """The scores with what each text says of the names, too; by the same model and rules."""
        naming = reader.with_linker(NamingLinker(reader.linker, names))
        return [
            replace(score, mentions=named.mentions)
            for score, named in zip(scores, naming.score(texts), strict=True)
        ]

    def correct(self, request: finance.ScoreFeedbackRequest) -> finance.ScoreFeedbackReceipt:
        """Keep the right label, with the words as the model is asked about them.

        Raises DataError unless exactly one of text and story is given, and where the company does
        not stand in it; NotFound for a story that is not there.
        """
        if (request.text is None) == (request.story_id is None):
            raise DataError("feedback is about a story_id or a text: give exactly one of them")
        row: dict[str, Any] = {
            "app": APP,
            "label": request.label,
            "author": request.author,
            "created_at": self._clock(),
            "note": self._mask(request.note),
        }
        if request.text is not None:
            row["text"] = _free_text(self._mask(request.text), request.company)
        else:
            assert request.story_id is not None
            row |= self._story_row(request.story_id, request.company)
        with self._engine.begin() as connection:
            key = connection.execute(insert(feedback).values(**row)).inserted_primary_key
            assert key is not None
            details = {
                "app": APP,
                "feedback": key[0],
                "label": request.label,
                "story": request.story_id,
                "company": request.company,
            }
            record(
                connection,
                actor=request.author,
                action="correction",
                details=details,
                at=row["created_at"],
            )
        return finance.ScoreFeedbackReceipt(
            id=key[0],
            text=row["text"],
            label=request.label,
            author=request.author,
            created_at=row["created_at"],
        )

    def _story_row(self, story_id: str, company: str | None) -> dict[str, Any]:
        story = self._stories.get(story_id)
        if company is None:
            predicted = story.score.label if story.score else None
            version = story.score.version if story.score else None
            return {"text": mark(story.words.lead, ()), "predicted": predicted, "version": version}
        score = _scored(story)
        mention = _mention_of(story, score, company)
        text = marked_sentence(story.words.whole, mention.spans)
        return {"text": text, "predicted": mention.label, "version": score.version}

    def _explain(self, text: str, label: str) -> list[TokenAttribution]:
        """One at a time: attributions cost many times what a score does."""
        with self._explaining:
            return self._scorer.explain(text, label)


def marked_sentence(whole: str, spans: Sequence[tuple[int, int]]) -> str:
    """The sentence that holds the first span, all spans in it marked."""
    first, last = sentence_around(whole, *spans[0])
    inside = [(start - first, end - first) for start, end in spans if first <= start <= end <= last]
    return mark(whole[first:last], inside).strip()


def _free_text(text: str, company: str | None) -> str:
    if company is None:
        return mark(_story_text(text).lead, ())
    spans = spans_of(company, text)
    if not spans:
        raise DataError(f"{company!r} does not stand in the text", company=company)
    return marked_sentence(text, spans)


def _story_text(text: str) -> StoryText:
    """The first line as the title; ``whole`` is the text again."""
    title, _, rest = text.partition("\n")
    return StoryText(title, rest)


def _scored(story: Story) -> StoryScore:
    if story.score is None:
        raise Conflict(
            f"story {story.id} has no score yet: it waits for a model to be in use",
            story_id=story.id,
        )
    return story.score


def _mention_of(story: Story, score: StoryScore, company: str) -> Mention:
    for mention in score.mentions:
        if mention.company_id == company and mention.spans:
            return mention
    raise NotFound(
        f"story {story.id} does not mention the company {company!r}",
        story_id=story.id,
        company=company,
    )


def _linked(mention: Mention) -> LinkedCompany:
    company = Company(id=mention.company_id, name=mention.name, sector=mention.sector)
    return LinkedCompany(company, mention.spans, mention.relevance, mention.in_title)
