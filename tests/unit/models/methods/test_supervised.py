"""Where a head starts from, when an encoder sees hardly any difference between texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder_store import load_encoder
from models.methods.supervised import adapt_warm, train_supervised
from models.methods.task import FittingTask
from models.text_classifier import forward
from shared.evaluation.calibration import softmax
from shared.evaluation.open_set import maximum_probability
from shared.finetuning.linear_head import fit_linear_head
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe, with_method
from shared.records import OUT_OF_SCOPE, Example, SplitName, Splits
from tests.fakes.method_laboratory import CPU, CUES, examples
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit


def test_vectors_that_are_nearly_one_give_class_means_and_train(tmp_path: Path) -> None:
    """Logistic regression stops where it began on these, with weights of nought."""
    encoder = load_encoder(tiny_encoder(tmp_path))
    with torch.no_grad():
        last = encoder.layers[-1].output.LayerNorm  # type: ignore[union-attr]
        last.weight.mul_(2e-4)  # type: ignore[union-attr,operator]
        last.bias.normal_(generator=torch.Generator().manual_seed(0))  # type: ignore[union-attr,operator]
    recipe = with_method(make_recipe(method="full", epochs=1, checkpoint_seconds=0), "full")
    splits = Splits(tuple(examples(16, "train", 0, CUES)), (), (), ())
    task = FittingTask(splits, recipe, CPU, SilentProgress())
    texts = [example.text for example in task.training]
    vectors = encoder.eval().embed(texts)
    assert (vectors @ vectors.T).min() > 0.999
    regression = fit_linear_head(vectors, task.numbers(task.training), classes=len(task.labels))
    assert not regression.weight.any()
    classifier = adapt_warm(encoder, task).eval()
    lengths = classifier.head.weight.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(len(task.labels)))
    weight = classifier.head.weight
    assert (weight @ weight.T - torch.eye(len(weight))).max() < 0.9, "classes point apart"
    fitted = train_supervised(classifier, task).classifier
    assert np.isfinite(forward(fitted.eval(), texts)[1]).all()


STRAYS = ["zebra", "quark", "opera", "moon", "violin", "glacier"]


def of_no_class(count: int, split: SplitName, seed: int) -> list[Example]:
    """Texts of words that no class has, all different."""
    draw = np.random.default_rng(seed)
    return [
        Example(f"{number} {' '.join(draw.choice(STRAYS, size=4))}", OUT_OF_SCOPE, split)
        for number in range(count)
    ]


def task_with_strays(held: int, **fields: object) -> FittingTask:
    recipe = make_recipe(epochs=4, learning_rate=2e-3, checkpoint_seconds=0, seed=1, **fields)
    splits = Splits(
        (*examples(16, "train", 0, CUES), *of_no_class(20, "train", 0)),
        (*examples(6, "validation", 1, CUES), *of_no_class(held, "validation", 1)),
        (),
        (),
    )
    return FittingTask(splits, with_method(recipe, "full"), CPU, SilentProgress())


def test_texts_of_no_class_are_learnt_where_others_are_left_to_judge_by() -> None:
    task = task_with_strays(held=30)
    assert len(task.outliers) == 20
    assert {example.split for example in task.strays} == {"validation"}
    few = task_with_strays(held=29)
    assert not few.outliers
    assert len(few.strays) == 49
    assert not task_with_strays(held=30, **{"outliers.weight": 0.0}).outliers
    head = replace(task, recipe=with_method(task.recipe, "head"))
    assert not head.outliers
    assert len(head.strays) == 50


def test_learnt_outliers_make_new_ones_less_sure(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    sure = []
    for weight in (0.0, 1.0):
        task = task_with_strays(held=30, **{"outliers.weight": weight})
        encoder = load_encoder(folder)
        classifier = train_supervised(adapt_warm(encoder, task), task).classifier.eval()
        new = forward(classifier, [e.text for e in task.strays][-30:])[1]
        sure.append(maximum_probability(softmax(new)).mean())
        known = forward(classifier, [e.text for e in task.validation])[1]
        right = known.argmax(axis=1) == task.numbers(task.validation)
        assert right.mean() > 0.9
    assert sure[1] < sure[0] - 0.05
