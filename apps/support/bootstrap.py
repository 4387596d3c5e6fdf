"""Where the support desk is wired together, once. Models load when it starts, not before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Engine

from apps.support.conversation.conversations import Conversations
from apps.support.conversation.decision import DecisionPolicy
from apps.support.conversation.knowledge import APP, Faq, book_for
from apps.support.inference import Desk, DeskInUse, Reading
from apps.support.learning.teaching import TeachingService
from apps.support.router import hot_routes, support_router
from apps.support.service import SupportService
from apps.support.stored_gauges import support_gauges
from models.registry import ModelRegistry, ModelVersion
from shared.api.support import AddIntentReport, AddIntentRequest, CheckReport
from shared.monitoring.served_readings import ReadingRecorder
from shared.privacy import mask_personal_data
from shared.records import Prediction, TokenAttribution
from shared.serving.batching.micro_batcher import MicroBatcher
from shared.serving.hot_path import HotRoute
from shared.serving.watching.stored_gauges import ReadGauges
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.serving.watching.metrics import Metrics

Clock = Callable[[], datetime]


class SupportSettings(BaseSettings):
    """How the desk decides, from ``TRIPTYCH_SUPPORT_*``; see ``DecisionPolicy`` for the meaning."""

    model_config = SettingsConfigDict(env_prefix="TRIPTYCH_SUPPORT_", extra="ignore", frozen=True)

    clarify_floor: float = Field(
        default=DecisionPolicy.clarify_floor,
        ge=0,
        le=1,
        description="least probability that two intents hold together for a question between them",
    )
    clarify_margin: float = Field(
        default=DecisionPolicy.clarify_margin,
        ge=0,
        le=1,
        description="largest distance between the two",
    )
    in_scope_share: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="share of validation messages that count as in scope: the less familiar "
        "rest, and what is like it, is not asked back but handed over",
    )
    faq_similarity: float = Field(
        default=DecisionPolicy.faq_similarity,
        ge=-1,
        description="least similarity of a FAQ question that answers; above 1 turns the FAQ off",
    )
    person_intent: str = Field(
        default=DecisionPolicy.person_intent, description="the intent that asks for a person"
    )

    def policy(
        self, answer_threshold: float, in_scope_quantiles: Sequence[float] = ()
    ) -> DecisionPolicy:
        """The policy of a version by these settings.

        ``in_scope_quantiles`` are evenly spaced quantiles of the in-scope scores of its
        validation messages, lowest first; without them the scope is not looked at.
        """
        floor = None
        if len(in_scope_quantiles) > 2:
            place = round((1 - self.in_scope_share) * (len(in_scope_quantiles) - 1))
            floor = in_scope_quantiles[place]
        return DecisionPolicy(
            answer_threshold=answer_threshold,
            clarify_floor=self.clarify_floor,
            clarify_margin=self.clarify_margin,
            in_scope_floor=floor,
            faq_similarity=self.faq_similarity,
            person_intent=self.person_intent,
        )


def utc_now() -> datetime:
    """The present time."""
    return datetime.now(UTC)


def load_desk(
    registry: ModelRegistry,
    version: ModelVersion,
    settings: Settings,
    desk_settings: SupportSettings,
) -> Desk:
    """One version with its policy, answers and FAQ. Raises ManifestMismatch if a file changed."""
    from models.runtime.serving import load_predictor

    predictor = load_predictor(registry, version, settings)
    book = book_for(version.card, settings.home)
    return Desk(
        predictor=predictor,
        policy=desk_settings.policy(predictor.answer_threshold, predictor.confidence.quantiles),
        book=book,
        faq=Faq(book.faq, predictor.embed),
        example_counts=Counter(label for _, label in predictor.bank),
    )


class ServedSupport:
    """The support desk as the API serves it."""

    name = APP

    def __init__(
        self,
        router: APIRouter,
        desk: DeskInUse,
        batcher: MicroBatcher[Reading],
        actions: ActionCounter,
        gauges: ReadGauges | None = None,
        hot: Sequence[HotRoute] = (),
        recorder: ReadingRecorder | None = None,
    ) -> None:
        self._recorder = recorder
        self.router = router
        self.hot_routes = tuple(hot)
        self._desk = desk
        self._batcher = batcher
        self._actions = actions
        self._gauges = gauges

    @property
    def ready(self) -> bool:
        """Whether a version is loaded and warmed up."""
        return self._desk.ready

    @property
    def version(self) -> str | None:
        """The version that answers."""
        return self._desk.version

    @property
    def waiting_for(self) -> str | None:
        """Why the version in use cannot be loaded, where that is so."""
        error = self._desk.last_error
        return None if error is None else f"the version in use cannot be loaded: {error}"

    def start(self) -> None:
        """Load and warm up the version in use, and follow the registry from here on."""
        self._desk.start()

    def stop(self) -> None:
        """Stop following and answering."""
        self._desk.stop()
        self._batcher.close()
        if self._recorder is not None:
            self._recorder.close()

    def refresh(self) -> bool:
        """Serve the version that the registry names now, without waiting to notice it."""
        return self._desk.refresh()

    def measure(self, metrics: Metrics) -> None:
        """Count batches, readings and decided actions there, and what waits for people."""
        self._batcher.observer = metrics.batches_of(APP, lambda: self._batcher.waiting)
        self._actions.measure(metrics)
        if self._gauges is not None:
            metrics.stored(APP, self._gauges)


class ActionCounter:
    """Counts decided actions and what was read, once it has been given metrics."""

    def __init__(self) -> None:
        self._metrics: Metrics | None = None
        self._counter: Any = None

    def measure(self, metrics: Metrics) -> None:
        """Count there from now on."""
        self._metrics = metrics
        self._counter = metrics.counter(
            "triptych_support_actions_total",
            "Decisions by action: answer, clarify, handoff",
            ["action"],
        )
        for action in ("answer", "clarify", "handoff"):
            self._counter.labels(action)  # at nought from the start, so that its rate is one

    def __call__(self, action: str) -> None:
        """Count one decision."""
        if self._counter is not None:
            self._counter.labels(action).inc()

    def read(self, prediction: Prediction) -> None:
        """Count what a model said of one message."""
        if self._metrics is not None:
            best = prediction.ranked[0]
            self._metrics.reading(APP, best.label, best.probability)


def served_support(
    settings: Settings,
    engine: Engine,
    registry: ModelRegistry,
    *,
    clock: Clock = utc_now,
    desk_settings: SupportSettings | None = None,
    load: Callable[[ModelVersion], Desk] | None = None,
    poll_seconds: float = 0.5,
) -> ServedSupport:
    """The desk over a database and a registry. ``load`` makes a desk of a version."""
    tuned = desk_settings or SupportSettings()

    def load_version(version: ModelVersion) -> Desk:
        return load_desk(registry, version, settings, tuned)

    def attribute(predictor: Any, text: str, intent: str) -> list[TokenAttribution]:
        from models.runtime.serving import explain

        return explain(predictor, text, intent)

    def add_intent(request: AddIntentRequest, now: datetime) -> AddIntentReport:
        from apps.support.learning import improvement as learning
        from apps.support.learning.versions import RegistryModels

        models = RegistryModels(registry, encoder=settings.encoder, device=settings.device)
        return learning.add_intent(models, engine, request, now=now)

    def check_file(path: Path, text_column: str | None, label_column: str | None) -> CheckReport:
        from apps.support.doctor import check_dataset
        from data_connectors.files import read_file
        from models.runtime.serving import shared_encoder

        dataset = read_file(path, text_column=text_column, label_column=label_column)
        return check_dataset(dataset, encoder=shared_encoder(settings))

    desk = DeskInUse(registry, load or load_version, poll_seconds=poll_seconds)
    batcher: MicroBatcher[Reading] = MicroBatcher(desk.read)
    actions = ActionCounter()
    recorder = ReadingRecorder(engine, APP, clock=clock)

    def observe(reading: Reading) -> None:
        prediction = reading.prediction
        actions.read(prediction)
        recorder.add(
            version=prediction.version,
            label=prediction.label,
            confidence=prediction.confidence,
            in_scope_score=prediction.in_scope_score,
            vector=reading.embedding,
        )

    service = SupportService(
        desk=desk,
        batcher=batcher,
        conversations=Conversations(
            engine, timeout=timedelta(minutes=settings.person_timeout_minutes)
        ),
        mask=mask_personal_data,
        attribute=attribute,
        clock=clock,
        count=actions,
        observe=observe,
    )
    teaching = TeachingService(
        desk=desk,
        engine=engine,
        mask=mask_personal_data,
        clock=clock,
        add_intent=add_intent,
        check_file=check_file,
    )
    router = support_router(service, teaching)
    hot = hot_routes(service)
    return ServedSupport(router, desk, batcher, actions, support_gauges(engine), hot, recorder)
