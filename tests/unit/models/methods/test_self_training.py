"""A few labels and many texts: the student learns from both, resumes, and trusts no stranger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from models.cross_validation import cross_validate
from models.encoder_store import load_encoder
from models.methods import self_training
from models.methods.task import FittedModule, FittingTask
from models.methods.ways import adapt_to_task, train_model
from models.registry import ModelRegistry
from models.text_classifier import forward
from models.text_training import prepare_data, train_text_classifier, without_held_out
from shared.errors import SettingsError, TrainingError
from shared.finetuning.hardware import Hardware
from shared.finetuning.loop import TrainingOutcome
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import Recipe, make_recipe, with_method
from shared.finetuning.splits import Shares
from shared.records import Dataset, Example
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CUES = {"refund": ["refund", "money"], "tracking": ["parcel", "track"], "billing": ["invoice"]}


def made(each: int, seed: int) -> list[Example]:
    draw = np.random.default_rng(seed)
    found = []
    for label, cues in CUES.items():
        for row in range(each):
            filler = draw.choice(WORDS[12:], size=draw.integers(3, 7)).tolist()
            found.append(Example(" ".join([*filler, cues[row % len(cues)]]), label))
    return found


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def task_of(tmp_path: Path | None = None, **fields: object) -> FittingTask:
    splits = prepare_data(Dataset("tiny", tuple(made(20, 0))), shares=Shares(0, 0, 0.2))
    given = {
        "epochs": 6, "batch_size": 16, "learning_rate": 2e-3, "checkpoint_seconds": 0,
        "self_training.confidence": 0.5, "self_training.reads": 600, **fields,
    }  # fmt: skip
    recipe = with_method(make_recipe(method="self_training", **given), "self_training")
    texts = without_held_out([e.text for e in made(60, 1)], splits)
    folder = None if tmp_path is None else tmp_path / "checkpoints"
    return FittingTask(
        splits, recipe, CPU, SilentProgress(), unlabelled=tuple(texts), checkpoints=folder
    )


def fit(folder: Path, task: FittingTask) -> tuple[np.ndarray, FittedModule]:
    torch.manual_seed(task.recipe.seed)
    fitted = train_model(adapt_to_task(load_encoder(folder), task), task)
    fitted.classifier.eval()
    return forward(fitted.classifier, [e.text for e in task.splits.test])[1], fitted


def test_it_learns_and_one_seed_gives_one_model(encoder_folder: Path) -> None:
    report = ListeningProgress()
    task = replace(task_of(), report=report)
    first, fitted = fit(encoder_folder, task)
    second, _ = fit(encoder_folder, task)
    other, _ = fit(encoder_folder, task_of(seed=2))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)
    truth = task.numbers(task.splits.test)
    assert (first.argmax(axis=1) == truth).mean() > 0.6, "a third would be chance"
    assert any("round 1" in line for line in report.lines)
    assert isinstance(fitted.outcome, TrainingOutcome)


def test_what_a_student_reads_is_bounded(encoder_folder: Path) -> None:
    report = ListeningProgress()
    fit(encoder_folder, replace(task_of(), report=report))
    teacher, student = (count for count in report.read if count)
    assert teacher == 6 * 48
    assert 600 - 16 <= student <= 600 + 16


@pytest.mark.parametrize("stop", [4, 18, 19, 30])
def test_a_resumed_training_agrees(encoder_folder: Path, tmp_path: Path, stop: int) -> None:
    unbroken, _ = fit(encoder_folder, task_of(tmp_path / "other"))
    with pytest.raises(KeyboardInterrupt):
        fit(encoder_folder, replace(task_of(tmp_path), report=ListeningProgress(after=stop)))
    again = ListeningProgress()
    resumed, _ = fit(encoder_folder, replace(task_of(tmp_path), report=again, resume=True))
    np.testing.assert_allclose(resumed, unbroken, atol=1e-5)
    if stop > 18:
        assert "going on from round 1 of self-training" in again.lines
        assert "self-training: the teacher learns the labels" not in again.lines
    assert not list((tmp_path / "checkpoints").rglob("*.safetensors")), "none is left"


def test_a_second_round_goes_on_from_the_first(encoder_folder: Path, tmp_path: Path) -> None:
    chosen = {"self_training.rounds": 2, "epochs": 2}
    unbroken, _ = fit(encoder_folder, task_of(tmp_path / "other", **chosen))
    report = ListeningProgress()
    fit(encoder_folder, replace(task_of(tmp_path, **chosen), report=report))
    starts = [n for n, e in enumerate(report.events, 1) if e.get("step") == 1]
    assert len(starts) == 3, "a teacher and two students"
    late = ListeningProgress(after=starts[2])
    with pytest.raises(KeyboardInterrupt):
        fit(encoder_folder, replace(task_of(tmp_path, **chosen), report=late))
    again = ListeningProgress()
    resumed, _ = fit(
        encoder_folder, replace(task_of(tmp_path, **chosen), report=again, resume=True)
    )
    np.testing.assert_allclose(resumed, unbroken, atol=1e-5)
    assert "going on from round 2 of self-training" in again.lines


def test_labels_of_other_texts_are_refused(encoder_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(encoder_folder, replace(task_of(tmp_path), report=ListeningProgress(after=25)))
    task = task_of(tmp_path)
    fewer = replace(task, unlabelled=task.unlabelled[:-1], resume=True)
    with pytest.raises(TrainingError, match="other data"):
        fit(encoder_folder, fewer)


def test_strangers_get_no_label(encoder_folder: Path) -> None:
    encoder = load_encoder(encoder_folder)
    task = task_of()
    known = task.training[0].text
    # A random encoder has no geometry: what stands for a stranger is told by its distance.
    asked = replace(task, unlabelled=(f"{known} please", "zebra quark opera", known))
    bank = encoder.embed([e.text for e in task.training])
    nearest = (encoder.embed(asked.unlabelled) @ bank.T).max(axis=1)
    others = np.sort(bank @ bank.T, axis=1)[:, -2]
    limit = np.quantile(others, task.recipe.self_training.strangers)
    found = self_training.PretrainedVectors.of(encoder, asked).familiar(asked)
    assert found.tolist() == (nearest >= limit - 1e-6).tolist()
    assert found[2]


def test_a_teacher_sure_of_nothing_stays(encoder_folder: Path) -> None:
    report = ListeningProgress()
    task = task_of(**{"self_training.confidence": 0.999999})
    alone = fit(encoder_folder, replace(task, report=report))[0]
    assert "self-training ends here: the teacher is sure of none" in report.lines
    recipe: Recipe = make_recipe(**{**task.recipe.model_dump(), "method": "full"})
    plain = recipe.model_copy(
        update={"self_training": recipe.self_training.model_copy(update={"rounds": 0})}
    )
    np.testing.assert_allclose(fit(encoder_folder, replace(task, recipe=plain))[0], alone)


@pytest.mark.parametrize("labels", [0, 80])
def test_a_teacher_is_calibrated_with_and_without_validation(
    encoder_folder: Path, labels: int
) -> None:
    held_out = tuple(replace(e, split="validation") for e in made(40, 5)[:labels])
    task = task_of()
    free = {e.key for e in (*task.splits.train, *task.splits.test)}
    kept = tuple(e for e in held_out if e.key not in free)
    assert not labels or len(kept) >= self_training.ENOUGH
    task = replace(task, splits=replace(task.splits, validation=kept))
    classifier = adapt_to_task(load_encoder(encoder_folder), task)
    before = self_training.PretrainedVectors.of(load_encoder(encoder_folder), task)
    found = self_training._label(classifier, before, task)
    assert found.probabilities.shape == (len(task.unlabelled), 3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)
    if not labels:
        expected = self_training._expected_accuracy(before.known, task)
        assert found.sure.mean() == pytest.approx(expected, abs=0.01)


def test_held_out_texts_are_never_among_the_unlabelled() -> None:
    marked = Example("Orrin [ beats ] Tarn", "up", "test", group="Orrin beats Tarn")
    examples = (marked, *made(5, 0))
    splits = prepare_data(Dataset("d", examples), shares=Shares(0.2, 0.2, 0.2))
    held = [e.text for name in ("validation", "gate", "test") for e in splits[name]]  # type: ignore[index]
    given = ["new text", *held, "NEW  text", "orrin beats tarn", "  ", "write to a.b@example.com"]
    assert without_held_out(given, splits) == ["new text", "write to [email]"]


def test_without_texts_the_option_is_named(encoder_folder: Path, tmp_path: Path) -> None:
    def train(texts: list[str]) -> None:
        train_text_classifier(
            Dataset("tiny", tuple(made(20, 0))), app="support", now=NOW, device="cpu",
            recipe=make_recipe(method="self_training"), encoder=str(encoder_folder),
            registry=ModelRegistry(tmp_path), report=SilentProgress(), unlabelled=texts,
        )  # fmt: skip

    with pytest.raises(SettingsError, match="--unlabelled SOURCE"):
        train([])
    with pytest.raises(SettingsError, match="--unlabelled SOURCE"):
        train([made(20, 0)[0].text])
    with pytest.raises(SettingsError, match="--unlabelled SOURCE"):
        self_training.self_train(None, replace(task_of(), unlabelled=()))  # type: ignore[arg-type]


def test_the_card_says_how_many_texts_there_were(encoder_folder: Path, tmp_path: Path) -> None:
    recipe = make_recipe(
        method="self_training", epochs=2, batch_size=16, **{"self_training.reads": 100}
    )
    trained = train_text_classifier(
        Dataset("tiny", tuple(made(20, 0))), app="support", now=NOW, device="cpu",
        recipe=recipe, encoder=str(encoder_folder), registry=ModelRegistry(tmp_path),
        report=SilentProgress(), unlabelled=["where is it", "where is it", made(20, 0)[0].text],
        unlabelled_source="inbox.csv",
    )  # fmt: skip
    card = json.loads((trained.version.folder / "card.json").read_text())
    assert card["data"]["unlabelled"] == {"texts": 1, "source": "inbox.csv"}
    assert card["recipe"]["self_training"]["rounds"] == 1


def test_each_fold_keeps_what_it_holds_out_from_the_texts(
    encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Dataset("tiny", tuple(made(12, 0)))
    given = [e.text for e in data.examples] + ["where is it"]
    seen: list[list[str]] = []

    def kept(texts: list[str], splits: object) -> list[str]:
        seen.append(without_held_out(texts, splits))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr("models.cross_validation.without_held_out", kept)
    cross_validate(
        data, folds=3, recipe=make_recipe(method="head"), encoder=str(encoder_folder),
        device="cpu", report=SilentProgress(), unlabelled=given,
    )  # fmt: skip
    assert seen == [["where is it"]] * 3
