"""Members of a soup: trained from one start, averaged, kept while a training is broken."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.encoder_store import load_encoder
from models.methods.distillation import distil
from models.methods.soup import validation_accuracy
from models.methods.stages import FINISHED
from models.methods.supervised import adapt_warm, train_supervised
from models.methods.task import FittingTask
from models.text_classifier import TextClassifier
from shared.finetuning.checkpoint import load_checkpoint
from shared.finetuning.recipe import make_recipe
from shared.finetuning.soup import member_seed
from tests.fakes.method_laboratory import CPU, CUES, sample
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


def task_of(encoder: str, folder: Path | None = None, **fields: Any) -> FittingTask:
    recipe = make_recipe(
        epochs=4, batch_size=16, learning_rate=2e-3, checkpoint_seconds=0,
        **{"method": "soup", "soup.members": 3, **fields},
    )  # fmt: skip
    return FittingTask(
        sample(), recipe, CPU, ListeningProgress(), encoder=encoder, checkpoints=folder
    )


def start(task: FittingTask) -> TextClassifier:
    return adapt_warm(load_encoder(task.encoder, max_length=32), task)


def test_the_mean_of_trainings_by_other_seeds_is_left(encoder: str) -> None:
    task = task_of(encoder)
    begun = start(task)
    alone = []
    for number in (1, 2, 3):
        fields = {"seed": member_seed(task.recipe.seed, number), "soup": make_recipe().soup}
        member = copy.deepcopy(begun)
        train_supervised(member, task.at_stage("alone", **fields))
        alone.append(member.head.weight.detach())
    assert not torch.equal(alone[0], alone[1])
    fitted = train_supervised(begun, task)
    torch.testing.assert_close(
        fitted.classifier.head.weight.detach(), torch.stack(alone).mean(dim=0)
    )
    facts = fitted.facts["soup"]
    assert [one["seed"] for one in facts["members"]] == [
        member_seed(task.recipe.seed, number) for number in (1, 2, 3)
    ]
    assert facts["accuracy"] == validation_accuracy(fitted.classifier, task)
    assert facts["accuracy"] > 1 / len(CUES)
    assert any("their mean" in line for line in task.report.lines)


def test_a_broken_training_keeps_its_finished_members(encoder: str, tmp_path: Path) -> None:
    task = task_of(encoder, tmp_path)
    broken = replace(task, report=ListeningProgress(after=2, training=3))
    with pytest.raises(KeyboardInterrupt):
        train_supervised(start(task), broken)
    kept = [load_checkpoint(tmp_path / f"member-{number}" / FINISHED) for number in (1, 2, 3)]
    assert [one is not None for one in kept] == [True, True, False]
    again = ListeningProgress()
    fitted = train_supervised(start(task), replace(task, report=again, resume=True))
    assert again.trainings == 1, "the third alone"
    assert fitted.outcome is not None
    assert len(fitted.facts["soup"]["members"]) == 3
    whole = train_supervised(start(task), task_of(encoder))
    torch.testing.assert_close(fitted.classifier.head.weight, whole.classifier.head.weight)


def test_steps_and_seconds_are_those_of_all_members(encoder: str) -> None:
    one = train_supervised(start(task_of(encoder)), task_of(encoder, **{"soup.members": 1}))
    three = train_supervised(start(task_of(encoder)), task_of(encoder))
    assert one.outcome is not None
    assert three.outcome is not None
    assert three.outcome.steps == 3 * one.outcome.steps
    assert "soup" not in one.facts


def test_a_method_of_several_stages_has_a_soup_in_each(encoder: str) -> None:
    task = task_of(encoder, method="distilled", **{"distillation.seeds": 1, "soup.members": 2})
    distil(start(task), task)
    assert task.report.trainings == 4, "two members of the teacher, two of the student"
