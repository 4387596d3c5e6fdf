"""A bundle made of a catalogue and its behaviour: fitted, measured, written to the registry.

histories ─> gate events held out ─┬─> measured: fitted without each user's last event
                                   └─> fitted on all the rest ─> bundle ─> registry

A refit of about the same events takes the blend of the bundle in use: one fit is all there is, and
its numbers are those of the gate's events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from apps.recommend.chosen_blend import ChosenBlend
from apps.recommend.tenants import registry_app
from models.encoder_store import load_encoder, save_encoder
from models.recommendation.bundle import ENCODER, known_vectors, write_bundle
from models.recommendation.encoder_tuning import tune_encoder
from models.recommendation.fitting import (
    NOTHING,
    CatalogueTexts,
    FittedRecommender,
    fit_recommender,
    read_catalogue,
)
from models.recommendation.gate import gate_task, hold_out
from models.recommendation.recipe import RecommendRecipe
from models.recommendation.recommender import Recommender
from models.recommendation.scoring import PARTS
from models.registry import ModelRegistry, ModelVersion
from shared.catalogue import CatalogueItem
from shared.errors import EmptyData, RegistryError, UnreadableFile
from shared.evaluation.ranking import RankingEvaluation, ScoreUsers, evaluate_ranking
from shared.evaluation.ranking_protocols import RankingTask, leave_one_out
from shared.finetuning.hardware import choose_hardware
from shared.histories import Histories
from shared.settings import Settings

log = logging.getLogger(__name__)

ABLATION_USERS = 4_000
"""Each part alone is measured on at most so many users, and all together on the same."""

LIMITS = (
    "Numbers are of each user's last event, ranked among all items that the user had not met; what "
    "users would have taken had they been shown it is not known.",
    "Where a source has no times the order of events may give ids away: read `descending` too.",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the behaviour came from: its name, what reads it again, whether it was generated."""

    name: str
    source: Any
    synthetic: bool = False


def fit_bundle(
    settings: Settings,
    registry: ModelRegistry,
    tenant: str,
    histories: Histories,
    items: Sequence[CatalogueItem],
    *,
    origin: Origin,
    now: datetime,
    recipe: RecommendRecipe | None = None,
    encoder: str | None = None,
    seed: int = 1,
    test: bool = False,
    chosen: ChosenBlend | None = None,
    say: Callable[[str], None] = log.info,
) -> tuple[ModelVersion, dict[str, Any]]:
    """Fit, measure and register a bundle; what ``--json`` prints comes beside it.

    With ``test`` the numbers are of each user's last event, by a fit of its own without it; else
    they are those of the validation events that the blend was chosen on. Where the blend was
    ``chosen`` before, they are of the gate's events. ``say`` hears of each stage, after the seconds
    since the start. Raises EmptyData, before a text is read, where there is no item or no event.
    """
    if not items or not len(histories.rows):
        raise EmptyData(NOTHING)
    app, recipe = registry_app(tenant), recipe or RecommendRecipe()
    started = perf_counter()
    say = _timed(say, started)
    hardware = choose_hardware(settings.device)
    loaded = load_encoder(encoder or settings.encoder).to(hardware.device)
    fitted_on, gate = hold_out(histories)
    if recipe.encoder_steps:
        say(f"fine-tuning {loaded.name} on items taken together: {recipe.encoder_steps:,} steps")
        tune_encoder(
            loaded,
            [item.whole for item in items],
            _without_last(fitted_on),
            steps=recipe.encoder_steps,
            seed=seed,
            hardware=hardware,
        )
    say(f"reading {len(items):,} texts with {loaded.name}")
    catalogue = read_catalogue(
        items,
        lambda texts: loaded.embed(texts, hardware=hardware),
        seed=seed,
        known={} if recipe.encoder_steps else _read_before(registry, app, loaded.name),
    )
    prepared = perf_counter()
    if test or not len(gate.targets):
        chosen = None
    blend, measured, evaluated, tower = None if chosen is None else chosen.blend, None, 0.0, None
    if test:
        measured, evaluated, asked = _tested(histories, catalogue, recipe, seed, say)
        blend, tower = (None, None) if asked is None else (asked.blend, asked.space.tower)
    fitted = fit_recommender(
        fitted_on, catalogue, recipe=recipe, seed=seed, blend=blend, tower=tower, say=say
    )
    trained = perf_counter()
    if chosen is not None:
        say(f"ranking for {len(gate.targets):,} users")
        task = gate_task(gate, fitted_on)
        measured = (*_measured(fitted.recommender, task, seed), task.name)
    if measured is None:
        measured = _validated(fitted, seed, say)
    metrics, ablations, protocol = measured
    seconds = {
        "prepare": prepared - started,
        "train": trained - prepared - evaluated,
        "evaluate": evaluated + perf_counter() - trained,
    }
    if histories.timed:
        metrics.pop("descending", None)
    recommender = fitted.recommender
    card: dict[str, Any] = {
        "kind": "recommender",
        "method": recommender.behaviour.kind,
        "encoder": loaded.name,
        "seed": seed,
        "protocol": protocol,
        "data": {
            "name": origin.name,
            "source": origin.source,
            "items": histories.items,
            "users": histories.users,
            "events": len(histories.rows),
            "gate": len(gate.targets),
            "synthetic": origin.synthetic,
        },
        "recipe": recipe.as_card(),
        "blend": recommender.blend.as_card(),
        "blend_chosen_on": (chosen or ChosenBlend.on(recommender.blend, histories)).counts,
        "metrics": metrics,
        "ablations": ablations,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "hardware": {"device": hardware.device, "precision": hardware.precision},
        "limits": list(LIMITS),
    }

    def write(folder: Path) -> None:
        write_bundle(folder, recommender, gate)
        if recipe.encoder_steps:
            save_encoder(loaded, folder / ENCODER)

    say("writing the bundle")
    version = registry.add(app, card=card, write=write, now=now)
    say(f"{version.name} is written")
    return version, {"app": app, "version": version.name, "tenant": tenant, **card}


