"""The desk: a model version with its policy and answers, read from while requests run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from apps.support.conversation.decision import Decision, DecisionPolicy
from apps.support.conversation.knowledge import APP, AnswerBook, Faq
from shared.records import Neighbour, Prediction
from shared.serving.version_in_use import VersionInUse, VersionPointer

WARM_UP = ("Hello", "Where is my parcel? I ordered it two weeks ago and it has not arrived. " * 4)


class Predictor(Protocol):
    """What the desk needs of a model: ``models.text_classifier.TextPredictor`` is one."""

    @property
    def version(self) -> str:
        """The name of the version."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The intents it knows."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """What its training wrote down."""
        ...

    @property
    def answer_threshold(self) -> float:
        """The least confidence of an automatic answer."""
        ...

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """A prediction of each text."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 [n, dimensions]."""
        ...

    def predict_and_embed(
        self, texts: Sequence[str]
    ) -> tuple[list[Prediction], NDArray[np.float32]]:
        """Predictions and unit vectors in one pass."""
        ...

    def neighbours(self, texts: Sequence[str], k: int = 5) -> list[list[Neighbour]]:
        """The training examples nearest to each text, the nearest first."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a version reads in one message, and what it would do with it.

    ``embedding`` is float32 [dimensions].
    """

    prediction: Prediction
    decision: Decision
    embedding: NDArray[np.float32]
    book: AnswerBook
    policy: DecisionPolicy

    def title(self, intent: str) -> str:
        """How people read an intent."""
        return self.book.title(intent)


@dataclass(frozen=True, slots=True)
class Desk:
    """One model version with the policy and the knowledge that go with it.

    ``example_counts`` says how many training examples each intent has.
    """

    predictor: Predictor
    policy: DecisionPolicy
    book: AnswerBook
    faq: Faq
    example_counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def version(self) -> str:
        """The model version."""
        return self.predictor.version

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """A reading of each text. The FAQ is searched where the intent does not answer."""
        predictions, vectors = self.predictor.predict_and_embed(texts)
        decisions = [self.policy.decide(prediction) for prediction in predictions]
        unsure = [row for row, decision in enumerate(decisions) if decision.action != "answer"]
        for row, faq in zip(unsure, self.faq.nearest(vectors[unsure]), strict=True):
            decisions[row] = self.policy.decide(predictions[row], faq)
        return [
            Reading(prediction, decision, vector, self.book, self.policy)
            for prediction, decision, vector in zip(predictions, decisions, vectors, strict=True)
        ]


class DeskInUse(VersionInUse[Desk]):
    """Holds the desk of the version in use and follows the registry's pointer."""

    def __init__(
        self,
        registry: VersionPointer,
        load: Callable[[Any], Desk],
        *,
        poll_seconds: float = 0.5,
        retry_seconds: float = 10.0,
    ) -> None:
        super().__init__(
            APP,
            registry,
            load,
            lambda desk: desk.read(list(WARM_UP)),
            poll_seconds=poll_seconds,
            retry_seconds=retry_seconds,
        )

    def read(self, texts: list[str]) -> list[Reading]:
        """Readings by the version in use: what the micro-batcher calls."""
        return self.current().read(texts)
