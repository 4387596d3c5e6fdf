"""Masked-language training: it learns to guess, keeps sentence vectors, resumes and refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder_store import load_encoder
from models.methods.domain_pretraining import MaskedLanguageModel, pretrain, texts_of
from models.methods.task import FittingTask
from models.methods.ways import adapt_to_task, train_model
from models.text_classifier import forward
from models.text_training import prepare_data
from shared.errors import EncoderError, TrainingError
from shared.finetuning.hardware import Hardware
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe, with_method
from shared.finetuning.splits import Shares
from shared.records import OUT_OF_SCOPE, Dataset, Example
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import FAMILIES, WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")


def task_of(folder: Path | None = None, **fields: object) -> FittingTask:
    draw = np.random.default_rng(0)
    examples = [
        Example(" ".join([*draw.choice(WORDS[12:], size=4), cue]), label)
        for label, cue in (("refund", "refund"), ("tracking", "parcel"))
        for _ in range(20)
    ]
    splits = prepare_data(Dataset("tiny", tuple(examples)), shares=Shares(0, 0, 0.2))
    # Sentences of one pattern: what stands between two words follows from them.
    texts = tuple(f"where is my {a} now please {b} it" for a in WORDS[3:15] for b in WORDS[20:30])
    given = {
        "epochs": 2, "batch_size": 16, "learning_rate": 2e-3, "checkpoint_seconds": 0,
        "domain.epochs": 8, "domain.learning_rate": 3e-3, "head_learning_rate": 5e-3,
        "domain.hold": 0.1, **fields,
    }  # fmt: skip
    recipe = with_method(make_recipe(method="domain", **given), "domain")
    place = None if folder is None else folder / "checkpoints"
    return FittingTask(splits, recipe, CPU, SilentProgress(), unlabelled=texts, checkpoints=place)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def fit(folder: Path, task: FittingTask) -> np.ndarray:
    torch.manual_seed(task.recipe.seed)
    fitted = train_model(adapt_to_task(load_encoder(folder), task), task)
    fitted.classifier.eval()
    return forward(fitted.classifier, [e.text for e in task.splits.test])[1]


def losses(task: FittingTask) -> list[float]:
    return [e["loss"] for e in task.report.events if e["event"] == "step"]  # type: ignore[attr-defined]


def test_it_learns_to_guess(encoder_folder: Path) -> None:
    task = task_of()
    before = load_encoder(encoder_folder)
    after = pretrain(load_encoder(encoder_folder), task)
    found = losses(task)
    assert np.mean(found[-5:]) < 0.6 * np.mean(found[:5])
    moved = dict(after.backbone.named_parameters())
    for name, old in before.backbone.named_parameters():
        changed = not torch.equal(old, moved[name])
        assert changed == (".layer." in name), f"layers move and nothing else: {name}"
    assert all(p.requires_grad for p in after.parameters()), "what follows may train it all"


def test_sentence_vectors_are_held(encoder_folder: Path) -> None:
    def moved(hold: float) -> float:
        task = task_of(**{"domain.hold": hold})
        texts = texts_of(task)
        before = load_encoder(encoder_folder).embed(texts)
        after = pretrain(load_encoder(encoder_folder), task).embed(texts)
        return float(1 - (before * after).sum(axis=1).mean())

    assert moved(30.0) < 0.5 * moved(0.0)


def test_one_seed_gives_one_model(encoder_folder: Path) -> None:
    first, second = fit(encoder_folder, task_of()), fit(encoder_folder, task_of())
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, fit(encoder_folder, task_of(seed=2)))
    assert not np.allclose(first, fit(encoder_folder, task_of(**{"domain.epochs": 0.5})))


@pytest.mark.parametrize("stop", [10, 80, 82])
def test_a_resumed_training_agrees(encoder_folder: Path, tmp_path: Path, stop: int) -> None:
    """In the midst of the masked-language training, in its last step, and in what follows."""
    whole = task_of(tmp_path / "other")
    unbroken = fit(encoder_folder, whole)
    assert len(losses(whole)) == 80 + 4, "8 epochs of 152 texts and 2 of 32, in batches of 16"
    with pytest.raises(KeyboardInterrupt):
        fit(encoder_folder, replace(task_of(tmp_path), report=ListeningProgress(stop)))
    again = SilentProgress()
    resumed = fit(encoder_folder, replace(task_of(tmp_path), report=again, resume=True))
    np.testing.assert_allclose(resumed, unbroken, atol=1e-5)
    steps = len([e for e in again.events if e["event"] == "step"])
    assert steps == 80 + 4 - stop + 1, "what was done is not done again"


def test_a_pretraining_on_other_texts_is_refused(encoder_folder: Path, tmp_path: Path) -> None:
    task = task_of(tmp_path, **{"domain.epochs": 1})
    pretrain(load_encoder(encoder_folder), task)
    fewer = replace(task, unlabelled=task.unlabelled[1:], resume=True)
    with pytest.raises(TrainingError, match="other data"):
        pretrain(load_encoder(encoder_folder), fewer)


def test_only_what_trains_is_read() -> None:
    task = task_of()
    stray = Example("zebra quark", OUT_OF_SCOPE, "train")
    task = replace(
        task, splits=replace(task.splits, train=(*task.splits.train, stray)),
        unlabelled=("New text", task.splits.train[0].text.upper(), "new  TEXT"),
    )  # fmt: skip
    read = texts_of(task)
    assert read == [*(e.text for e in task.splits.train), "New text"]
    assert not {e.text for e in task.splits.test} & set(read)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_guesses(family: str, tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / family, family))
    model = MaskedLanguageModel(encoder)
    ids, mask = encoder.tokenise(["where is my order", "refund please"]).batch(np.arange(2))
    chosen = torch.zeros_like(mask, dtype=torch.bool)
    chosen[0, 1:3] = True
    logits, vectors = model.guess(ids, mask, chosen)
    assert logits.shape == (2, len(encoder.tokenizer))
    torch.testing.assert_close(vectors, encoder(ids, mask))
    everywhere = model(ids, mask)
    torch.testing.assert_close(everywhere.view(2, -1, logits.shape[1])[0, 1:3], logits)


def test_a_tokenizer_without_a_mask_is_refused(encoder_folder: Path) -> None:
    encoder = load_encoder(encoder_folder)
    encoder.tokenizer.mask_token = None
    with pytest.raises(EncoderError, match="no mask token"):
        pretrain(encoder, task_of())
