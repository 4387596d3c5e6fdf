"""Cross-validation: every example predicted once, by a model that never saw it.

Source: Stone, "Cross-validatory choice and assessment of statistical predictions", 1974.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.text_evaluation import by_detail, confusion
from models.text_training import (
    evaluate_model,
    fit_text_classifier,
    prepare_data,
    without_held_out,
)
from shared.errors import DataError
from shared.evaluation.calibration import expected_calibration_error
from shared.evaluation.classification import accuracy, bootstrap_interval, macro_f1
from shared.finetuning.hardware import choose_hardware
from shared.finetuning.progress import ProgressReporter
from shared.finetuning.recipe import Recipe
from shared.finetuning.splits import Shares, fold_examples
from shared.records import Dataset, Example

VALIDATION_SHARE = 0.08
"""Of what a fold trains on: temperature and threshold are fitted there, never on the fold."""


def cross_validate(
    dataset: Dataset,
    *,
    folds: int,
    recipe: Recipe,
    encoder: str | None,
    device: str,
    report: ProgressReporter,
    measured_by: Sequence[str] = (),
    unlabelled: Sequence[str] = (),
) -> dict[str, Any]:
    """Stratified cross-validation, duplicates removed first; metrics over all predictions at once.

    Splits that the source states are not heeded. ``folds`` in the answer holds each fold's own
    accuracy and macro-F1. What a fold holds out is never among the texts of ``unlabelled`` that it
    learns from. DataError when a class has fewer examples than there are folds.
    """
    free = replace(dataset, examples=tuple(replace(e, split=None) for e in dataset.examples))
    pool = prepare_data(free, shares=Shares(0.0, 0.0, 0.0))
    labels = pool.labels
    dealt = fold_examples([e for e in pool.train if e.in_scope], folds)
    if any({example.label for example in fold} != set(labels) for fold in dealt):
        raise DataError(
            f"{dataset.name}: a class has too few examples for {folds} folds: give fewer folds",
            folds=folds,
        )
    hardware = choose_hardware(device, recipe.precision)
    own: list[Mapping[str, Any]] = []
    examples: list[Example] = []
    truth, probabilities = [], []
    for number, held_out in enumerate(dealt, start=1):
        report.say(f"fold {number} of {folds}")
        rest = [example for fold in dealt if fold is not held_out for example in fold]
        stated = (*(replace(e, split="test") for e in held_out), *rest)
        splits = prepare_data(
            replace(dataset, examples=stated), shares=Shares(VALIDATION_SHARE, 0.0, 0.0)
        )
        fitted = fit_text_classifier(
            splits,
            recipe=recipe,
            encoder=encoder,
            hardware=hardware,
            report=report,
            descriptions=dataset.descriptions,
            unlabelled=without_held_out(unlabelled, splits),
            goes_on=True,
        )
        evaluation = evaluate_model(fitted.predictor, splits, report)
        assert evaluation is not None
        figures = ("accuracy", "macro_f1", "expected_calibration_error")
        own.append({name: evaluation.metrics[name] for name in figures})
        examples.extend(example for example in splits.test if example.in_scope)
        truth.append(evaluation.truth)
        probabilities.append(evaluation.probabilities)
    true, scores = np.concatenate(truth), np.concatenate(probabilities)
    predicted = scores.argmax(axis=1)
    return {
        "accuracy": accuracy(true, predicted),
        "macro_f1": macro_f1(true, predicted),
        "expected_calibration_error": expected_calibration_error(scores, true),
        "out_of_scope": None,
        "intervals": {"accuracy": bootstrap_interval(predicted == true, seed=0)},
        "examples": len(true),
        "confusion": confusion(true, predicted, labels),
        "by": {
            name: groups
            for name in measured_by
            if (groups := by_detail(name, examples, true, predicted))
        },
        "folds": own,
        "removed_duplicates": pool.removed_duplicates + pool.removed_conflicts,
    }
