"""The laws that every method keeps, a new one from the day on which it stands in the table.

It beats the majority class; saving and loading changes nothing; one seed gives one model; a broken
training goes on as if it had never stopped; and nonsense ends in a clean run or a clear error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.registry import ModelRegistry
from models.text_classifier import TextPredictor
from models.text_training import train_text_classifier
from models.version_content import write_version
from shared.errors import SingleClass, TriptychError
from shared.finetuning.methods import METHODS, Method
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Dataset, Example, Splits
from tests.fakes.method_laboratory import (
    CUES,
    CountedProgress,
    Laboratory,
    attempted,
    make_laboratory,
    predicts,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

every_method = pytest.mark.parametrize("method", list(METHODS))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return make_laboratory(tmp_path_factory.mktemp("laboratory"))


@every_method
def test_it_beats_the_majority_class(method: Method, laboratory: Laboratory) -> None:
    fitted, _ = laboratory.trained(method)
    labels = [example.label for example in laboratory.splits.test]
    majority = max(labels.count(label) for label in labels) / len(labels)
    best = laboratory.probabilities(fitted).argmax(axis=1)
    found = [fitted.predictor.labels[number] for number in best]
    right = np.mean([one == other for one, other in zip(found, labels, strict=True)])
    assert right > majority + 0.15, f"{right:.2f} against {majority:.2f}"


@every_method
def test_saving_and_loading_changes_no_probability(
    method: Method, laboratory: Laboratory, tmp_path: Path
) -> None:
    fitted, _ = laboratory.trained(method)
    registry = ModelRegistry(tmp_path)

    def write(folder: Path) -> None:
        write_version(folder, fitted.predictor, laboratory.splits, [])

    version = registry.add("support", card={"method": method}, write=write, now=NOW)
    registry.verify(version)
    loaded = TextPredictor.load(version)
    assert loaded.labels == fitted.predictor.labels
    texts = [example.text for example in laboratory.splits.test]
    np.testing.assert_allclose(
        loaded.probabilities(texts), laboratory.probabilities(fitted), rtol=0, atol=1e-6
    )


@every_method
def test_one_seed_gives_one_model(method: Method, laboratory: Laboratory) -> None:
    first, _ = laboratory.trained(method)
    second = laboratory.fit(method)
    np.testing.assert_allclose(
        laboratory.probabilities(second), laboratory.probabilities(first), rtol=0, atol=1e-6
    )


@every_method
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_resumed_training_agrees(
    method: Method, share: float, laboratory: Laboratory, tmp_path: Path
) -> None:
    unbroken, signs = laboratory.trained(method)
    broken = CountedProgress(at=max(1, round(share * signs)))
    with pytest.raises(KeyboardInterrupt):
        laboratory.fit(method, report=broken, checkpoints=tmp_path)
    resumed = laboratory.fit(method, checkpoints=tmp_path, resume=True)
    assert not list(tmp_path.rglob("*.safetensors")), "a finished training leaves no checkpoint"
    np.testing.assert_allclose(
        laboratory.probabilities(resumed), laboratory.probabilities(unbroken), rtol=0, atol=1e-6
    )


LONG = "refund my order please " * 4_348
assert len(LONG) > 100_000
NONSENSE: dict[str, Callable[[Splits], Splits]] = {
    "a class with one example": lambda splits: replace(
        splits, train=(*splits.train, Example("hours open shop", "hours", "train"))
    ),
    "a text of 100,000 characters": lambda splits: replace(
        splits, train=(*splits.train, Example(LONG, "refund", "train"))
    ),
    "a word of 100,000 characters": lambda splits: replace(
        splits, train=(*splits.train, Example("a" * 100_000, "refund", "train"))
    ),
    "a text without a token": lambda splits: replace(
        splits, train=(*splits.train, Example("\u200b", "refund", "train"))
    ),
}


@every_method
@pytest.mark.parametrize("what", list(NONSENSE))
def test_nonsense_is_trained_on_or_refused(
    what: str, method: Method, laboratory: Laboratory
) -> None:
    splits = NONSENSE[what](laboratory.splits)
    outcome = attempted(lambda: laboratory.fit(method, splits, epochs=1))
    if isinstance(outcome, TriptychError):
        assert len(outcome.message) > 20
    else:
        assert set(outcome.predictor.labels) == set(splits.labels)
        predicts(outcome.predictor, ["", " ", "\u200b", LONG, "refund", "quark"])


@every_method
def test_one_class_is_refused_but_where_a_version_has_others(
    method: Method, laboratory: Laboratory, tmp_path: Path
) -> None:
    alone = [e for e in (*laboratory.splits.train, *laboratory.splits.test) if e.label == "invoice"]
    if METHODS[method].needs_version:
        fitted = laboratory.fit(
            method, replace(laboratory.splits, train=tuple(alone[:16]), validation=(), test=())
        )
        assert set(fitted.predictor.labels) == set(CUES)
        return
    with pytest.raises(SingleClass, match="two are needed"):
        train_text_classifier(
            Dataset("one", tuple(alone)), app="support", recipe=make_recipe(method=method),
            encoder=laboratory.encoder, registry=ModelRegistry(tmp_path), now=NOW,
            report=SilentProgress(), device="cpu", unlabelled=laboratory.unlabelled,
        )  # fmt: skip


def test_a_blank_text_is_no_example() -> None:
    for text in ("", " \n\t"):
        with pytest.raises(ValueError, match="not blank"):
            Example(text, "refund")
