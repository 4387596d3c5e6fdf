"""Teachers and their student: answers that are followed, runs that are resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.encoder_store import load_encoder
from models.methods.distillation import distil
from models.methods.supervised import adapt_warm
from models.methods.task import FittedModule, FittingTask
from models.text_classifier import TextClassifier, forward
from shared.errors import TrainingError
from shared.finetuning.hardware import choose_hardware
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Example, Splits
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit

CUES = {"refund": ["refund", "money"], "tracking": ["parcel", "track"], "billing": ["card", "pay"]}
FILLER = ["where", "is", "my", "the", "a", "please", "want", "need", "help", "it", "now", "hi"]


def examples(each: int, seed: int) -> tuple[Example, ...]:
    draw = np.random.default_rng(seed)
    found = {}
    for label, words in CUES.items():
        for row in range(each):
            text = " ".join(
                [*draw.choice(FILLER, size=draw.integers(2, 5)), words[row % 2], str(seed)]
            )
            found.setdefault(text, Example(text, label))
    return tuple(found.values())


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    first = tiny_encoder(tmp_path_factory.mktemp("student"))
    return first, tiny_encoder(tmp_path_factory.mktemp("teacher"), family="distilbert", seed=3)


def task_of(encoder: Path, folder: Path | None = None, **fields: Any) -> FittingTask:
    recipe = make_recipe(
        method="distilled", epochs=4, batch_size=16, learning_rate=2e-3,
        **{"distillation.seeds": 2, "checkpoint_seconds": 0, **fields},
    )  # fmt: skip
    splits = Splits(examples(60, 0), examples(15, 1), (), examples(10, 2))
    hardware = choose_hardware("cpu", "fp32")
    return FittingTask(
        splits, recipe, hardware, SilentProgress(), encoder=str(encoder), checkpoints=folder
    )


def fit(task: FittingTask) -> FittedModule:
    return distil(adapt_warm(load_encoder(task.encoder, max_length=32), task), task)


def logits(classifier: TextClassifier, task: FittingTask) -> np.ndarray[Any, Any]:
    return forward(classifier, [e.text for e in task.splits.test])[1]


def right(classifier: TextClassifier, task: FittingTask) -> float:
    found = logits(classifier, task).argmax(axis=1)
    return float((found == task.numbers(task.splits.test)).mean())


def test_a_student_learns_from_its_teachers(encoders: tuple[Path, Path], tmp_path: Path) -> None:
    task = task_of(encoders[0], tmp_path)
    fitted = fit(task)
    assert right(fitted.classifier, task) > 0.8
    facts = fitted.facts["distillation"]
    assert len(facts["teachers"]) == 2
    assert len({teacher["seed"] for teacher in facts["teachers"]}) == 2
    assert facts["student_accuracy"] > 0.8
    assert not list(tmp_path.rglob("*.safetensors")), "finished teachers are not left behind"
    np.testing.assert_array_equal(
        logits(fit(task).classifier, task), logits(fitted.classifier, task)
    )


def test_teachers_of_other_encoders_and_texts_without_labels(encoders: tuple[Path, Path]) -> None:
    fields = {"distillation.teachers": [str(encoders[1])], "distillation.seeds": 1}
    task = task_of(encoders[0], **fields)
    plain = fit(task)
    unlabelled = tuple(e.text for e in examples(20, 5))
    more = fit(replace(task, unlabelled=unlabelled))
    assert plain.facts["distillation"]["teachers"][0]["encoder"] == str(encoders[1])
    assert plain.classifier.encoder.backbone.config.model_type == "bert"
    assert more.facts["distillation"]["unlabelled"] == len(unlabelled)
    assert right(more.classifier, task) > 0.8
    assert not np.allclose(logits(plain.classifier, task), logits(more.classifier, task))


def test_a_broken_run_does_not_train_its_teachers_again(
    encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = fit(task_of(encoders[0], tmp_path / "whole"))
    task = task_of(encoders[0], tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        fit(replace(task, report=ListeningProgress(after=3, training=3)))
    again = ListeningProgress()
    resumed = fit(replace(task, report=again, resume=True))
    assert again.trainings == 1, "of two teachers and a student the student alone"
    np.testing.assert_allclose(
        logits(resumed.classifier, task), logits(whole.classifier, task), atol=1e-5
    )


def test_finished_teachers_of_another_recipe_are_refused(
    encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    task = task_of(encoders[0], tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(replace(task, report=ListeningProgress(after=0, training=3)))
    other = replace(task, recipe=task.recipe.model_copy(update={"dropout": 0.3}), resume=True)
    with pytest.raises(TrainingError, match="without --resume"):
        fit(other)
    fit(replace(other, resume=False))
