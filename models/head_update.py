"""A head fitted again on stored vectors: a new class or correction is live in seconds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.held_out import judge_held_out
from models.neighbours import class_rows
from models.registry import ModelRegistry, ModelVersion
from models.text_classifier import ClassificationHead, TextClassifier, TextPredictor
from models.text_predictor import as_stored
from models.version_content import read_examples, write_examples
from shared.evaluation.selective import choose_threshold
from shared.finetuning.linear_head import fit_linear_head
from shared.finetuning.new_class import fit_new_class
from shared.finetuning.progress import ProgressReporter
from shared.privacy import mask_personal_data
from shared.records import Example

CARRIED_OVER = ("gate.jsonl", "validation.jsonl", "splits.json", "training_log.jsonl")


def update_head(
    registry: ModelRegistry,
    version: ModelVersion,
    new_examples: Sequence[Example],
    *,
    now: datetime,
    report: ProgressReporter | None = None,
) -> ModelVersion:
    """A new version: the encoder of ``version``, a head on its examples and the new ones.

    The head keeps its shape (cosine or linear). A new class of a cosine head gets a class
    vector fitted to all examples; those that were fine-tuned stay as they are, so the old
    classes keep their logits. So does a linear head; it is fitted again as a whole only when
    examples of old classes come. Temperature, confidence and the answer threshold are set anew
    on the stored validation examples.
    """
    started = time.monotonic()
    registry.verify(version)
    base = TextPredictor.load(version)
    if report is not None:
        report.say(f"embedding {len(new_examples)} new examples")
    added = [(mask_personal_data(example.text), example.label) for example in new_examples]
    vectors = base.embed([text for text, _ in added])
    bank = [*base.bank, *added]
    bank_vectors = np.concatenate([base.bank_vectors, as_stored(vectors)])
    labels = tuple(sorted({label for _, label in bank}))
    head = _new_head(base, labels, bank, bank_vectors)
    classifier = TextClassifier(base.encoder, head)
    validation = read_examples(version.folder / "validation.jsonl")
    numbers = {label: number for number, label in enumerate(labels)}
    truth = np.array([numbers.get(e.label, -1) for e in validation], dtype=np.int64)
    confidence, threshold = base.confidence, base.answer_threshold
    thresholds = dict(version.card["thresholds"])
    if (truth >= 0).any():
        held_out = judge_held_out(
            classifier,
            [example.text for example in validation],
            truth,
            bank=bank_vectors,
            bank_truth=class_rows(labels, bank),
        )
        confidence = held_out.confidence
        chosen = choose_threshold(held_out.sure, held_out.correct, target_error=base.target_error)
        threshold = chosen.threshold
        thresholds |= {
            "answer": chosen.threshold,
            "temperature": confidence.temperature,
            "neighbour_share": confidence.neighbour_share,
            "coverage": chosen.coverage,
            "error": chosen.error,
            "bound": chosen.bound,
            "certified": chosen.certified,
        }
    predictor = TextPredictor(
        "unregistered",
        {},
        classifier,
        labels,
        confidence,
        bank,
        bank_vectors,
        threshold,
        base.target_error,
    )
    card = _card(version, labels, thresholds, len(new_examples), time.monotonic() - started)

    def write(folder: Path) -> None:
        predictor.save(folder)
        for name in CARRIED_OVER:
            if (version.folder / name).is_file():
                shutil.copy2(version.folder / name, folder / name)
        write_examples(folder / "added.jsonl", new_examples)

    return registry.add(version.app, card=card, write=write, now=now)


def _new_head(
    base: TextPredictor,
    labels: Sequence[str],
    bank: Sequence[tuple[str, str]],
    vectors: NDArray[np.float32],
) -> ClassificationHead:
    old = base.classifier.head
    truth = np.array([labels.index(label) for _, label in bank], dtype=np.int64)
    if not old.cosine:
        if {label for _, label in bank[len(base.bank) :]}.isdisjoint(base.labels):
            return extended_head(old, base.labels, labels, truth, vectors)
        fitted = fit_linear_head(vectors, truth, classes=len(labels))
        weight, bias = torch.from_numpy(fitted.weight), torch.from_numpy(fitted.bias)
        return ClassificationHead(weight, bias, 1.0, cosine=False)
    rows = [
        old.weight[base.labels.index(label)].detach().cpu().numpy()
        if label in base.labels
        else vectors[truth == number].mean(axis=0)
        for number, label in enumerate(labels)
    ]
    start = np.stack(rows).astype(np.float32)
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    fresh = np.array([label not in base.labels for label in labels])
    final = fit_new_rows(start, fresh, vectors, truth, old.scale) if fresh.any() else start
    return ClassificationHead(
        torch.from_numpy(final), torch.zeros(len(labels)), old.scale, cosine=True
    )


def extended_head(
    old: ClassificationHead,
    known: Sequence[str],
    labels: Sequence[str],
    truth: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> ClassificationHead:
    """A linear head with rows for the labels that are not ``known``; all other rows are kept."""
    weight = {label: row.numpy() for label, row in zip(known, old.weight.detach(), strict=True)}
    bias = {label: float(one) for label, one in zip(known, old.bias.detach(), strict=True)}
    for number, label in enumerate(labels):
        if label in weight:
            continue
        there = np.stack(list(weight.values())), np.array(list(bias.values()))
        rows = np.isin(truth, [number, *(labels.index(name) for name in weight)])
        logits = vectors[rows] @ there[0].T + there[1]
        weight[label], bias[label] = fit_new_class(vectors[rows], truth[rows] == number, logits)
    return ClassificationHead(
        torch.from_numpy(np.stack([weight[label] for label in labels])),
        torch.tensor([bias[label] for label in labels]),
        1.0,
        cosine=False,
    )


def fit_new_rows(
    weight: NDArray[np.float32],
    fresh: NDArray[np.bool_],
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    scale: float,
    steps: int = 120,
) -> NDArray[np.float32]:
    """Class vectors [classes, dimensions] in which only the ``fresh`` rows were fitted.

    Cross-entropy of the scaled cosines over all training vectors, by Adam: a new class must
    win its own examples without taking those of an old one. Its few examples weigh as much as
    the median old class, up to ten times.
    """
    counts = np.bincount(truth, minlength=len(fresh))
    boost = np.clip(np.median(counts[~fresh]) / np.maximum(counts, 1), 1.0, 10.0)
    class_weight = torch.from_numpy(np.where(fresh, boost, 1.0).astype(np.float32))
    fixed = torch.from_numpy(weight)
    new = torch.nn.Parameter(fixed[fresh].clone())
    features, target = torch.from_numpy(vectors), torch.from_numpy(truth)
    known = scale * features @ fixed.T
    optimiser = torch.optim.Adam([new], lr=0.05)
    columns = torch.from_numpy(np.flatnonzero(fresh))
    for _ in range(steps):
        logits = known.index_copy(
            1, columns, scale * features @ torch.nn.functional.normalize(new, dim=1).T
        )
        loss = torch.nn.functional.cross_entropy(logits, target, weight=class_weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    result = weight.copy()
    result[fresh] = torch.nn.functional.normalize(new.detach(), dim=1).numpy()
    return result


def _card(
    version: ModelVersion,
    labels: Sequence[str],
    thresholds: Mapping[str, Any],
    added: int,
    seconds: float,
) -> dict[str, Any]:
    card = dict(version.card)
    data = {**card["data"], "train": card["data"]["train"] + added, "added": added}
    return {
        **card,
        "base": version.name,
        "method": "head update",
        "labels": list(labels),
        "data": data,
        "thresholds": dict(thresholds),
        "metrics": {},
        "seconds": {"prepare": 0.0, "train": round(seconds, 3), "evaluate": 0.0},
        "reason": f"the head of {version.name} with {added} more examples; the encoder is the same",
    }
