"""Every example predicted once, by a model that never saw it."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from models.cross_validation import cross_validate
from shared.errors import DataError
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Dataset, Example
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


def dataset(*, shuffled: bool = False) -> Dataset:
    draw = np.random.default_rng(0)
    examples = []
    for label, cue in (("up", "refund"), ("down", "invoice")):
        for row in range(40):
            words = draw.choice(WORDS[12:], size=5).tolist()
            said = str(draw.choice(["up", "down"])) if shuffled else label
            details = MappingProxyType({"half": "first" if row < 20 else "second"})
            examples.append(Example(" ".join([*words, cue]), said, "train", details))
    return Dataset("tiny", tuple(examples))


def measure(data: Dataset, encoder: str, folds: int = 4) -> dict:  # type: ignore[type-arg]
    return cross_validate(
        data, folds=folds, recipe=make_recipe(method="head"), encoder=encoder, device="cpu",
        report=SilentProgress(), measured_by=("half", "nothing"),
    )  # fmt: skip


def test_all_examples_are_measured_once(encoder: str) -> None:
    metrics = measure(dataset(), encoder)
    assert metrics["examples"] == 80
    assert len(metrics["folds"]) == 4
    assert np.sum(metrics["confusion"]["counts"]) == 80
    assert {name: group["examples"] for name, group in metrics["by"]["half"].items()} == {
        "first": 40, "second": 40,
    }  # fmt: skip
    assert "nothing" not in metrics["by"]
    assert metrics["accuracy"] > 0.9


def test_labels_that_mean_nothing_are_not_learned(encoder: str) -> None:
    assert measure(dataset(shuffled=True), encoder)["accuracy"] < 0.75


def test_too_few_examples_for_the_folds_are_refused(encoder: str) -> None:
    few = Dataset("few", dataset().examples[37:43])
    with pytest.raises(DataError, match="folds"):
        measure(few, encoder, folds=5)
