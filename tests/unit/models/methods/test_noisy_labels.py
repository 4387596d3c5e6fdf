"""Training on wrong labels: the weights follow from data and seed, and training heeds them."""

from __future__ import annotations

import numpy as np
import pytest

from models.methods.noisy_labels import judged_labels
from models.methods.task import FittingTask
from models.text_training import evaluate_model, fit_text_classifier, prepare_data
from shared.finetuning.hardware import Hardware
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe, with_method
from shared.records import Dataset, Example, Splits
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")
CUES = {"refund": "refund money", "tracking": "parcel track", "billing": "invoice card"}


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


def noisy(share: float = 0.2, each: int = 60) -> tuple[Splits, set[str]]:
    """Splits whose training labels are partly wrong, and the keys of the texts that are."""
    draw = np.random.default_rng(0)
    examples, wrong = [], set()
    labels = list(CUES)
    for number in range(3 * each):
        label = labels[number % 3]
        filler = draw.choice(WORDS[12:], size=draw.integers(3, 6)).tolist()
        example = Example(" ".join([*filler, CUES[label], CUES[label]]), label, "train")
        if number % 4 == 0:
            example = Example(example.text, label, "test")
        elif draw.random() < share:
            other = labels[(number + 1 + int(draw.integers(2))) % 3]
            example = Example(example.text, other, "train")
            wrong.add(example.key)
        examples.append(example)
    return prepare_data(Dataset("noisy", tuple(examples))), wrong


def task(
    splits: Splits, encoder: str, report: SilentProgress | None = None, **fields: object
) -> FittingTask:
    recipe = with_method(make_recipe(**fields), "noise_robust")
    return FittingTask(splits, recipe, CPU, report or SilentProgress(), encoder=encoder)


@pytest.mark.parametrize("relabel", [True, False])
def test_wrong_labels_are_found_and_counted(encoder_folder: str, relabel: bool) -> None:
    splits, wrong = noisy()
    report = ListeningProgress()
    given = task(splits, encoder_folder, report, **{"noise.relabel": relabel})
    judged = judged_labels(given, given.training)
    flipped = np.array([example.key in wrong for example in given.training])
    if relabel:
        changed = judged.truth != given.numbers(given.training)
        assert (judged.weights == 1).all()
        assert changed[flipped].mean() > 0.8, "no new label is the one that was taken away"
    else:
        changed = judged.weights == 0
        np.testing.assert_array_equal(judged.truth, given.numbers(given.training))
        assert judged.found == changed.sum()
        assert changed[flipped].mean() > 0.8
    assert judged.weights.dtype == np.float32
    assert changed[~flipped].mean() < 0.1
    line = f"{judged.found} of {len(flipped)} labels are probably wrong"
    assert any(line in said for said in report.lines)
    assert {"event": "labels", "judged": len(flipped), "found": judged.found} in report.events


def test_the_same_task_gives_the_same_labels(encoder_folder: str) -> None:
    given = task(noisy()[0], encoder_folder)
    first, second = (judged_labels(given, given.training) for _ in "ab")
    np.testing.assert_array_equal(first.truth, second.truth)
    np.testing.assert_array_equal(first.weights, second.weights)


def test_training_by_it_beats_training_on_everything(encoder_folder: str) -> None:
    splits, _ = noisy(share=0.4)
    accuracy = {}
    for method in ("full", "noise_robust"):
        fitted = fit_text_classifier(
            splits,
            recipe=make_recipe(
                method=method, epochs=8, batch_size=16, learning_rate=2e-3, averaging_from=0
            ),
            encoder=encoder_folder, hardware=CPU, report=SilentProgress(), descriptions={},
        )  # fmt: skip
        evaluation = evaluate_model(fitted.predictor, splits, SilentProgress())
        assert evaluation is not None
        accuracy[method] = evaluation.metrics["accuracy"]
    assert accuracy["noise_robust"] >= accuracy["full"]
    assert accuracy["noise_robust"] > 0.85
