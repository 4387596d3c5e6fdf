"""The peers: Hugging Face ``Trainer`` and SetFit, same encoder, rows, batch and threads.

    python -m benchmarks.peers trainer-fp32 | trainer-bf16 | setfit  [--seed 1] [--steps N]
    python -m benchmarks.peers setfit --data banking77-10shot

Prints one JSON object. The rows are those of our own Banking77 splits; of a few-shot draw all
labelled texts train.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from data_connectors.sources import load_dataset
from models.encoder_files import packaged_folder
from models.methods.task import class_numbers, in_scope
from models.text_training import prepare_data
from shared.finetuning.splits import Shares
from shared.records import Example, Splits
from shared.settings import Settings

EPOCHS = 4
BATCH = 64
LEARNING_RATE = 2e-4


def rows(splits: Splits, name: str) -> tuple[list[str], np.ndarray]:
    examples: Sequence[Example] = in_scope(splits[name])  # type: ignore[index]
    return [e.text for e in examples], class_numbers(examples, splits.labels)


def trainer(splits: Splits, seed: int, *, bf16: bool, steps: int | None) -> dict[str, object]:
    """The Trainer: as it comes, or with bf16 and length grouping; our learning-rate schedule."""
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)
    folder = str(packaged_folder())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(splits.labels)
    )

    def tokens(name: str) -> Dataset:
        texts, truth = rows(splits, name)
        encoded = tokenizer(texts, truncation=True, max_length=128)
        return Dataset.from_dict({**encoded, "labels": truth.tolist()})

    training = tokens("train")
    grouping = {"train_sampling_strategy": "group_by_length"} if bf16 else {}
    with tempfile.TemporaryDirectory() as place:
        run = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=place, per_device_train_batch_size=BATCH, num_train_epochs=EPOCHS,
                learning_rate=LEARNING_RATE, warmup_steps=0.1, weight_decay=0.01, seed=seed,
                bf16=bf16, use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True,
                max_steps=steps or -1, **grouping,
            ),
            train_dataset=training,
            data_collator=DataCollatorWithPadding(tokenizer),
        )  # fmt: skip
        started = time.perf_counter()
        run.train()
        seconds = time.perf_counter() - started
        accuracy = None
        if steps is None:
            test = tokens("test")
            found = run.predict(test)  # in the order of length: its own labels go with it
            accuracy = float((found.predictions.argmax(1) == found.label_ids).mean())
    seen = (steps * BATCH) if steps else len(training) * EPOCHS
    return {"examples_per_second": seen / seconds, "seconds": seconds, "accuracy": accuracy}


SETFIT_ITERATIONS = 20
"""SetFit's documented number of pairs a text, of each kind, where not all pairs are read."""

SETFIT_MOST_SECONDS = 600.0
"""Time that its default sampling, which reads all pairs, may take by an estimate."""


def setfit(splits: Splits, seed: int, *, steps: int | None) -> dict[str, object]:
    """SetFit: its own defaults, or one positive and one negative pair a text for so many steps.

    Its defaults read every pair of two texts. Where ten steps say that this takes more than ten
    minutes, it gets its documented number of iterations instead; the result says which it was.
    """
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    texts, truth = rows(splits, "train")
    training = Dataset.from_dict({"text": texts, "label": truth.tolist()})
    test_texts, test_truth = rows(splits, "test")

    def run(**chosen: Any) -> tuple[Any, float, float]:
        model = SetFitModel.from_pretrained(str(packaged_folder()))
        with tempfile.TemporaryDirectory() as place:
            args = TrainingArguments(
                output_dir=place, seed=seed, report_to="none", save_strategy="no",
                show_progress_bar=False, **chosen,
            )  # fmt: skip
            started, busy = time.perf_counter(), time.process_time()
            Trainer(model=model, args=args, train_dataset=training).train()
            return model, time.perf_counter() - started, time.process_time() - busy

    about: dict[str, object] = {}
    if steps is not None:
        chosen = {"num_iterations": 1, "max_steps": steps, "batch_size": 16}
    else:
        chosen, about = _setfit_sampling(truth, run)
    model, seconds, cpu = run(**chosen)
    accuracy = float((np.asarray(model.predict(test_texts)) == test_truth).mean())
    times = {"seconds": seconds, "cpu_seconds": cpu}
    return {"examples_per_second": None, **times, "accuracy": accuracy, **about}


def _setfit_sampling(
    truth: np.ndarray, run: Callable[..., tuple[Any, float, float]]
) -> tuple[dict[str, Any], dict[str, object]]:
    """Its default sampling where there is time for it, and what is to be told of the choice."""
    counts = np.bincount(truth)
    alike = int((counts * (counts + 1) // 2).sum())
    apart = len(truth) * (len(truth) + 1) // 2 - alike
    default_steps = 2 * max(alike, apart) // 16
    few = 10
    # A first run also builds what later ones find built; the second one is timed, but for its head.
    run(num_iterations=1, max_steps=1)
    start = run(num_iterations=1, max_steps=1)[1]
    step = (run(num_iterations=1, max_steps=1 + few)[1] - start) / few
    estimate = default_steps * step
    about: dict[str, object] = {"default_steps": default_steps, "default_seconds": estimate}
    if estimate <= SETFIT_MOST_SECONDS:
        return {}, {**about, "sampling": "oversampling, SetFit's default"}
    print(
        f"SetFit's default sampling needs {default_steps:,} steps, about {estimate / 3600:.1f} "
        f"hours here: num_iterations={SETFIT_ITERATIONS} instead",
        file=sys.stderr,
    )
    return {"num_iterations": SETFIT_ITERATIONS}, {
        **about,
        "sampling": f"num_iterations={SETFIT_ITERATIONS}",
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["trainer-fp32", "trainer-bf16", "setfit"])
    parser.add_argument("--data", default="banking77")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int)
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Few-shot protocols train on every label of the draw.
    shares = Shares(0.0, 0.0, 0.0) if chosen.data.endswith("shot") else None
    splits = prepare_data(load_dataset(chosen.data, settings=Settings()), shares=shares)
    with contextlib.redirect_stdout(sys.stderr):
        if chosen.peer == "setfit":
            result = setfit(splits, chosen.seed, steps=chosen.steps)
        else:
            bf16 = chosen.peer == "trainer-bf16"
            result = trainer(splits, chosen.seed, bf16=bf16, steps=chosen.steps)
    print(json.dumps({"peer": chosen.peer, **result}))


if __name__ == "__main__":
    main()
