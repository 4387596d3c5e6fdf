"""Contrastive training: it draws classes together from one example on, resumes and repeats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.encoder import TextEncoder
from models.encoder_store import load_encoder
from models.methods.contrastive import names_as_examples, train_contrastive
from models.methods.task import FittedModule, FittingTask
from models.methods.ways import adapt_to_task, train_model
from models.text_classifier import TextClassifier, forward
from shared.errors import TrainingError
from shared.finetuning.hardware import Hardware
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Example, Splits
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")
CUES = {"refund": ["refund", "money"], "tracking": ["parcel", "track"], "billing": ["card", "pay"]}
FILLER = "where is my the a please want need help it now hi".split()


def examples(each: int, seed: int) -> tuple[Example, ...]:
    draw = np.random.default_rng(seed)
    found: dict[str, Example] = {}
    for label, words in CUES.items():
        for row in range(each):
            text = " ".join([*draw.choice(FILLER, size=4), words[row % len(words)]])
            found.setdefault(text, Example(text, label))
    return tuple(found.values())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def task_of(folder: Path | None = None, each: int = 10, **fields: Any) -> FittingTask:
    given = {
        "epochs": 25, "batch_size": 8, "learning_rate": 2e-3, "checkpoint_seconds": 0,
        "freeze_at": (), "contrastive.share_of_epochs": 1.0,
        "contrastive.kept": 1.0, **fields,
    }  # fmt: skip
    recipe = make_recipe(method="contrastive", **given)
    splits = Splits(examples(each, 0), (), (), examples(12, 2))
    return FittingTask(splits, recipe, CPU, SilentProgress(), checkpoints=folder)


def fit(folder: Path, task: FittingTask) -> FittedModule:
    torch.manual_seed(task.recipe.seed)
    return train_model(adapt_to_task(load_encoder(folder), task), task)


def logits(classifier: TextClassifier, task: FittingTask) -> np.ndarray[Any, Any]:
    classifier.eval()
    return forward(classifier, [e.text for e in task.splits.test])[1]


def right(classifier: TextClassifier, task: FittingTask) -> float:
    found = logits(classifier, task).argmax(axis=1)
    return float((found == task.numbers(task.splits.test)).mean())


def gap(encoder: TextEncoder, task: FittingTask) -> float:
    """How much nearer texts of one class are than texts of two, by cosine."""
    vectors = encoder.embed([e.text for e in task.splits.test])
    truth = task.numbers(task.splits.test)
    cosines, alike = vectors @ vectors.T, truth[:, None] == truth
    return float(cosines[alike].mean() - cosines[~alike].mean())


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_classes_are_drawn_together_and_found(encoder: Path, weight: float) -> None:
    task = task_of(**{"contrastive.weight": weight})
    fitted = fit(encoder, task)
    assert right(fitted.classifier, task) > 0.9
    before, after = load_encoder(encoder), fitted.classifier.encoder
    assert gap(after, task) > gap(before, task) + 0.3
    assert fitted.outcome is not None
    assert not after._forward_hooks, "nothing is caught any more"


@pytest.mark.parametrize("names", [0, 2])
def test_one_example_a_class_is_enough_to_run(encoder: Path, names: int) -> None:
    fields = {"contrastive.names": names, "contrastive.weight": 1.0, "epochs": 20}
    task = task_of(each=1, **fields)
    assert len(task.training) == 3
    fitted = fit(encoder, task)
    assert np.isfinite(logits(fitted.classifier, task)).all()
    chosen = forward(fitted.classifier, [e.text for e in task.training])[1].argmax(axis=1)
    assert chosen.tolist() == task.numbers(task.training).tolist()


def test_names_and_descriptions_join_their_class() -> None:
    task = replace(task_of(), descriptions={"billing": "paying by card"})
    named = names_as_examples(task)
    texts = {label: [e.text for e in named if e.label == label] for label in task.labels}
    assert texts["billing"][0] == "billing"
    assert texts["billing"][-1] == "paying by card"
    assert [len(found) for found in texts.values()] == [3, 2, 2]
    assert names_as_examples(task_of(**{"contrastive.names": 0})) == []


def test_one_seed_gives_one_model(encoder: Path) -> None:
    fields = {"epochs": 2}
    first, second = (fit(encoder, task_of(**fields)) for _ in range(2))
    task = task_of()
    np.testing.assert_array_equal(logits(first.classifier, task), logits(second.classifier, task))
    for other in ({"seed": 2}, {"contrastive.temperature": 0.5}, {"contrastive.names": 0}):
        fitted = fit(encoder, task_of(**fields, **other))
        assert not np.allclose(logits(first.classifier, task), logits(fitted.classifier, task))


@pytest.mark.parametrize("stop", [2, 7])
def test_a_resumed_training_agrees(encoder: Path, tmp_path: Path, stop: int) -> None:
    fields = {"epochs": 2}
    whole = fit(encoder, task_of(tmp_path / "whole", **fields))
    task = task_of(tmp_path / "broken", **fields)
    with pytest.raises(KeyboardInterrupt):
        fit(encoder, replace(task, report=ListeningProgress(stop)))
    other = task_of(tmp_path / "broken", **fields, **{"contrastive.weight": 0.9})
    with pytest.raises(TrainingError, match="without --resume"):
        fit(encoder, replace(other, resume=True))
    again = SilentProgress()
    resumed = fit(encoder, replace(task, report=again, resume=True))
    assert resumed.outcome is not None
    assert resumed.outcome.resumed_from == stop - 1
    assert len([e for e in again.events if e["event"] == "step"]) < 10
    np.testing.assert_allclose(
        logits(resumed.classifier, task), logits(whole.classifier, task), atol=1e-5
    )


def test_it_reads_a_share_of_the_epochs(encoder: Path) -> None:
    whole, half = (
        fit(encoder, task_of(epochs=2, **{"contrastive.share_of_epochs": share})).outcome
        for share in (1.0, 0.5)
    )
    assert whole is not None
    assert half is not None
    assert whole.steps == 2 * half.steps > 0


def test_weights_end_part_of_the_way(encoder: Path) -> None:
    start, whole, half = (
        dict(fitted.backbone.named_parameters())
        for fitted in (
            load_encoder(encoder),
            fit(encoder, task_of(epochs=2)).classifier.encoder,
            fit(encoder, task_of(epochs=2, **{"contrastive.kept": 0.5})).classifier.encoder,
        )
    )
    for name, weight in half.items():
        torch.testing.assert_close(weight, (start[name] + whole[name]) / 2, msg=name)
    assert any(not torch.equal(start[name], whole[name]) for name in half)


def test_the_penalty_is_chosen_where_there_is_validation(encoder: Path) -> None:
    task = task_of(epochs=2)
    held = replace(task, splits=replace(task.splits, validation=examples(5, 7)))
    plain, chosen = fit(encoder, task), fit(encoder, held)
    assert not plain.classifier.head.cosine
    assert not np.allclose(logits(plain.classifier, task), logits(chosen.classifier, task))


def test_it_goes_with_what_else_a_recipe_asks_for(encoder: Path) -> None:
    task = task_of(
        epochs=2,
        **{"adversarial.kind": "smart", "augmentation.share": 0.5, "consistency": 0.5},
        class_weights="balanced",
        accumulation=3,
    )
    classifier = adapt_to_task(load_encoder(encoder), task)
    assert np.isfinite(logits(train_contrastive(classifier, task).classifier, task)).all()
