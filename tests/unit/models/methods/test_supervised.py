"""Where a head starts from, when an encoder sees hardly any difference between texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder import TextEncoder
from models.methods.supervised import adapt_warm, train_supervised
from models.methods.task import FittingTask
from models.text_classifier import forward
from shared.finetuning.linear_head import fit_linear_head
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe, with_method
from shared.records import Splits
from tests.fakes.method_laboratory import CPU, CUES, examples
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit


def test_vectors_that_are_nearly_one_give_class_means_and_train(tmp_path: Path) -> None:
    """Logistic regression stops where it began on these, with weights of nought."""
    encoder = TextEncoder.load(tiny_encoder(tmp_path))
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
