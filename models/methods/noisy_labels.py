"""Labels that are probably wrong are found before training, and put right or left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.encoder_store import choose_encoder
from models.methods.task import FittingTask
from shared.finetuning.noisy_labels import JudgedLabels, judge_labels
from shared.records import Example


def judged_labels(task: FittingTask, examples: Sequence[Example]) -> JudgedLabels:
    """What each example is taught as, and what it weighs, by the recipe's ``noise``.

    The judge is the pre-trained encoder, frozen: a network that was trained on these labels has
    learned the wrong ones, too. The same examples, in the same order, and the same seed give the
    same labels, so that a resumed training learns what it did before.
    """
    encoder = choose_encoder(task.encoder, task.recipe)
    encoder.to(task.hardware.device)
    task.report.start("judging labels", len(examples))
    vectors = encoder.embed(
        [example.text for example in examples], hardware=task.hardware, report=task.report
    )
    task.report.finish()
    _, groups = np.unique([example.group_key for example in examples], return_inverse=True)
    judged = judge_labels(
        vectors,
        task.numbers(examples),
        task.recipe.noise,
        groups=groups.astype(np.int64),
        seed=task.recipe.seed,
    )
    settings = task.recipe.noise
    fate = "get those around them" if settings.relabel else f"weigh {settings.weight:g}"
    task.report.say(
        f"{judged.found:,} of {judged.judged:,} labels are probably wrong: they {fate}"
        if judged.judged
        else "no label was judged: classes are too small for it"
    )
    task.report.log(event="labels", judged=judged.judged, found=judged.found)
    return judged
