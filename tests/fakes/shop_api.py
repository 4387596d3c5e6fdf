"""The real API, database and registry over the keyword predictor: quick, and no model to load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from sqlalchemy import Engine

from apps.api import create_app
from apps.support.bootstrap import ServedSupport, served_support
from apps.support.inference import Desk
from models.promotion_history import Promotion
from models.registry import ModelRegistry, ModelVersion
from shared.evaluation.gate import compare_on_gate
from shared.evaluation.report import ReportData, write_report
from shared.settings import Settings
from tests.fakes.predictor import SHOP_WORDS, KeywordPredictor
from tests.fakes.support_desk import shop_desk

MADE = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
LABELS = tuple(sorted(SHOP_WORDS))
TEXTS = tuple(f"{word} it please" for label in LABELS for word in SHOP_WORDS[label])


def shop_card(accuracy: float) -> dict[str, Any]:
    """A card with every number that a page shows."""
    return {
        "method": "full",
        "encoder": "keywords",
        "seed": 1,
        "labels": list(LABELS),
        "data": {"name": "shop", "train": 40, "validation": 8, "gate": 8, "test": len(TEXTS)},
        "recipe": {},
        "metrics": {
            "accuracy": accuracy,
            "macro_f1": accuracy - 0.004,
            "top3_accuracy": 0.991,
            "expected_calibration_error": 0.011,
            "expected_calibration_error_uncalibrated": 0.047,
            "negative_log_likelihood": 0.214,
            "out_of_scope": {"auroc": 0.981, "auprc": 0.932},
            "coverage_at_target": 0.86,
            "error_at_target": 0.013,
            "intervals": {"accuracy": [accuracy - 0.016, accuracy + 0.014]},
        },
        "thresholds": {"answer": 0.8, "target_error": 0.02, "temperature": 1.2},
        "seconds": {"prepare": 1.0, "train": 20.0, "evaluate": 2.0},
        "limits": ["It knows words, not meanings."],
        "reason": "words are quick",
    }


def add_version(registry: ModelRegistry, accuracy: float, now: datetime) -> ModelVersion:
    """A version whose report is a real one, of what the keyword predictor says."""

    def write(folder: Path) -> None:
        (folder / "gate.jsonl").write_text(json.dumps({"text": TEXTS[0], "label": LABELS[0]}))

    def describe(folder: Path, card: Mapping[str, Any]) -> None:
        predictor = KeywordPredictor()
        probabilities = predictor.probabilities(TEXTS)
        truth = [label for label in LABELS for _ in SHOP_WORDS[label]]
        write_report(
            folder / "report.html",
            ReportData(
                title="Support desk of a shop",
                card=card,
                labels=LABELS,
                texts=TEXTS,
                truth=np.array([LABELS.index(label) for label in truth]),
                probabilities_before=probabilities,
                probabilities_after=probabilities,
            ),
        )

    return registry.add(
        "support", card=shop_card(accuracy), write=write, describe=describe, now=now
    )


def promote_by_keywords(
    registry: ModelRegistry,
    app: str,
    candidate: ModelVersion,
    *,
    author: str,
    now: datetime,
    force: bool = False,
) -> Promotion:
    """The real gate, both versions being right about every text."""
    right = np.ones(len(TEXTS), dtype=bool)
    gate = compare_on_gate(right, right, seed=0)
    return registry.promote(app, candidate, gate=gate, author=author, now=now, force=force)


def keyword_shop_api(home: Path) -> FastAPI:
    """The API with two versions, the older one in use; no keys."""

    def make(settings: Settings, engine: Engine, registry: ModelRegistry) -> ServedSupport:
        def load(version: ModelVersion) -> Desk:
            return shop_desk(KeywordPredictor(version=version.name, card=version.card))

        return served_support(settings, engine, registry, load=load, poll_seconds=0.1)

    settings = Settings(home=home, database_url=None)
    registry = ModelRegistry(settings.models)
    older = add_version(registry, 0.931, MADE)
    add_version(registry, 0.938, MADE + timedelta(days=3))
    registry.promote("support", older.name, gate=None, author="test", now=MADE)
    return create_app(
        settings,
        require_keys=False,
        loopback_only=True,
        served=(make,),
        promote=promote_by_keywords,
    )
