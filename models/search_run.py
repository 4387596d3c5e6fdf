"""A search as the command runs it: data in, the best recipe, a journal and a page out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.search import TimeBar, TrainAndScore, run_search
from models.text_training import prepare_data
from models.version_content import data_fingerprint
from shared.errors import TrainingError
from shared.evaluation.search_report import write_search_report
from shared.finetuning.hardware import choose_hardware
from shared.finetuning.methods import METHODS, Method
from shared.finetuning.progress import ConsoleProgress
from shared.finetuning.recipe import epochs_for, make_recipe
from shared.finetuning.search import USUAL_METHODS, SearchSpace, train_command
from shared.records import Dataset, class_counts
from shared.settings import Settings


def search_in_home(
    dataset: Dataset,
    *,
    app: str,
    given: Mapping[str, Any],
    settings: Settings,
    words: Sequence[str],
    budget: float,
    methods: Sequence[Method] = (),
    most_trials: int | None = None,
    encoder: str | None = None,
    device: str | None = None,
    resume: bool = False,
    usual_epochs: float | None = None,
) -> dict[str, Any]:
    """The object that ``triptych search --json`` prints.

    ``given`` are fields of the recipe that do not vary (``seed`` among them), ``words`` the options
    that name the data in the line that trains by the best recipe, ``budget`` seconds. Journal and
    page stand in ``runs/`` below the home. TrainingError where no trial could be finished.
    """
    name = encoder or settings.encoder
    base = make_recipe(**given)
    hardware = choose_hardware(device or settings.device, base.precision)
    splits = prepare_data(dataset)
    examples = sum(class_counts(splits.train).values())
    tried = tuple(methods) or tuple(method for method in USUAL_METHODS if method in METHODS)
    space = SearchSpace(base, tried, base.epochs or usual_epochs or epochs_for(examples))
    journal = settings.home / "runs" / f"{app}-search.journal"
    page = journal.with_suffix(".html")
    with ConsoleProgress() as report:
        report.say(
            f"searching among {', '.join(tried)}: {examples:,} training and "
            f"{len(splits.validation):,} validation examples; test and gate are not looked at"
        )
        bar = TimeBar(report, budget)
        objective = TrainAndScore.of(
            splits, base, hardware, bar, encoder=name, descriptions=dataset.descriptions
        )
        told = [
            data_fingerprint(dataset.examples), name, base.model_dump(mode="json"), tried,
            space.epochs,
        ]  # fmt: skip
        result = run_search(
            objective,
            space,
            journal=journal,
            identity=hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest(),
            seed=base.seed,
            bar=bar,
            resume=resume,
            most_trials=most_trials,
        )
    best = result.best
    if best is None or best.score is None:
        errors = "; ".join(sorted({trial.error for trial in result.trials if trial.error}))
        raise TrainingError(f"no trial of the search could be finished: {errors}")
    hand = {name: value for name, value in given.items() if name not in ("seed", "method")}
    command = train_command(app, words, {**hand, **best.fields})
    write_search_report(page, result, title=f"{app}: search for a recipe", command=command)
    return {
        "app": app,
        "data": {
            "name": dataset.name, "train": len(splits.train), "validation": len(splits.validation)
        },
        "seconds": round(result.seconds, 1),
        "seed": base.seed,
        "trials": [
            {
                "number": trial.number, "state": trial.state, "recipe": dict(trial.fields),
                "validation_accuracy": trial.accuracy, "seconds": round(trial.seconds, 2),
                "validation_loss": trial.score.loss if trial.score else None, "error": trial.error,
            }
            for trial in result.trials
        ],
        "counts": result.counts(),
        "resumed_trials": result.resumed,
        "best": {
            "recipe": dict(best.fields),
            "validation_accuracy": best.score.accuracy,
            "validation_loss": best.score.loss,
        },
        "command": command,
        "journal": str(journal),
        "plot": str(page),
    }  # fmt: skip
