"""Low-rank adapters: little trains, little is saved, it resumes, and every family has them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.encoder_store import IN_PROCESS, STORED, load_encoder, save_encoder
from models.low_rank_encoder import (
    WEIGHTS,
    adapter_tensors,
    base_tensors,
    insert_adapters,
    target_names,
)
from models.methods.low_rank import adapt_low_rank
from models.methods.task import FittedModule, FittingTask
from models.methods.ways import adapt_to_task, train_model
from models.registry import ModelRegistry
from models.text_classifier import TextClassifier, TextPredictor, forward
from models.text_training import prepare_data, train_text_classifier
from shared.errors import EncoderError, SettingsError, TrainingError
from shared.finetuning.dropout import ByteDropout
from shared.finetuning.hardware import Hardware
from shared.finetuning.low_rank import LowRankSettings
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe, with_method
from shared.finetuning.splits import Shares
from shared.records import Dataset, Example
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import FAMILIES, WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = ["where is my parcel", "refund the money please", "hi", "it is a card i want now"]
CUES = (("billing", "card"), ("refund", "refund"), ("tracking", "parcel"))


def dataset(seed: int = 0) -> Dataset:
    """What a text is about is one word among four others."""
    draw = np.random.default_rng(seed)
    examples = [
        Example(" ".join(draw.permutation([*draw.choice(WORDS[18:], size=4), cue])), label)
        for label, cue in CUES
        for _ in range(40)
    ]
    return Dataset("tiny", tuple(examples))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def recipe_of(**fields: Any) -> Any:
    given = {
        "epochs": 8, "batch_size": 16, "learning_rate": 5e-3, "head_learning_rate": 5e-3,
        "checkpoint_seconds": 0, "lora.rank": 4, **fields,
    }  # fmt: skip
    return with_method(make_recipe(method="lora", **given), "lora")


def task_of(checkpoints: Path | None = None, **fields: Any) -> FittingTask:
    splits = prepare_data(dataset(), shares=Shares(0, 0, 0.2))
    recipe = recipe_of(**fields)
    return FittingTask(splits, recipe, CPU, SilentProgress(), checkpoints=checkpoints)


def fit(folder: Path, task: FittingTask) -> FittedModule:
    torch.manual_seed(task.recipe.seed)
    return train_model(adapt_to_task(load_encoder(folder), task), task)


def logits(classifier: TextClassifier, task: FittingTask) -> np.ndarray[Any, Any]:
    classifier.eval()
    return forward(classifier, [e.text for e in task.splits.test])[1]


def loss(found: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    return float(torch.nn.functional.cross_entropy(torch.tensor(found), torch.tensor(truth)))


def test_only_corrections_and_head_train(folder: Path) -> None:
    task = task_of()
    before = load_encoder(folder)
    fitted = fit(folder, task)
    after = fitted.classifier.encoder
    for name, tensor in base_tensors(after.backbone).items():
        assert torch.equal(tensor, before.backbone.state_dict()[name]), name
    corrections = adapter_tensors(after.backbone)
    assert all(t.abs().sum() > 0 for t in corrections.values()), "every correction has learned"
    # Rank 4 beside four maps of 32 to 32 and two of 32 to 64, in each of two layers.
    assert sum(t.numel() for t in corrections.values()) == 2 * 4 * (4 * (32 + 32) + 2 * (32 + 64))
    facts = fitted.facts["adapters"]
    trained = sum(t.numel() for t in corrections.values()) + 3 * 32
    assert facts["trained_weights"] == trained
    unused = fitted.classifier.head.bias.numel()
    assert facts["weights"] == trained + unused + sum(p.numel() for p in before.parameters())
    assert facts["share"] == pytest.approx(trained / facts["weights"])
    assert (facts["rank"], facts["targets"]) == (4, "all-linear")
    truth = task.numbers(task.splits.test)
    learned = logits(fitted.classifier, task)
    assert (learned.argmax(axis=1) == truth).mean() > 0.9
    for parameter, name in ((p, n) for n, p in fitted.classifier.named_parameters()):
        if ".lora_B." in name:
            parameter.data.zero_()
    assert loss(learned, truth) < 0.5 * loss(logits(fitted.classifier, task), truth), "by them"


def test_it_begins_where_the_encoder_stands(folder: Path) -> None:
    plain = load_encoder(folder)
    adapted = load_encoder(folder)
    insert_adapters(adapted, LowRankSettings(), seed=1)
    np.testing.assert_array_equal(adapted.embed(TEXTS), plain.embed(TEXTS))
    assert len(adapted.layers) == 2


def test_targets_may_be_attention_alone(folder: Path) -> None:
    encoder = load_encoder(folder)
    names = target_names(encoder, LowRankSettings(targets="attention"))
    assert len(names) == 8
    assert all(".attention." in name for name in names)
    assert set(names) < set(target_names(encoder, LowRankSettings()))


def test_its_dropout_is_its_own(folder: Path) -> None:
    encoder = load_encoder(folder)
    insert_adapters(encoder, LowRankSettings(dropout=0.25), seed=1)
    encoder.set_dropout(0.1, 0.0)
    found = {path: m for path, m in encoder.backbone.named_modules() if "lora_dropout" in path}
    assert {m.p for m in found.values() if isinstance(m, torch.nn.Dropout)} == {0.25}
    assert not any(isinstance(m, ByteDropout) for m in found.values())


def test_layers_rest_and_learn_at_rates_of_their_own(folder: Path) -> None:
    task = task_of(layer_decay=0.5, frozen_layers=1)
    classifier = adapt_low_rank(load_encoder(folder), task)
    groups = classifier.parameter_groups(task.recipe)
    body = [g for g in groups if g["lr"] != task.recipe.head_learning_rate or len(g["params"]) > 1]  # type: ignore[arg-type]
    assert {g["lr"] for g in body} == {task.recipe.learning_rate}
    assert sum(len(g["params"]) for g in body) == 12, "those of the upper layer"  # type: ignore[arg-type, misc]
    classifier.rest_layers(2)
    assert not any(p.requires_grad for p in classifier.encoder.parameters())
    classifier.rest_layers(0)
    training = {n for n, p in classifier.encoder.named_parameters() if p.requires_grad}
    assert training == {n for n in training if ".layer.1." in n and ".lora_" in n}
    assert len(training) == 12


def test_one_seed_gives_one_model(folder: Path) -> None:
    task = task_of(epochs=2)
    first = logits(fit(folder, task).classifier, task)
    np.testing.assert_array_equal(first, logits(fit(folder, task).classifier, task))
    other = task_of(epochs=2, seed=2)
    assert not np.allclose(first, logits(fit(folder, other).classifier, task))


@pytest.mark.parametrize("stop", [3, 30])
def test_a_resumed_training_agrees(folder: Path, tmp_path: Path, stop: int) -> None:
    unbroken = fit(folder, task_of(tmp_path / "other"))
    broken = task_of(tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        fit(folder, replace(broken, report=ListeningProgress(stop)))
    stored = (tmp_path / "broken").glob("*.safetensors")
    size = sum(path.stat().st_size for path in stored)
    assert 0 < size < 5 * 4 * unbroken.facts["adapters"]["trained_weights"] + 50_000
    resumed = fit(folder, replace(broken, resume=True))
    assert resumed.outcome is not None
    assert resumed.outcome.resumed_from == stop - 1
    task = task_of()
    np.testing.assert_allclose(
        logits(resumed.classifier, task), logits(unbroken.classifier, task), atol=1e-6
    )
    with pytest.raises(KeyboardInterrupt):
        fit(folder, replace(broken, report=ListeningProgress(3)))
    other = task_of(tmp_path / "broken", **{"lora.alpha": 8.0})
    with pytest.raises(TrainingError, match="other data"):
        fit(folder, replace(other, resume=True))


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"train_embeddings": True}, "train_embeddings"),
        ({"pruning.layers": 1}, "pruning"),
        ({"pruning.heads": 0.5}, "pruning"),
    ],
)
def test_what_changes_the_base_is_refused(folder: Path, fields: dict[str, Any], match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        adapt_to_task(load_encoder(folder), task_of(**fields))


def test_a_group_has_no_other_fields() -> None:
    for fields in ({"lora.rank": 0}, {"lora.targets": "everything"}, {"lora.size": 3}):
        with pytest.raises(SettingsError, match=r"lora"):
            make_recipe(**fields)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_saves_and_loads(family: str, tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base", family)
    registry = ModelRegistry(tmp_path / "models")
    trained = train_text_classifier(
        dataset(), app="support", recipe=recipe_of(epochs=1), encoder=str(base),
        registry=registry, now=NOW, report=SilentProgress(), device="cpu",
    )  # fmt: skip
    version = trained.version
    registry.verify(version)
    predictor = TextPredictor.load(version)
    again = train_text_classifier(
        dataset(), app="finance", recipe=recipe_of(epochs=1), encoder=str(base),
        registry=registry, now=NOW, report=SilentProgress(), device="cpu",
    )  # fmt: skip
    twin = TextPredictor.load(again.version)
    np.testing.assert_array_equal(predictor.probabilities(TEXTS), twin.probabilities(TEXTS))
    assert trained.summary["adapters"]["trained_weights"] > 0
    held = {path.name for path in (version.folder / "encoder").iterdir()}
    assert held == {"adapter_config.json", WEIGHTS, "base.json"}
    assert predictor.encoder.max_length <= 64 + 2


def test_saving_and_loading_changes_nothing(folder: Path, tmp_path: Path) -> None:
    task = task_of()
    fitted = fit(folder, task)
    fitted.classifier.eval()
    vectors = fitted.classifier.encoder.embed(TEXTS)
    save_encoder(fitted.classifier.encoder, tmp_path / "saved")
    loaded = IN_PROCESS.load(tmp_path / "saved", max_length=128)
    np.testing.assert_array_equal(loaded.embed(TEXTS), vectors)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    merged = load_encoder(tmp_path / "saved")
    assert merged.adapters is None
    np.testing.assert_allclose(merged.embed(TEXTS), vectors, atol=1e-6)
    assert all(parameter.requires_grad for parameter in merged.parameters())
    save_encoder(loaded, tmp_path / "again")
    for path in (tmp_path / "saved").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_peft_reads_the_files(folder: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModel

    encoder = fit(folder, task_of(epochs=2)).classifier.eval().encoder
    save_encoder(encoder, tmp_path / "saved")
    model = PeftModel.from_pretrained(AutoModel.from_pretrained(folder), tmp_path / "saved")
    ids, mask = encoder.tokenise(TEXTS).batch(np.arange(len(TEXTS)))
    with torch.no_grad():
        theirs = model.eval()(input_ids=ids, attention_mask=mask).last_hidden_state
        ours = encoder.backbone(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=0)


def test_a_broken_reference_is_refused(folder: Path, tmp_path: Path) -> None:
    encoder = load_encoder(folder)
    insert_adapters(encoder, LowRankSettings(rank=2), seed=1)
    save_encoder(encoder, tmp_path / "saved")
    path = tmp_path / "saved" / "base.json"
    stored = json.loads(path.read_text())
    assert stored["name"] == str(folder.resolve())
    for broken in ("{", json.dumps({**stored, "settings": {"rank": 0}}), "{}", "[]"):
        path.write_text(broken)
        with pytest.raises(EncoderError, match="does not say"):
            load_encoder(tmp_path / "saved")
    path.write_text(json.dumps({**stored, "settings": {**stored["settings"], "rank": 3}}))
    with pytest.raises(EncoderError, match="do not fit"):
        load_encoder(tmp_path / "saved")
    path.write_text(json.dumps(stored))
    (tmp_path / "saved" / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder(tmp_path / "saved")


@pytest.mark.parametrize(
    "fields",
    [
        {"self_training.rounds": 1},
        {"distillation.seeds": 2},
        {"noise.kind": "confident"},
        {"adversarial.kind": "smart"},
        {"adversarial.kind": "fgm"},
        {"augmentation.share": 0.5},
        {"unfreeze_until": 0.5, "patience": 1},
        {"averaging_from": 0.0, "class_weights": "balanced"},
        {"gradient_checkpointing": True, "accumulation": 2},
    ],
)
def test_it_goes_with_other_stages(folder: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    task = task_of(epochs=1, **fields)
    if "self_training.rounds" in fields:
        texts = tuple(example.text for example in dataset(seed=1).examples)
        task = replace(task, unlabelled=texts)
    task = replace(task, encoder=str(folder))
    fitted = fit(folder, task)
    assert fitted.facts["adapters"]["rank"] == 4
    encoder = fitted.classifier.eval().encoder
    moved = [n for n, t in adapter_tensors(encoder.backbone).items() if ".lora_B." in n and t.any()]
    assert moved
    save_encoder(encoder, tmp_path / "saved")
    assert not (tmp_path / "saved" / STORED).exists(), "the base is as it was"
    loaded = IN_PROCESS.load(tmp_path / "saved", max_length=128)
    np.testing.assert_allclose(loaded.embed(TEXTS), encoder.embed(TEXTS), atol=1e-6)
