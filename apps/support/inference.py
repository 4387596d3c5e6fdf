"""The model version in use: loaded, warmed up, read from, and replaced while requests run.

    registry pointer ─(checked twice a second)─> load in a thread ─> warm up ─> swap one reference

A batch takes the reference once, so that all of its readings come from one version.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from apps.support.conversation.decision import Decision, DecisionPolicy
from apps.support.conversation.knowledge import APP, AnswerBook, Faq
from shared.errors import NotReady, TriptychError
from shared.records import Neighbour, Prediction

LOGGER = logging.getLogger(__name__)

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


class VersionPointer(Protocol):
    """What says which version is in use: ``models.registry.ModelRegistry`` is one."""

    def in_use(self, app: str) -> str | None:
        """The name of the version in use, None before the first."""
        ...

    def get(self, app: str, version: str | None = None) -> Any:
        """A version, with its folder and card."""
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


class DeskInUse:
    """Holds the desk of the version in use and follows the registry's pointer.

    ``load`` makes a desk of what ``registry.get`` gives; it may take seconds. A version that
    cannot be loaded leaves the one before in place and is tried again after ``retry_seconds``.
    """

    def __init__(
        self,
        registry: VersionPointer,
        load: Callable[[Any], Desk],
        *,
        poll_seconds: float = 0.5,
        retry_seconds: float = 10.0,
    ) -> None:
        self._registry = registry
        self._load = load
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._desk: Desk | None = None
        self._loading = threading.Lock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self.last_error: str | None = None

    @property
    def ready(self) -> bool:
        """Whether a version is loaded and warmed up."""
        return self._desk is not None

    @property
    def version(self) -> str | None:
        """The version that is loaded."""
        desk = self._desk
        return desk.version if desk else None

    def current(self) -> Desk:
        """The desk as it is now. Raises NotReady before the first version is loaded."""
        desk = self._desk
        if desk is None:
            raise NotReady(
                "no model version is in use for the support desk yet: run `triptych train support`"
                if self.last_error is None
                else f"the support desk's model cannot be loaded: {self.last_error}"
            )
        return desk

    def read(self, texts: list[str]) -> list[Reading]:
        """Readings by the version in use: what the micro-batcher calls."""
        return self.current().read(texts)

    def start(self) -> None:
        """Load and warm up the version in use, if there is one, and follow the pointer."""
        self._stopping.clear()
        self._try_refresh()
        self._watcher = threading.Thread(target=self._watch, name="support-reload", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop following. What is loaded stays."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join(timeout=30)
            self._watcher = None

    def refresh(self) -> bool:
        """Load the version that the pointer names, if it is another; whether it was.

        Requests go on with the version before until this one is warmed up.
        """
        with self._loading:
            wanted = self._registry.in_use(APP)
            if wanted is None or wanted == self.version:
                return False
            desk = self._load(self._registry.get(APP, wanted))
            desk.read(list(WARM_UP))
            self._desk = desk
            self.last_error = None
        LOGGER.info("support desk serves version %s", desk.version)
        return True

    def _try_refresh(self) -> bool:
        try:
            self.refresh()
        except Exception as error:
            # Whatever is wrong with a new version must not end the service of the old one.
            told = error.message if isinstance(error, TriptychError) else repr(error)
            if told != self.last_error:
                LOGGER.exception("support desk cannot load the version in use")
            self.last_error = told
            return False
        return True

    def _watch(self) -> None:
        pause = self._poll_seconds
        while not self._stopping.wait(pause):
            pause = self._poll_seconds if self._try_refresh() else self._retry_seconds