def _timed(say: Callable[[str], None], started: float) -> Callable[[str], None]:
    return lambda message: say(f"{perf_counter() - started:6.1f} s  {message}")


def _without_last(histories: Histories) -> Histories:
    """What may be learnt from where each user's last event is asked for later."""
    try:
        return leave_one_out(histories).train
    except EmptyData:
        return histories


def fit_stored(
    settings: Settings,
    registry: ModelRegistry,
    tenant: str,
    histories: Histories,
    items: Sequence[CatalogueItem],
    now: datetime,
    *,
    synthetic: bool = False,
) -> ModelVersion:
    """A tenant's bundle of what is stored, with the recipe, seed and encoder of the one in use, and
    its blend where the events are about as many."""
    encoder, seed, recipe, chosen = None, 1, RecommendRecipe(), None
    current = registry.in_use(registry_app(tenant))
    if current is not None:
        card = registry.get(registry_app(tenant), current).card
        encoder, seed = card.get("encoder"), int(card.get("seed", seed))
        recipe = RecommendRecipe.of(card.get("recipe") or {})
        chosen = ChosenBlend.of(card, recipe, histories)
    version, _ = fit_bundle(
        settings,
        registry,
        tenant,
        histories,
        items,
        origin=Origin(f"stored:{tenant}", None, synthetic),
        now=now,
        recipe=recipe,
        encoder=encoder,
        seed=seed,
        chosen=chosen,
    )
    return version


Measured = tuple[dict[str, Any], dict[str, Any], str]
"""Metrics, ablations, and the protocol in words."""


def _tested(
    histories: Histories,
    catalogue: CatalogueTexts,
    recipe: RecommendRecipe,
    seed: int,
    say: Callable[[str], None],
) -> tuple[Measured | None, float, Recommender | None]:
    """The numbers on last events, the seconds of measuring alone, and what was measured."""
    try:
        task = leave_one_out(histories)
    except EmptyData:
        return None, 0.0, None
    fitted = fit_recommender(task.train, catalogue, recipe=recipe, seed=seed, say=say)
    say(f"ranking {histories.items:,} items for {len(task.users):,} users")
    began = perf_counter()
    measured = _measured(fitted.recommender, task, seed)
    return (*measured, task.name), perf_counter() - began, fitted.recommender


def _validated(fitted: FittedRecommender, seed: int, say: Callable[[str], None]) -> Measured:
    if fitted.asked is None or fitted.validation is None:
        return {}, {}, "not measured: no user has two events"
    say(f"ranking for {len(fitted.validation.users):,} users")
    task = _drawn(fitted.validation, ABLATION_USERS, seed)
    return (*_measured(fitted.asked, task, seed), "validation, on which the blend was chosen")


def _measured(
    recommender: Recommender, task: RankingTask, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    def evaluated(score: ScoreUsers, asked: RankingTask) -> RankingEvaluation:
        return evaluate_ranking(score, asked, vectors=recommender.texts.encoded)

    whole = evaluated(recommender.score_users, task)
    few = _drawn(task, ABLATION_USERS, seed)
    same = whole if few is task else evaluated(recommender.score_users, few)
    ablations = {"all": same.metrics}
    for part in PARTS:
        ablations[part] = evaluated(recommender.only(part), few).metrics
    return whole.summary(seed=seed), ablations


def _drawn(task: RankingTask, most: int, seed: int) -> RankingTask:
    if len(task.users) <= most:
        return task
    chosen = np.sort(np.random.default_rng(seed).choice(len(task.users), most, replace=False))
    return RankingTask(
        task.name,
        task.train,
        task.history,
        task.users[chosen],
        tuple(task.targets[place] for place in chosen),
        task.candidates,
    )


def _read_before(registry: ModelRegistry, app: str, encoder: str) -> dict[str, Any]:
    """The vectors of texts that the bundle in use holds, if the same encoder read them."""
    current = registry.in_use(app)
    if current is None:
        return {}
    try:
        version = registry.get(app, current)
        tuned = (version.folder / ENCODER).is_dir()
        if tuned or version.card.get("encoder") != encoder:
            return {}
        registry.verify(version)
        return known_vectors(version.folder)
    except (RegistryError, UnreadableFile) as error:
        log.warning("texts are read again: %s", error.message)
        return {}
