"""One story in, its sentiment overall and toward each company out; the rules have the last word.

The model reads one sentence at a time, as it was trained: the title (and what follows it up to
``LEAD_CHARACTERS``) for the whole, and for each company the sentence that names it first, with the
name marked. A model that was trained without marks is asked about the same sentence unmarked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from apps.finance.entities.linking import LinkedCompany
from apps.finance.records import SENTIMENTS, Mention, StoryScore, StoryText
from apps.finance.scoring.rule_decisions import PriorRules, RuleMatch, decide, sentence_around
from apps.finance.targets import OPENING, mark
from shared.errors import DataError
from shared.serving.batching.micro_batcher import BatchObserver
from shared.serving.batching.rows import BatchedRows

REMEMBERED = 2_048
"""Vectors kept of the texts embedded last: a story is grouped first and scored next."""


class SentimentModel(Protocol):
    """What a scorer needs of a model: ``models.text_classifier.TextPredictor`` has it."""

    @property
    def version(self) -> str:
        """The name of the version."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of ``probabilities``."""
        ...

    @property
    def bank(self) -> tuple[tuple[str, str], ...]:
        """The training examples (text, label)."""
        ...

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated probabilities float64 [n, classes]."""
        ...


class Embedder(Protocol):
    """A pre-trained encoder: ``models.encoder.TextEncoder`` is one."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions]."""
        ...


class Linker(Protocol):
    """Finds companies: ``apps.finance.entities.linking.CompanyLinker`` is one."""

    def link(self, story: StoryText) -> list[LinkedCompany]:
        """The companies of a story, the most relevant first."""
        ...


class Events(Protocol):
    """Names the event: ``apps.finance.scoring.events.EventClassifier`` is one."""

    def classify(self, texts: Sequence[str]) -> list[tuple[str | None, float]]:
        """The event of each text with its probability; None where none is likely enough."""
        ...


class RememberedVectors:
    """An embedder that embeds each of the last texts once. Not to be shared between threads."""

    def __init__(self, embedder: Embedder, capacity: int = REMEMBERED) -> None:
        self._embedder = embedder
        self._capacity = capacity
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions] in the order of the texts."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if not missing and texts:
            return np.stack([self._vectors[text] for text in texts])
        fresh = self._embedder.embed(missing)
        known = dict(zip(missing, fresh, strict=True))
        result = [known[text] if text in known else self._vectors[text] for text in texts]
        self._vectors.update(known)
        while len(self._vectors) > self._capacity:
            self._vectors.popitem(last=False)
        return np.stack(result) if result else fresh


@dataclass(frozen=True, slots=True)
class Question:
    """One text for the model: the whole story (``linked`` None), or one company's sentence."""

    story: int
    text: str
    linked: LinkedCompany | None = None


class StoryReader:
    """Scores stories with one model version. ``events`` None leaves the event open.

    Callers in several threads share the model's batches; ``observer`` is told of each.
    """

    def __init__(
        self,
        model: SentimentModel,
        linker: Linker,
        rules: PriorRules,
        events: Events | None = None,
        observer: BatchObserver | None = None,
    ) -> None:
        if set(model.labels) != set(SENTIMENTS):
            raise DataError(
                f"version {model.version} knows the classes {', '.join(model.labels)}, and the "
                f"monitor needs {', '.join(SENTIMENTS)}: train with labels of these names",
                version=model.version,
            )
        self.version = model.version
        self.model = model
        self.linker = linker
        self._rules = rules
        self._events = events
        self._ask = BatchedRows(model.probabilities, observer=observer)
        self._order = [model.labels.index(label) for label in SENTIMENTS]
        self.asks_for_targets = any(OPENING in text for text, _ in model.bank)

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        """One score a story, in order."""
        if not stories:
            return []
        linked = [self.linker.link(story) for story in stories]
        questions = [
            question
            for number, story in enumerate(stories)
            for question in self._questions(number, story, linked[number])
        ]
        answers = self._ask([question.text for question in questions])
        rows: dict[int, list[tuple[Question, Mapping[str, float]]]] = {}
        for question, row in zip(questions, answers[:, self._order], strict=True):
            probabilities = dict(zip(SENTIMENTS, row.tolist(), strict=True))
            rows.setdefault(question.story, []).append((question, probabilities))
        events: Sequence[tuple[str | None, float]] = [(None, 0.0)] * len(stories)
        if self._events is not None:
            events = self._events.classify([lead(story) for story in stories])
        return [
            self._story_score(story, rows[number], linked[number], events[number])
            for number, story in enumerate(stories)
        ]

    def with_linker(self, linker: Linker) -> StoryReader:
        """The same model and rules with another linker, and no events."""
        reader = StoryReader(self.model, linker, self._rules)
        reader._ask = self._ask
        return reader

    @property
    def waiting(self) -> int:
        """Sentences that wait for the model now."""
        return self._ask.waiting

    def question_about(self, story: StoryText, company: LinkedCompany) -> str:
        """The sentence that names the company first, its names in it marked if the model asks."""
        whole = story.whole
        first, last = sentence_around(whole, *company.spans[0])
        spans = [(a - first, b - first) for a, b in company.spans if first <= a and b <= last]
        sentence = whole[first:last]
        return mark(sentence, spans if self.asks_for_targets else ()).strip()

    def _questions(
        self, number: int, story: StoryText, linked: Sequence[LinkedCompany]
    ) -> Iterable[Question]:
        yield Question(number, mark(lead(story), ()))
        for company in linked:
            yield Question(number, self.question_about(story, company), company)

    def _story_score(
        self,
        story: StoryText,
        answers: Sequence[tuple[Question, Mapping[str, float]]],
        linked: Sequence[LinkedCompany],
        event: tuple[str | None, float],
    ) -> StoryScore:
        whole = story.whole
        matches = self._rules.matches(whole)
        overall, reason = decide(matches, answers[0][1])
        mentions = []
        for question, probabilities in answers[1:]:
            company = question.linked
            assert company is not None
            own = [match for match in matches if speaks_of(whole, match, company, linked)]
            decided, why = decide(own, probabilities)
            mentions.append(
                Mention(
                    company_id=company.company.id,
                    name=company.company.name,
                    sector=company.company.sector,
                    relevance=company.relevance,
                    in_title=company.in_title,
                    spans=company.spans,
                    label=most_probable(decided),
                    probabilities=decided,
                    reason=why,
                )
            )
        name, probability = event
        return StoryScore(
            label=most_probable(overall),
            probabilities=overall,
            reason=reason,
            event=name,
            event_probability=None if name is None else probability,
            mentions=tuple(mentions),
            version=self.version,
        )


def lead(story: StoryText) -> str:
    """What a story is grouped, classed and read by as a whole, up to ``LEAD_CHARACTERS``."""
    return story.lead


def most_probable(probabilities: Mapping[str, float]) -> str:
    """The label with the highest probability; the first of SENTIMENTS among equals."""
    return max(SENTIMENTS, key=lambda label: probabilities[label])


def speaks_of(
    whole: str, match: RuleMatch, company: LinkedCompany, linked: Sequence[LinkedCompany]
) -> bool:
    """Whether a rule's match is about this company: nobody else stands in its sentence.

    In a sentence that names no company it is about the only company of the story.
    """
    first, last = sentence_around(whole, match.start, match.end)
    there = {
        other.company.id
        for other in linked
        if any(first <= start and end <= last for start, end in other.spans)
    }
    return there == {company.company.id} or (not there and len(linked) == 1)
