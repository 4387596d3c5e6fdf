"""One training by one method in a process of its own, for the table of methods.

    python -m benchmarks.one_training --data banking77-10shot --method contrastive --all-labels
    python -m benchmarks.one_training --data banking77 --method noise_robust --flipped 0.15

Prints one JSON object. ``--all-labels`` trains on every labelled text of the training part (no
validation, so nothing is certified), as few-shot protocols do. ``--tuning`` measures on training
rows of ``--rest-of`` that the draw left out, never on the test part: choices were made by it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from data_connectors.sources import load_dataset
from models.text_training import evaluate_model, fit_text_classifier, prepare_data, without_held_out
from shared.finetuning.hardware import choose_hardware
from shared.finetuning.progress import ConsoleProgress
from shared.finetuning.recipe import make_recipe
from shared.finetuning.splits import Shares
from shared.records import Dataset, Example
from shared.settings import Settings
from shared.training_options import parse_fields


def with_flipped_labels(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The examples, that share of the training ones with another class drawn evenly."""
    draw = np.random.default_rng(seed)
    labels = sorted({example.label for example in examples if example.in_scope})
    result = []
    for example in examples:
        if example.split in ("train", None) and example.in_scope and draw.random() < share:
            others = [label for label in labels if label != example.label]
            example = replace(example, label=others[int(draw.integers(len(others)))])
        result.append(example)
    return result


def measured_on_the_rest(dataset: Dataset, whole: Dataset) -> Dataset:
    """The data set with the training rows of ``whole`` that it lacks as its test part."""
    drawn = {example.key for example in dataset.examples if example.split != "test"}
    tested = {example.key for example in whole.examples if example.split == "test"}
    rest = [
        replace(example, split="test")
        for example in whole.examples
        if example.split == "train" and example.key not in drawn | tested
    ]
    kept = [example for example in dataset.examples if example.split != "test"]
    return replace(dataset, examples=(*kept, *rest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="fields")
    parser.add_argument("--all-labels", action="store_true")
    parser.add_argument("--unlabelled", help="a data set whose training texts join without labels")
    parser.add_argument("--flipped", type=float, default=0.0, help="share of wrong labels")
    parser.add_argument("--tuning", action="store_true", help="measure on unused training rows")
    parser.add_argument("--rest-of", default="banking77")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    settings = Settings()
    dataset = load_dataset(chosen.data, settings=settings)
    if chosen.tuning:
        dataset = measured_on_the_rest(dataset, load_dataset(chosen.rest_of, settings=settings))
    if chosen.flipped:
        wrong = with_flipped_labels(dataset.examples, chosen.flipped, chosen.seed)
        dataset = replace(dataset, examples=tuple(wrong))
    unlabelled: list[str] = []
    if chosen.unlabelled:
        source = load_dataset(chosen.unlabelled, settings=settings)
        unlabelled = [example.text for example in source.examples if example.split == "train"]
    recipe = make_recipe(
        method=chosen.method, seed=chosen.seed, **parse_fields(tuple(chosen.fields))
    )
    splits = prepare_data(dataset, shares=Shares(0.0, 0.0, 0.0) if chosen.all_labels else None)
    # Zero-shot reads no label: the training texts may be its unlabelled ones.
    unread = replace(splits, train=()) if recipe.method == "zero_shot" else splits
    with contextlib.redirect_stdout(sys.stderr), ConsoleProgress() as report:
        started, busy = time.perf_counter(), time.process_time()
        fitted = fit_text_classifier(
            splits,
            recipe=recipe,
            encoder=None,
            hardware=choose_hardware(chosen.device, recipe.precision),
            report=report,
            descriptions=dataset.descriptions,
            unlabelled=without_held_out(unlabelled, unread),
        )
        seconds, cpu = time.perf_counter() - started, time.process_time() - busy
        evaluation = evaluate_model(fitted.predictor, splits, report)
    assert evaluation is not None
    weights = list(fitted.predictor.classifier.parameters())
    result: dict[str, Any] = {
        "data": chosen.data,
        "method": fitted.recipe.method,
        "reason": fitted.reason,
        "seed": chosen.seed,
        "counts": splits.counts(),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "weights": sum(weight.numel() for weight in weights),
        "measured_on": "unused training rows" if chosen.tuning else "test",
        "accuracy": evaluation.metrics["accuracy"],
        "macro_f1": evaluation.metrics["macro_f1"],
        "out_of_scope": evaluation.metrics["out_of_scope"],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
