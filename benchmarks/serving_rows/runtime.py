"""One short message and batches of 32: int8 beside the transformers pipeline on the same threads.

Both sides give the probability of each class; what the desk asks besides (how familiar a text is
among all training texts) is in a row of its own. Both read the same fine-tuned Banking77 version;
the pipeline is given its encoder and head as ``BertForSequenceClassification`` would be, and
tokenises as ours does. The accuracy that int8 costs is measured on Banking77's test split, which
nothing was trained or tuned on.

    TRIPTYCH_HOME=... python -m benchmarks.serving_rows.runtime
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.serving_rows.row import ServingRow, print_rows
from models.registry import ModelRegistry, ModelVersion
from models.runtime.building import predictor_on, prepare_version
from models.runtime.files import read_runtime
from models.text_predictor import VersionPredictor
from shared.settings import Settings

APP = "support"
SINGLE, BATCH, ROUNDS = 400, 32, 3
MESSAGE_TOKENS = 12


def seconds_each(work: Callable[[Any], object], inputs: Sequence[Any]) -> list[float]:
    """Wall seconds of each call, after a tenth of them for warming up."""
    for one in inputs[: max(1, len(inputs) // 10)]:
        work(one)
    found = []
    for one in inputs:
        started = time.perf_counter()
        work(one)
        found.append(time.perf_counter() - started)
    return found


def transformers_pipeline(version: ModelVersion, threads: int) -> Any:
    """The pipeline as its documentation has it, with our encoder and head."""
    import torch
    from torch import nn
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        TextClassificationPipeline,
    )

    from models.text_predictor import StoredClassifier

    torch.set_num_threads(threads)
    folder = version.folder / "encoder"
    stored = StoredClassifier.read(version.folder)
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        str(folder), num_labels=len(stored.labels)
    )
    model.classifier = nn.Linear(*stored.weight.shape[::-1])
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(stored.weight))
        model.classifier.bias.copy_(torch.from_numpy(stored.bias))
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    return TextClassificationPipeline(model=model.eval(), tokenizer=tokenizer, device="cpu")


def banking_test() -> tuple[list[str], list[str]]:
    """The texts and labels of Banking77's test split."""
    from data_connectors.public_datasets import load_public_dataset

    settings = Settings()
    dataset = load_public_dataset("banking77", folder=settings.data, cache=settings.home / "cache")
    chosen = [example for example in dataset.examples if example.split == "test"]
    return [example.text for example in chosen], [str(example.label) for example in chosen]


def accuracy(predictor: Any, texts: Sequence[str], labels: Sequence[str]) -> float:
    """Share of the texts whose most probable class is theirs."""
    best = predictor.probabilities(texts).argmax(axis=1)
    return float(
        np.mean([predictor.labels[row] == label for row, label in zip(best, labels, strict=True)])
    )


def main() -> None:
    """Measure, and print the rows."""
    settings = Settings()
    registry = ModelRegistry(settings.models)
    version = registry.get(APP)
    verdict = prepare_version(registry, version)
    assert verdict is not None
    runtime = read_runtime(registry.root, verdict.digest)
    assert runtime is not None
    threads = settings.serving_threads or len(os.sched_getaffinity(0))
    ours: VersionPredictor = predictor_on(version, runtime, "int8", threads=threads)
    texts, labels = banking_test()
    lengths = [len(text.split()) for text in texts]
    short = [text for text, words in zip(texts, lengths, strict=True) if words <= MESSAGE_TOKENS][
        :SINGLE
    ]
    batches = [texts[start : start + BATCH] for start in range(0, 640, BATCH)]
    pipeline = transformers_pipeline(version, threads)
    singles: dict[str, list[float]] = {"ours": [], "predict": [], "peer": []}
    rates = {"ours": 0.0, "predict": 0.0, "peer": 0.0, "peer batched": 0.0}
    for _ in range(ROUNDS):
        singles["ours"] += seconds_each(lambda text: ours.probabilities([text]), short)
        singles["predict"] += seconds_each(lambda text: ours.predict([text]), short)
        singles["peer"] += seconds_each(pipeline, short[: SINGLE // 4])
        for name, work in (
            ("ours", ours.probabilities),
            ("predict", ours.predict),
            ("peer", pipeline),
            ("peer batched", lambda some: pipeline(some, batch_size=BATCH)),
        ):
            spent = sum(seconds_each(work, batches if name in ("ours", "predict") else batches[:5]))
            count = len(batches) if name in ("ours", "predict") else 5
            rates[name] = max(rates[name], BATCH * count / spent)
    own, whole, peer = (
        1_000 * float(np.median(singles[name])) for name in ("ours", "predict", "peer")
    )
    from models.text_classifier import TextPredictor

    exact = accuracy(TextPredictor.load(version), texts, labels)
    quick = accuracy(ours, texts, labels)
    lost = 100 * (exact - quick)
    details: dict[str, object] = {
        "threads": threads,
        "p50_ms": round(own, 3),
        "p99_ms": round(1_000 * float(np.quantile(singles["ours"], 0.99)), 3),
        "predict_p50_ms": round(whole, 3),
        "peer_p50_ms": round(peer, 3),
        "verdict": verdict.as_json(),
    }
    print(f"verdict: {verdict.chosen}: {verdict.reason}", file=sys.stderr)
    print_rows(
        [
            ServingRow(
                "one short message, p50, int8, tokenising included",
                f"{own:.2f} ms",
                f"{peer:.2f} ms (transformers pipeline)",
                ">= 6x, <= 1.2 ms",
                peer / own >= 6 and own <= 1.2,
                details,
            ),
            ServingRow(
                "the same with familiarity, confidence and ranked classes",
                f"{whole:.2f} ms; {rates['predict']:,.0f} texts a second at batch 32",
                "",
                "",
                None,
                {},
            ),
            ServingRow(
                "texts a second at batch 32, int8",
                f"{rates['ours']:,.0f}",
                f"{rates['peer']:,.0f} (pipeline; {rates['peer batched']:,.0f} with batch_size=32)",
                ">= 7x",
                rates["ours"] / rates["peer"] >= 7,
                {name: round(value, 1) for name, value in rates.items()},
            ),
            ServingRow(
                "accuracy lost by int8, Banking77 test",
                f"{lost:.2f} points ({100 * quick:.2f} %)",
                f"{100 * exact:.2f} % (torch, fp32)",
                "<= 0.2",
                lost <= 0.2,
                {"int8": quick, "torch": exact, "texts": len(texts)},
            ),
        ]
    )


if __name__ == "__main__":
    main()
