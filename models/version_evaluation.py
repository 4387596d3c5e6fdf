"""A registered version measured on a data set, its own splits kept."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.registry import ModelRegistry
from models.text_classifier import TextPredictor
from models.text_evaluation import evaluate_predictor
from models.text_training import prepare_data
from shared.errors import DataError
from shared.evaluation.robustness import CHANGES, DRAWS, Robustness, measure_robustness
from shared.finetuning.progress import ProgressReporter
from shared.records import SPLIT_NAMES, Dataset, Example


@dataclass(frozen=True, slots=True)
class VersionEvaluation:
    """The object that ``triptych evaluate --json`` prints, and the labels the version lacks."""

    summary: dict[str, Any]
    unknown_labels: tuple[str, ...]


def evaluate_version(
    registry: ModelRegistry,
    app: str,
    dataset: Dataset,
    *,
    version: str | None,
    split: str,
    report: ProgressReporter,
    measured_by: Sequence[str] = (),
    robustness: bool = False,
) -> VersionEvaluation:
    """Measure a version (None: the one in use) on a split of a data set, or on ``all``.

    Splits are those that the version was trained with: a text that it was trained on never
    counts as a test text; of another data set what it trained or was tuned on is left out.
    With ``robustness`` the summary says what changed texts cost, under ``robustness``. DataError
    when no labelled example is left.
    """
    started = time.monotonic()
    chosen = registry.get(app, version)
    registry.verify(chosen)
    same = chosen.card["data"]["name"] == dataset.name
    stored = json.loads((chosen.folder / "splits.json").read_text(encoding="utf-8"))
    splits = prepare_data(dataset, assigned=stored if same else None)
    examples = [
        example for name in SPLIT_NAMES if split in (name, "all") for example in splits[name]
    ]
    seen = 0
    if not same:
        fresh = [
            example
            for example in examples
            if {stored.get(example.key), stored.get(example.group_key)} <= {None, "test"}
        ]
        seen, examples = len(examples) - len(fresh), fresh
    if not any(example.in_scope for example in examples):
        raise DataError(f"{dataset.name} has no labelled example left in split {split!r}")
    prepared = time.monotonic()
    predictor = TextPredictor.load(chosen)
    evaluation = evaluate_predictor(predictor, examples, report=report, measured_by=measured_by)
    assert evaluation is not None
    unknown = {e.label for e in examples if e.in_scope} - set(predictor.labels)
    card = chosen.card
    summary: dict[str, Any] = {
        "app": app,
        "version": chosen.name,
        "method": card["method"],
        "encoder": card["encoder"],
        "seed": card["seed"],
        "data": {
            "name": dataset.name,
            "split": split,
            **splits.counts(),
            "removed_duplicates": splits.removed_duplicates + splits.removed_conflicts,
            "left_out_as_trained_on": seen,
            "unknown_labels": sorted(unknown),
        },
        "seconds": {
            "prepare": round(prepared - started, 3),
            "train": 0.0,
            "evaluate": round(time.monotonic() - prepared, 3),
        },
        "metrics": evaluation.metrics,
    }
    if robustness:
        inside = [example for example in examples if example.in_scope]
        summary["robustness"] = robustness_of(predictor, inside, report).as_json()
    return VersionEvaluation(summary, tuple(sorted(unknown)))


def robustness_of(
    predictor: TextPredictor, examples: Sequence[Example], report: ProgressReporter
) -> Robustness:
    """What changed texts cost on these in-scope examples; a label that it lacks counts as wrong."""
    numbers = {label: number for number, label in enumerate(predictor.labels)}
    truth = np.array([numbers.get(example.label, -1) for example in examples], dtype=np.int64)

    def predict(texts: Sequence[str]) -> NDArray[np.int64]:
        vectors = predictor.encoder.embed(texts, hardware=predictor.hardware, report=report)
        return np.asarray(predictor.probabilities_of(vectors).argmax(axis=1), dtype=np.int64)

    report.start("robustness", len(examples) * (1 + DRAWS * len(CHANGES)))
    measured = measure_robustness([example.text for example in examples], truth, predict)
    report.finish()
    return measured
