"""A training is done by several seeds from one start, and their mean weights are what is left."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from models.methods.stages import finished_stage, keep_stage
from models.methods.task import FittedModule, FittingTask
from models.text_classifier import TextClassifier, forward
from shared.finetuning.loop import TrainingOutcome
from shared.finetuning.soup import MeanWeights, member_seed

TrainOnce = Callable[[TextClassifier, FittingTask], TrainingOutcome]
"""Trains a classifier in place, by the seed and to the checkpoints of the task."""


def cook(
    classifier: TextClassifier, task: FittingTask, identity: str, train_once: TrainOnce
) -> FittedModule:
    """Train each member from where the classifier stands, and give it their mean weights.

    A finished member is kept until the whole training is over; ``identity`` tells what it depends
    on. ``facts`` say how members and soup do on validation; the outcome counts what was trained
    now.
    """
    members = task.recipe.soup.members
    mean = MeanWeights()
    outcomes: list[TrainingOutcome] = []
    told: list[dict[str, Any]] = []
    for number in range(1, members + 1):
        seed = member_seed(task.recipe.seed, number)
        task.report.say(f"member {number} of {members} of the soup")
        stage = task.at_stage(f"member-{number}", seed=seed)
        member = copy.deepcopy(classifier)
        state = finished_stage(stage, identity)
        if state is None:
            outcomes.append(train_once(member, stage))
            state = {name: tensor.detach().cpu() for name, tensor in member.state_dict().items()}
            keep_stage(stage, identity, state)
        else:
            member.load_state_dict(state)
        told.append({"seed": seed, "accuracy": validation_accuracy(member, task)})
        mean.add(state)
    classifier.load_state_dict(mean.mean)
    together = validation_accuracy(classifier, task)
    if together is not None:
        alone = ", ".join(f"{100 * one['accuracy']:.2f}" for one in told)
        task.report.say(
            f"accuracy on validation: members {alone} %, their mean {100 * together:.2f} %"
        )
    facts = {"members": told, "accuracy": together}
    task.report.log(event="soup", **facts)
    return FittedModule(classifier, _summed(outcomes), {"soup": facts})


def validation_accuracy(classifier: TextClassifier, task: FittingTask) -> float | None:
    """The share of the validation examples that it has right; None where there is none."""
    held_out = task.validation
    if not held_out:
        return None
    classifier.eval()
    _, logits = forward(classifier, [example.text for example in held_out], task.hardware)
    return float((logits.argmax(axis=1) == task.numbers(held_out)).mean())


def _summed(outcomes: list[TrainingOutcome]) -> TrainingOutcome | None:
    """The last one, with the steps and seconds of all; None of none."""
    if not outcomes:
        return None
    return replace(
        outcomes[-1],
        steps=sum(one.steps for one in outcomes),
        seconds=sum(one.seconds for one in outcomes),
    )
