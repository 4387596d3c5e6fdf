"""The plan of a training: method and epochs by a probe, kept for the training that resumes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models import training_plan
from models.registry import ModelRegistry
from models.text_training import prepare_data, train_text_classifier
from models.training_plan import estimate_training, set_hyperparameters, with_choice
from shared.finetuning.budget import Estimate
from shared.finetuning.hardware import Hardware
from shared.finetuning.method_choice import MethodChoice
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Dataset, Example
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


def dataset() -> Dataset:
    words = [f"{a} {b} {c}" for a in WORDS[:6] for b in WORDS[6:12] for c in WORDS[12:14]]
    return Dataset("tiny", tuple(Example(t, "money" if "parcel" in t else "other") for t in words))


def test_a_probe_estimates_a_training(encoder_folder: str) -> None:
    splits = prepare_data(dataset())
    estimate, tokens = estimate_training(
        make_recipe(), splits, epochs=5, encoder=encoder_folder, hardware=CPU
    )
    assert tokens == pytest.approx(5.0), "three words, an opening and an end"
    assert 0 < estimate.reading < 60
    assert 0 < estimate.epoch < 60
    assert estimate.epochs == 5


def test_a_resumed_training_keeps_its_plan(
    encoder_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = prepare_data(dataset())

    def plan(epoch: float, resume: bool, budget: float = 100.0) -> MethodChoice:
        monkeypatch.setattr(
            training_plan, "estimate_training", lambda *_, **__: (Estimate(1, epoch, 10), 5.0)
        )
        return set_hyperparameters(
            make_recipe(method="full"), splits, epochs=10, encoder=encoder_folder, hardware=CPU,
            budget=budget, checkpoints=tmp_path, resume=resume,
        )  # fmt: skip

    begun = plan(epoch=20, resume=False)
    assert begun.fields["epochs"] == 4.75
    slower = plan(epoch=30, resume=True)
    assert (slower.method, slower.reason, slower.fields) == ("full", begun.reason, begun.fields)
    assert plan(epoch=30, resume=False).fields["epochs"] == 3.25
    assert plan(epoch=20, resume=True, budget=50.0).fields["epochs"] == 2.5, "another budget"


def test_fields_of_the_choice_yield_to_what_was_given_but_for_epochs() -> None:
    choice = MethodChoice("full", "", {"epochs": 2.0, "class_weights": "balanced"})
    by_hand = with_choice(make_recipe(epochs=9, class_weights="none"), choice, 9)
    assert (by_hand.epochs, by_hand.class_weights) == (2.0, "none")
    free = with_choice(make_recipe(), MethodChoice("full", "", choice.fields), 4)
    assert (free.method, free.epochs, free.class_weights) == ("full", 2.0, "balanced")
    assert with_choice(make_recipe(), MethodChoice("full", ""), 4).epochs == 4


def test_a_training_with_a_budget_says_what_it_chose(encoder_folder: str, tmp_path: Path) -> None:
    trained = train_text_classifier(
        dataset(), app="support", recipe=make_recipe(epochs=2), encoder=encoder_folder,
        registry=ModelRegistry(tmp_path), now=datetime(2026, 1, 2, tzinfo=UTC),
        report=SilentProgress(), device="cpu", budget=0.001,
    )  # fmt: skip
    assert trained.summary["method"] == "head"
    assert "more than the budget" in trained.summary["reason"]
