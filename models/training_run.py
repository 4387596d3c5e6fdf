"""A training and an evaluation as commands run them, with progress and the gate."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from models.cross_validation import cross_validate
from models.promotion import gate_and_promote
from models.promotion_audit import audited_registry
from models.registry import ModelRegistry
from models.text_classifier import TextPredictor
from models.text_training import TrainedVersion, train_text_classifier
from models.version_evaluation import evaluate_version
from shared.command_line import say
from shared.errors import PromotionRefused, SettingsError
from shared.finetuning.parallel import current_ranks
from shared.finetuning.progress import ConsoleProgress
from shared.finetuning.recipe import Recipe
from shared.finetuning.splits import Shares
from shared.records import Dataset
from shared.settings import Settings


def train_and_gate(
    dataset: Dataset,
    *,
    app: str,
    recipe: Recipe,
    settings: Settings,
    source: Mapping[str, Any] | str,
    author: str,
    now: datetime,
    encoder: str | None = None,
    device: str | None = None,
    resume: bool = False,
    promote: bool = False,
    announce: str | None = None,
    measured_by: Sequence[str] = (),
    folds: int | None = None,
    unlabelled: Sequence[str] = (),
    unlabelled_source: Mapping[str, Any] | str | None = None,
    base: TextPredictor | None = None,
    budget: float | None = None,
) -> TrainedVersion:
    """Train with progress on standard error, and promote the first version or when asked.

    With ``folds`` the numbers are those of a cross-validation, and the version is then trained on
    all examples but validation and gate.

    ``unlabelled`` are texts for the methods that use some, read from ``unlabelled_source``;
    ``base`` is the version that ``continual`` goes on from. SettingsError for a ``base`` with
    ``folds``: it has learned what the folds hold out.

    ``budget`` is the seconds that the training may take, by an estimate; not with ``folds``.

    In a group of processes the first alone reports, evaluates and registers; PartDone in others.

    The log goes to ``runs/<app>-training.jsonl`` below the home. The summary's ``promotion``
    says whether the version is in use now, and why; a refusal by the gate is no error.
    """
    if folds is not None and budget is not None:
        raise SettingsError("a budget is for one training: give --budget or --folds, not both")
    if folds is not None and base is not None:
        raise SettingsError(
            "a version that goes on learning cannot be cross-validated: it has learned what the "
            "folds would hold out"
        )
    registry = audited_registry(settings)
    log_path = settings.home / "runs" / f"{app}-training.jsonl"
    first = current_ranks().first
    if first:
        log_path.unlink(missing_ok=True)
    with ConsoleProgress(log_path) if first else ConsoleProgress(None, io.StringIO()) as report:
        if announce:
            report.say(announce)
        measured = None
        if folds is not None:
            measured = cross_validate(
                dataset,
                folds=folds,
                recipe=recipe,
                encoder=encoder or settings.encoder,
                device=device or settings.device,
                report=report,
                measured_by=measured_by,
                unlabelled=unlabelled,
            )
            free = tuple(replace(example, split=None) for example in dataset.examples)
            dataset = replace(dataset, examples=free)
        trained = train_text_classifier(
            dataset,
            app=app,
            recipe=recipe,
            encoder=encoder or settings.encoder,
            registry=registry,
            now=now,
            report=report,
            source=source,
            device=device or settings.device,
            resume=resume,
            measured_by=measured_by,
            shares=None if folds is None else Shares(test=0.0),
            measured=measured,
            unlabelled=unlabelled,
            unlabelled_source=unlabelled_source,
            base=base,
            budget=budget,
        )
    outcome: dict[str, Any] = {"promoted": False, "reason": "not asked for"}
    if promote or registry.in_use(app) is None:
        try:
            promotion = gate_and_promote(registry, app, trained.version, author=author, now=now)
            outcome = {"promoted": True, "reason": promotion.reason}
        except PromotionRefused as error:
            outcome = {"promoted": False, "reason": error.message}
    return TrainedVersion(trained.version, {**trained.summary, "promotion": outcome})


def load_base(settings: Settings, app: str, name: str | None) -> TextPredictor | None:
    """The version that a training goes on from, its files checked; None for no name.

    ``in-use`` is the one in use. VersionNotFound where there is none of the name.
    """
    if name is None:
        return None
    registry = ModelRegistry(settings.models)
    version = registry.get(app, None if name == "in-use" else name)
    registry.verify(version)
    return TextPredictor.load(version)


def evaluate_in_home(
    settings: Settings,
    app: str,
    dataset: Dataset,
    *,
    version: str | None,
    split: str,
    measured_by: Sequence[str] = (),
    robustness: bool = False,
) -> dict[str, Any]:
    """The summary of a version's evaluation, with progress on standard error.

    Labels that the version does not know are counted there as well.
    """
    with ConsoleProgress() as report:
        evaluated = evaluate_version(
            ModelRegistry(settings.models),
            app,
            dataset,
            version=version,
            split=split,
            report=report,
            measured_by=measured_by,
            robustness=robustness,
        )
    unknown = len(evaluated.unknown_labels)
    if unknown:
        say(f"{unknown} labels are unknown to the version: their examples count as wrong")
    return evaluated.summary
