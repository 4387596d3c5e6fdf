"""The scorer that runs: the version in use, the companies there are now, the rules of the desk.

    registry pointer -> TextPredictor ┐
    gazetteer + watch list -> linker ─┼-> StoryReader -> scores
    rules.yaml ───────────────────────┘

Without a version in use stories can still be embedded, grouped and stored; they are scored later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from apps.finance.entities.companies import Company, linkable
from apps.finance.entities.linking import CompanyLinker
from apps.finance.records import StoryScore, StoryText
from apps.finance.scoring.events import EventClassifier
from apps.finance.scoring.prior_rules import load_rules
from apps.finance.scoring.scorer import Embedder, RememberedVectors, StoryReader
from apps.finance.scoring.watched_model import WatchedModel
from apps.finance.training_data import APP
from shared.monitoring.served_readings import ReadingRecorder
from shared.records import TokenAttribution
from shared.serving.batching.micro_batcher import BatchObserver
from shared.serving.version_in_use import VersionInUse, VersionPointer
from shared.settings import Settings

if TYPE_CHECKING:
    from models.registry import ModelRegistry, ModelVersion

WATCH_LIST_SECONDS = 10.0
"""After so long the watch list is read again: a company that was just added links soon."""

WARM_UP = (StoryText("Profit rises at Siemens while sales fall at Philips"),)

RULES_FILE = "finance-rules.yaml"
"""Below the home: a desk's own rules, in place of the shipped ones."""


class ScorerInUse:
    """A ``StoryScorer`` that follows the registry's pointer and the watch list.

    ``load`` makes a sentiment model of a version; ``embedder`` makes the pre-trained encoder, once,
    when it is first needed.
    """

    def __init__(
        self,
        registry: VersionPointer,
        engine: Engine,
        *,
        load: Callable[[Any], Any],
        embedder: Callable[[], Embedder],
        rules: Path | None = None,
        poll_seconds: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._on_stop = on_stop
        self._make_embedder = embedder
        self._rules = load_rules(rules)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._embedder: RememberedVectors | None = None
        self._events: EventClassifier | None = None
        self._linker = WatchedLinker(engine, monotonic)
        self.observer: BatchObserver | None = None
        self._in_use: VersionInUse[StoryReader] = VersionInUse(
            APP,
            registry,
            lambda version: StoryReader(load(version), self._linker, self._rules, self, self),
            lambda reader: reader.score(WARM_UP),
            poll_seconds=poll_seconds,
        )

    @property
    def version(self) -> str | None:
        """The version that scores, None when none is in use."""
        return self._in_use.version

    @property
    def ready(self) -> bool:
        """Whether a version is loaded and warmed up."""
        return self._in_use.ready

    @property
    def last_error(self) -> str | None:
        """Why the version in use cannot be loaded, where that is so."""
        return self._in_use.last_error

    @property
    def waiting(self) -> int:
        """Sentences that wait for the model now."""
        return self._in_use.current().waiting if self._in_use.ready else 0

    def batch(self, waited: Sequence[float], inference_seconds: float) -> None:
        """Tell ``observer`` of a batch, where there is one."""
        if self.observer is not None:
            self.observer.batch(waited, inference_seconds)

    def start(self) -> None:
        """Load and warm up the version in use, if there is one, and follow the pointer."""
        self._in_use.start()

    def stop(self) -> None:
        """Stop following; what is loaded stays, and what it reads is noted no more."""
        self._in_use.stop()
        self._on_stop()

    def refresh(self) -> bool:
        """Load the version that the pointer names now; whether it was another."""
        return self._in_use.refresh()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions] by the pre-trained encoder."""
        with self._lock:
            if self._embedder is None:
                self._embedder = RememberedVectors(self._make_embedder())
            return self._embedder.embed(texts)

    def classify(self, texts: Sequence[str]) -> list[tuple[str | None, float]]:
        """The event of each text, with its probability."""
        if self._events is None:
            self._events = EventClassifier(self.embed)
        return self._events.classify(texts)

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        """One score a story, in order. NotReady when no version is in use."""
        return self._in_use.current().score(stories)

    def reader(self) -> StoryReader:
        """The reader in use. NotReady when there is none."""
        return self._in_use.current()

    def explain(self, text: str, label: str) -> list[TokenAttribution]:
        """Which words spoke for the label and which against it."""
        from models.runtime.serving import explain

        model: Any = self.reader().model
        return explain(model, text, label)


class WatchedLinker:
    """A linker over the gazetteer and the watch list, made anew when the list has changed."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float]) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._companies: tuple[Company, ...] = ()
        self._linker = CompanyLinker(())
        self._read_at = float("-inf")

    def link(self, story: StoryText) -> Any:
        """The companies of a story, the most relevant first."""
        with self._lock:
            if self._monotonic() - self._read_at > WATCH_LIST_SECONDS:
                companies = linkable(self._engine)
                if companies != self._companies:
                    self._companies, self._linker = companies, CompanyLinker(companies)
                self._read_at = self._monotonic()
            linker = self._linker
        return linker.link(story)


def scorer_in_use(
    settings: Settings,
    registry: ModelRegistry,
    engine: Engine,
    *,
    poll_seconds: float = 0.5,
    noted: bool = True,
) -> ScorerInUse:
    """The scorer of an installation, not yet started; a desk's own rules file wins.

    Without ``noted`` its readings are not kept for the comparison with later ones.
    """

    def load(version: ModelVersion) -> Any:
        from models.runtime.serving import load_predictor

        model = load_predictor(registry, version, settings)
        return WatchedModel(model, recorder) if noted else model

    def embedder() -> Embedder:
        from models.runtime.serving import shared_encoder

        return shared_encoder(settings)

    recorder = ReadingRecorder(engine, APP)
    own = settings.home / RULES_FILE
    return ScorerInUse(
        registry,
        engine,
        load=load,
        embedder=embedder,
        rules=own if own.is_file() else None,
        poll_seconds=poll_seconds,
        on_stop=recorder.close,
    )


def scorer_for(
    settings: Settings, registry: ModelRegistry, engine: Engine, *, noted: bool = True
) -> ScorerInUse:
    """The scorer of an installation with the version in use loaded now; it does not follow."""
    scorer = scorer_in_use(settings, registry, engine, noted=noted)
    if registry.in_use(APP) is not None:
        scorer.refresh()
    return scorer
