"""What a text classifier's version holds beside its weights: the card, the splits, the log."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from models.registry import ModelVersion
from models.text_classifier import TextPredictor
from shared.evaluation.selective import SelectiveThreshold
from shared.finetuning.footprint import Footprint
from shared.finetuning.hardware import Hardware
from shared.finetuning.loop import TrainingOutcome
from shared.finetuning.recipe import Recipe
from shared.finetuning.splits import assignments
from shared.records import Dataset, Example, Splits

LIMITS = (
    "Numbers hold for messages like those of the test split; other topics, languages or "
    "channels need a test of their own.",
    "The error target was certified on validation messages: it holds while incoming messages "
    "are drawn like them.",
    "Texts are cut at the recipe's max_length tokens.",
)


METHOD_FACTS = ("base", "forgetting", "distillation", "pruning", "adapters")
"""What methods tell in the card beside; the summary repeats it."""


def card_of(
    *,
    app: str,
    dataset: Dataset,
    splits: Splits,
    recipe: Recipe,
    reason: str,
    predictor: TextPredictor,
    threshold: SelectiveThreshold,
    metrics: Mapping[str, Any] | None,
    seconds: Mapping[str, float],
    hardware: Hardware,
    source: Mapping[str, Any] | str | None,
    unlabelled: tuple[int, Mapping[str, Any] | str | None] | None = None,
    outcome: TrainingOutcome | None = None,
    footprint: Footprint | None = None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The model card: enough to know what the version is, and to make it again.

    ``unlabelled`` says how many texts without labels there were and what they were read from.
    """
    return {
        "app": app,
        "method": recipe.method,
        "encoder": predictor.encoder.name,
        "seed": recipe.seed,
        "labels": list(predictor.labels),
        "data": {
            "name": dataset.name,
            "source": source if source is not None else dataset.name,
            "fingerprint": data_fingerprint(dataset.examples),
            **splits.counts(),
            "out_of_scope": {
                name: sum(not example.in_scope for example in splits[name])
                for name in ("train", "validation", "gate", "test")
            },
            "removed_duplicates": splits.removed_duplicates + splits.removed_conflicts,
            "rejected": len(dataset.rejects),
            "unlabelled": unlabelled and {"texts": unlabelled[0], "source": unlabelled[1]},
        },
        "recipe": recipe.model_dump(),
        "metrics": dict(metrics or {}),
        "thresholds": {
            "answer": threshold.threshold,
            "target_error": threshold.target_error,
            "temperature": predictor.confidence.temperature,
            "neighbour_share": predictor.confidence.neighbour_share,
            "coverage": threshold.coverage,
            "error": threshold.error,
            "bound": threshold.bound,
            "certified": threshold.certified,
        },
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "training": None if outcome is None else asdict(outcome),
        "footprint": None if footprint is None else footprint.as_card(),
        "hardware": {"device": hardware.device, "precision": hardware.precision},
        "code_revision": code_revision(),
        "packages": {
            name: package_version(name) for name in ("torch", "transformers", "scikit-learn")
        }
        | {"python": platform.python_version()},
        "limits": list(LIMITS),
        "reason": reason,
        **(facts or {}),
    }


def summary_of(version: ModelVersion) -> dict[str, Any]:
    """The object that ``triptych train --json`` prints, out of the version's card."""
    card = version.card
    names = ("name", "train", "validation", "gate", "test", "removed_duplicates")
    return {
        "app": version.app,
        "version": version.name,
        "method": card["method"],
        "encoder": card["encoder"],
        "seed": card["seed"],
        "data": {name: card["data"][name] for name in names},
        "seconds": card["seconds"],
        "training": card["training"],
        "footprint": card.get("footprint"),
        "metrics": card["metrics"],
        "thresholds": card["thresholds"],
        "reason": card["reason"],
        **{name: card[name] for name in METHOD_FACTS if name in card},
    }


def learning_curves(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Loss by step and validation accuracy by epoch, at most 400 points, for the report."""
    steps = [event for event in events if event.get("event") == "step"]
    stride = max(1, len(steps) // 400)
    curves = []
    for start in range(0, len(steps), stride):
        window = steps[start : start + stride]
        loss = sum(event["loss"] for event in window) / len(window)
        curves.append({"step": window[-1]["step"], "epoch": window[-1]["epoch"], "loss": loss})
    for event in events:
        if event.get("event") == "validation":
            row = {
                "step": event["step"],
                "epoch": event["epoch"],
                "loss": None,
                "validation_accuracy": event["accuracy"],
            }
            curves.append(row)
    return sorted(curves, key=lambda row: row["step"])


def write_version(
    folder: Path, predictor: TextPredictor, splits: Splits, events: Sequence[Mapping[str, Any]]
) -> None:
    """Everything but card, manifest and report."""
    predictor.save(folder)
    write_examples(folder / "gate.jsonl", splits.gate)
    write_examples(folder / "validation.jsonl", splits.validation)
    (folder / "splits.json").write_text(json.dumps(assignments(splits)), encoding="utf-8")
    with (folder / "training_log.jsonl").open("w", encoding="utf-8") as lines:
        for event in events:
            lines.write(json.dumps(event) + "\n")


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """One JSON line an example."""
    with path.open("w", encoding="utf-8") as lines:
        for example in examples:
            row = {"text": example.text, "label": example.label}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_examples(path: Path) -> list[Example]:
    """The examples of a file that ``write_examples`` wrote."""
    with path.open(encoding="utf-8") as lines:
        return [Example(row["text"], row["label"]) for row in map(json.loads, lines)]


def data_fingerprint(examples: Sequence[Example]) -> str:
    """A hash of texts and labels that the order of the rows does not change."""
    rows = sorted(f"{example.key} {example.label}" for example in examples)
    return hashlib.blake2b("\n".join(rows).encode(), digest_size=16).hexdigest()


def code_revision() -> str:
    """The commit of the code, or the package's version where there is no checkout."""
    root = Path(__file__).resolve().parent.parent
    if (root / ".git").exists():
        try:
            found = subprocess.run(  # nosec B607
                ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
                capture_output=True, text=True, timeout=5, check=True,
            )  # fmt: skip
            return found.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return f"triptych {package_version('triptych')}"
