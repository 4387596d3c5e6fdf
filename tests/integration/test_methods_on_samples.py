"""Methods that cost seconds, on the shipped sample and with the packaged encoder."""

from __future__ import annotations

from collections import Counter

import pytest

from apps.support.conversation.knowledge import SAMPLES
from data_connectors.files import read_file
from models.text_training import evaluate_model, fit_text_classifier, prepare_data
from shared.finetuning.hardware import Hardware
from shared.finetuning.methods import Method
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Splits

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def splits() -> Splits:
    return prepare_data(read_file(SAMPLES / "utterances.csv"))


@pytest.mark.parametrize(("method", "reached"), [("zero_shot", 0.5), ("head", 0.8)])
def test_it_beats_the_majority_class_of_the_sample(
    method: Method, reached: float, splits: Splits
) -> None:
    fitted = fit_text_classifier(
        splits, recipe=make_recipe(method=method), encoder=None,
        hardware=Hardware("cpu", "fp32", "test"), report=SilentProgress(), descriptions={},
    )  # fmt: skip
    found = evaluate_model(fitted.predictor, splits, SilentProgress())
    assert found is not None
    counts = Counter(example.label for example in splits.test if example.in_scope)
    majority = max(counts.values()) / counts.total()
    assert found.metrics["accuracy"] > reached > majority + 0.3
