"""What old classes lose when a version learns new ones without its old data.

    python -m benchmarks.continual --data banking77 --first 50
    python -m benchmarks.continual --data banking77-10shot --try continual.weight=0

A version learns the first classes, drawn by the seed; then it goes on with the others alone, its
old data gone but for the examples that it replays and those it was validated on. Each ``--try``
is one more way to go on from the same version, its fields apart by commas. Prints one JSON object
a way: accuracy on the test texts of old classes before and after, among all classes, and of the
new ones. ``--full`` also trains on all classes at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from data_connectors.sources import load_dataset
from models.text_classifier import TextPredictor, forward
from models.text_training import FittedClassifier, fit_text_classifier, prepare_data
from shared.finetuning.continual import Earlier, join_earlier
from shared.finetuning.hardware import choose_hardware
from shared.finetuning.progress import ConsoleProgress
from shared.finetuning.recipe import make_recipe
from shared.finetuning.splits import Shares
from shared.records import Dataset, Example
from shared.settings import Settings
from shared.training_options import parse_fields


def only(dataset: Dataset, labels: set[str]) -> Dataset:
    """The data set with the examples of these classes alone."""
    kept = tuple(example for example in dataset.examples if example.label in labels)
    return replace(dataset, examples=kept)


def right(predictor: TextPredictor, examples: Sequence[Example]) -> float:
    """Accuracy in percent, among all classes that the predictor knows."""
    logits = forward(predictor.classifier, [example.text for example in examples])[1]
    names = [predictor.labels[number] for number in logits.argmax(axis=1)]
    return 100 * float(np.mean([n == e.label for n, e in zip(names, examples, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="banking77")
    parser.add_argument("--first", type=int, default=50, help="classes of the first version")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="fields")
    parser.add_argument("--try", action="append", default=[], dest="ways")
    parser.add_argument("--full", action="store_true", help="also all classes at once")
    parser.add_argument("--validation", type=float, default=0.08, help="share of training texts")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    dataset = load_dataset(chosen.data, settings=Settings())
    order = np.random.default_rng(chosen.seed).permutation(list(dataset.labels)).tolist()
    old, new = set(order[: chosen.first]), set(order[chosen.first :])

    with contextlib.redirect_stdout(sys.stderr), ConsoleProgress() as report:
        shares = Shares(chosen.validation, 0.0, 0.0)

        def fit(
            data: Dataset, fields: Sequence[str], held: Sequence[Example] = (), **given: Any
        ) -> FittedClassifier:
            splits = join_earlier(prepare_data(data, shares=shares), Earlier((), tuple(held)))
            recipe = make_recipe(seed=chosen.seed, **parse_fields((*chosen.fields, *fields)))
            return fit_text_classifier(
                splits,
                recipe=recipe,
                encoder=None,
                hardware=choose_hardware(chosen.device, recipe.precision),
                report=report,
                descriptions=dataset.descriptions,
                **given,
            )

        tests = [e for e in prepare_data(dataset).test if e.in_scope]
        asked = {"old": [e for e in tests if e.label in old]}
        asked["new"] = [e for e in tests if e.label in new]
        base = fit(only(dataset, old), ()).predictor
        before = right(base, asked["old"])
        held = prepare_data(only(dataset, old), shares=shares).validation
        for way in [*([None] if chosen.full else []), "", *chosen.ways]:
            started = time.perf_counter()
            if way is None:
                grown = fit(dataset, ()).predictor
            else:
                fields = tuple(field for field in way.split(",") if field)
                grown = fit(only(dataset, new), fields, held, base=base).predictor
            result = {
                "data": chosen.data,
                "way": "all at once" if way is None else way,
                "seed": chosen.seed,
                "old_before": before,
                "old_after": right(grown, asked["old"]),
                "new": right(grown, asked["new"]),
                "all": right(grown, tests),
                "seconds": time.perf_counter() - started,
            }
            print(json.dumps(result), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main()
