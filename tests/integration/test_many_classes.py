"""Ten thousand classes: every method trains on them or says why not, in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from models.registry import ModelRegistry
from models.text_classifier import TextPredictor
from models.text_training import train_text_classifier
from shared.errors import TriptychError
from shared.finetuning.methods import METHODS, Method
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import SPLIT_NAMES, Dataset, Example, Splits
from tests.fakes.method_laboratory import Laboratory, attempted, make_laboratory, predicts
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

HUNDRED = [f"{a}{b}" for a in "bcdfgklmpr" for b in ("alo", "emi", "iso", "ota", "uru", "ane",
           "elu", "iro", "ofa", "uki")]  # fmt: skip


@pytest.fixture(scope="module")
def ten_thousand(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Splits]:
    """As many classes, each named by its one example, and an encoder that knows the words."""
    folder = tiny_encoder(tmp_path_factory.mktemp("many"), words=HUNDRED)
    train = [Example(f"{a} {b}", f"{a} {b}", "train") for a in HUNDRED for b in HUNDRED]
    held = [Example(f"{a} {a} {b}", f"{a} {b}") for a, b in pairwise(HUNDRED)]
    some = tuple(replace(e, split="validation") for e in held[:50])
    return str(folder), Splits(tuple(train), some, (), tuple(held[50:]))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return make_laboratory(tmp_path_factory.mktemp("laboratory"))


@pytest.mark.parametrize("method", list(METHODS))
def test_ten_thousand_classes_are_trained_on_or_refused(
    method: Method, laboratory: Laboratory, ten_thousand: tuple[str, Splits]
) -> None:
    encoder, splits = ten_thousand
    outcome = attempted(
        lambda: laboratory.fit(method, splits, encoder=encoder, epochs=0.1, batch_size=500)
    )
    if isinstance(outcome, TriptychError):
        assert "classes" in outcome.message
    else:
        assert len(outcome.predictor.labels) >= 10_000
        predicts(outcome.predictor, [example.text for example in splits.test])


def test_a_version_of_ten_thousand_classes_has_a_report_of_some(
    ten_thousand: tuple[str, Splits], tmp_path: Path
) -> None:
    encoder, splits = ten_thousand
    named = (replace(e, split=name) for name in SPLIT_NAMES for e in splits[name])
    version = train_text_classifier(
        Dataset("many", tuple(named)), app="support", recipe=make_recipe(method="head"),
        encoder=encoder, registry=ModelRegistry(tmp_path), now=NOW, report=SilentProgress(),
        device="cpu",
    ).version  # fmt: skip
    page = (version.folder / "report.html").read_text()
    assert "the 300 with the most errors of 10,000" in page
    assert len(page) < 1_000_000
    assert len(TextPredictor.load(version).predict(["balo bemi"])[0].ranked) == 10
