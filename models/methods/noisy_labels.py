"""Labels that are probably wrong are found before training, and then weigh little."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.encoder import TextEncoder
from models.methods.task import FittingTask
from shared.finetuning.noisy_labels import label_weights
from shared.records import Example


def example_weights(task: FittingTask, examples: Sequence[Example]) -> NDArray[np.float32]:
    """What each example weighs in the loss, float32[n], by the recipe's ``noise``.

    The judge is the pre-trained encoder, frozen: a network that was trained on these labels has
    learned the wrong ones, too. The same examples, in the same order, and the same seed give the
    same weights, so that a resumed training weighs as before.
    """
    encoder = TextEncoder.load(task.encoder, max_length=task.recipe.max_length)
    if task.recipe.marked_spans:
        encoder.pool_marked_spans()
    encoder.to(task.hardware.device)
    task.report.start("judging labels", len(examples))
    vectors = encoder.embed(
        [example.text for example in examples], hardware=task.hardware, report=task.report
    )
    task.report.finish()
    _, groups = np.unique([example.group_key for example in examples], return_inverse=True)
    judged = label_weights(
        vectors,
        task.numbers(examples),
        task.recipe.noise,
        groups=groups.astype(np.int64),
        seed=task.recipe.seed,
    )
    weight = task.recipe.noise.weight
    task.report.say(
        f"{judged.found:,} of {judged.judged:,} labels are probably wrong: they weigh {weight:g}"
        if judged.judged
        else "no label was judged: classes are too small for it"
    )
    task.report.log(event="labels", judged=judged.judged, found=judged.found)
    return judged.weights
