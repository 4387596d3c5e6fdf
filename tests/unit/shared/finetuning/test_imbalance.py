"""Ninety of one class, six of another: what focal loss, weights and balanced drawing do then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder_store import load_encoder
from models.text_classifier import ClassificationHead, TextClassifier
from shared.evaluation.calibration import softmax
from shared.finetuning.hardware import Hardware
from shared.finetuning.loop import LabelledTokens, predict_logits, train
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def messages(counts: tuple[int, int], seed: int) -> tuple[list[str], np.ndarray]:
    """The rare class has a cue of its own in two texts of three; the rest could be either."""
    draw = np.random.default_rng(seed)
    truth = np.repeat([0, 1], counts)
    texts = []
    for row, label in enumerate(truth):
        cue = "refund" if label and row % 3 else "parcel" if not label and row % 3 else "card"
        texts.append(" ".join(draw.permutation([*draw.choice(WORDS[24:], size=4), cue])))
    return texts, truth


def trained(
    folder: Path, counts: tuple[int, int], **fields: object
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of unseen messages, as many of each class, and their classes."""
    recipe = make_recipe(
        epochs=10, batch_size=16, learning_rate=1e-3, freeze_at=(), dropout=0, **fields
    )
    encoder = load_encoder(folder)
    weight = torch.randn(2, encoder.dimensions, generator=torch.Generator().manual_seed(1))
    classifier = TextClassifier(
        encoder, ClassificationHead(weight, torch.zeros(2), 10.0, cosine=True)
    )
    texts, truth = messages(counts, 0)
    train(
        classifier, LabelledTokens(encoder.tokenise(texts), truth), None, classes=2,
        recipe=recipe, hardware=CPU, report=SilentProgress(),
    )  # fmt: skip
    unseen, labels = messages((90, 90), 1)
    return predict_logits(classifier, encoder.tokenise(unseen), CPU), labels


def recalls(folder: Path, **fields: object) -> tuple[float, float]:
    """The share of each class that is found, frequent one first."""
    logits, labels = trained(folder, (90, 6), **fields)
    found = logits.argmax(1)
    return tuple((found[labels == label] == label).mean() for label in (0, 1))  # type: ignore[return-value]


@pytest.mark.parametrize("fields", [{"class_weights": "balanced"}, {"sampling": "balanced"}])
def test_the_rare_class_is_found_more_often_when_classes_are_balanced(
    fields: dict[str, str], folder: Path
) -> None:
    plain, balanced = recalls(folder), recalls(folder, **fields)
    assert balanced[1] > plain[1] + 0.1
    assert np.mean(balanced) > np.mean(plain)


def test_focal_loss_trains_and_is_less_sure(folder: Path) -> None:
    def measured(**fields: object) -> tuple[float, float]:
        logits, labels = trained(folder, (150, 150), **fields)
        return float((logits.argmax(1) == labels).mean()), float(softmax(logits).max(1).mean())

    plain, focal = measured(), measured(loss="focal")
    assert focal[0] > 0.75, "a text of three could be either"
    assert focal[1] < plain[1] - 0.02
