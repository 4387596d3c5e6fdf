"""Pruned encoders: smaller, nearly as right, saved and loaded in their smaller shape."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.encoder_store import load_encoder, save_encoder
from models.fewer_heads import HEADS
from models.methods.pruning import head_importance, prune
from models.methods.supervised import adapt_warm
from models.methods.task import FittedModule, FittingTask
from models.pruned_encoder import drop_heads, drop_layers, head_counts, only_layers
from models.text_classifier import TextClassifier, forward
from shared.errors import EncoderError
from shared.finetuning.hardware import choose_hardware
from shared.finetuning.recipe import make_recipe
from shared.records import Example, Splits
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import FAMILIES, tiny_encoder

pytestmark = pytest.mark.unit

CUES = {"refund": ["refund", "money"], "tracking": ["parcel", "track"], "billing": ["card", "pay"]}
FILLER = ["where", "is", "my", "the", "a", "please", "want", "need", "help", "it", "now", "hi"]
TEXTS = ["where is my parcel", "refund the money please", "hi", "it is a card i want now"]


def examples(each: int, seed: int) -> tuple[Example, ...]:
    draw = np.random.default_rng(seed)
    found = {}
    for label, words in CUES.items():
        for row in range(each):
            text = " ".join(
                [*draw.choice(FILLER, size=draw.integers(2, 5)), words[row % 2], str(seed)]
            )
            found.setdefault(text, Example(text, label))
    return tuple(found.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def task_of(encoder: Path, checkpoints: Path | None = None, **fields: Any) -> FittingTask:
    recipe = make_recipe(
        method="pruned", epochs=6, batch_size=16, learning_rate=2e-3, checkpoint_seconds=0, **fields
    )
    splits = Splits(examples(60, 0), examples(15, 1), (), examples(10, 2))
    return FittingTask(
        splits, recipe, choose_hardware("cpu", "fp32"), ListeningProgress(), encoder=str(encoder),
        checkpoints=checkpoints,
    )  # fmt: skip


def fit(task: FittingTask) -> FittedModule:
    return prune(adapt_warm(load_encoder(task.encoder, max_length=32), task), task)


def logits(classifier: TextClassifier, task: FittingTask) -> np.ndarray[Any, Any]:
    return forward(classifier, [e.text for e in task.splits.test])[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_fewer_layers_are_saved_and_loaded(family: str, tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "whole", family), max_length=32)
    whole = encoder.embed(TEXTS)
    with only_layers(encoder, [0]):
        inside = encoder.embed(TEXTS)
    np.testing.assert_array_equal(encoder.embed(TEXTS), whole)
    drop_layers(encoder, [0])
    np.testing.assert_array_equal(encoder.embed(TEXTS), inside)
    assert not np.allclose(inside, whole, atol=1e-4)
    save_encoder(encoder, tmp_path / "pruned")
    loaded = load_encoder(tmp_path / "pruned", max_length=32)
    assert len(loaded.layers) == 1
    np.testing.assert_allclose(loaded.embed(TEXTS), inside, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_fewer_heads_are_smaller_matrices(family: str, tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "whole", family), max_length=32)
    count = sum(p.numel() for p in encoder.parameters())
    drop_heads(encoder, [np.array([1]), np.array([0, 1])])
    assert sum(p.numel() for p in encoder.parameters()) < count
    assert head_counts(encoder) == [1, 2]
    pruned = encoder.embed(TEXTS)
    save_encoder(encoder, tmp_path / "pruned")
    loaded = load_encoder(tmp_path / "pruned", max_length=32)
    assert head_counts(loaded) == [1, 2]
    np.testing.assert_allclose(loaded.embed(TEXTS), pruned, atol=1e-6)
    drop_layers(loaded, [1])
    save_encoder(loaded, tmp_path / "again")
    assert head_counts(load_encoder(tmp_path / "again")) == [2]
    config = json.loads((tmp_path / "pruned" / "config.json").read_text())
    config[HEADS] = [2, 2]
    (tmp_path / "pruned" / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="do not fit"):
        load_encoder(tmp_path / "pruned")


def test_a_dropped_head_is_one_whose_output_is_zero(folder: Path) -> None:
    encoder, cut = load_encoder(folder), load_encoder(folder)
    drop_heads(cut, [np.array([0]), np.array([1])])
    with torch.no_grad():
        for layer, head in zip(encoder.layers, (1, 0), strict=True):
            layer.attention.output.dense.weight[:, 16 * head : 16 * (head + 1)] = 0.0
    np.testing.assert_allclose(cut.embed(TEXTS), encoder.embed(TEXTS), atol=1e-5)


def test_a_head_that_says_nothing_matters_least(folder: Path) -> None:
    task = task_of(folder)
    classifier = adapt_warm(load_encoder(folder), task)
    with torch.no_grad():
        classifier.encoder.layers[0].attention.output.dense.weight[:, :16] = 0.0
    judged = task.tokens(classifier.encoder, task.validation)
    first, second = head_importance(classifier, judged, task)
    assert first[0] == pytest.approx(0.0, abs=1e-9)
    assert first[1] > 0
    assert (second > 0).all()


@pytest.mark.parametrize("fields", [
    {"pruning.layers": 1}, {"pruning.layers": 1, "pruning.choice": "spread"},
    {"pruning.heads": 0.5}, {"pruning.layers": 1, "pruning.heads": 0.5},
])  # fmt: skip
def test_what_was_pruned_recovers_and_loads_back(
    folder: Path, tmp_path: Path, fields: dict[str, Any]
) -> None:
    task = task_of(folder, tmp_path / "checkpoints", **fields)
    fitted = fit(task)
    facts = fitted.facts["pruning"]
    assert facts["pruned"]["parameters"] < facts["whole"]["parameters"]
    assert facts["pruned"]["accuracy"] > 0.8
    assert facts["pruned"]["texts_per_second"] > 0
    assert facts["pruned"]["layers"] == fields.get("pruning.layers", 2)
    assert facts["pruned"]["heads"] < facts["whole"]["heads"]
    assert isinstance(task.report, ListeningProgress)
    assert any(line.startswith("texts a second") for line in task.report.lines)
    save_encoder(fitted.classifier.encoder, tmp_path / "saved")
    loaded = TextClassifier(load_encoder(tmp_path / "saved", max_length=32), fitted.classifier.head)
    np.testing.assert_allclose(logits(loaded, task), logits(fitted.classifier, task), atol=1e-5)
    assert not list((tmp_path / "checkpoints").rglob("*.safetensors"))


def test_a_broken_recovery_is_resumed_without_training_the_whole(
    folder: Path, tmp_path: Path
) -> None:
    fields = {"pruning.layers": 1, "pruning.heads": 0.3}
    whole = fit(task_of(folder, tmp_path / "whole", **fields))
    task = task_of(folder, tmp_path / "broken", **fields)
    with pytest.raises(KeyboardInterrupt):
        fit(replace(task, report=ListeningProgress(after=3, training=2)))
    again = ListeningProgress()
    resumed = fit(replace(task, report=again, resume=True))
    assert again.trainings == 1, "of the whole and the recovery the second alone"
    np.testing.assert_allclose(
        logits(resumed.classifier, task), logits(whole.classifier, task), atol=1e-5
    )


def test_what_cannot_be_pruned_is_said(folder: Path, tmp_path: Path) -> None:
    task = task_of(folder, **{"pruning.layers": 4})
    fitted = fit(task)
    assert isinstance(task.report, ListeningProgress)
    assert any("none is dropped" in line for line in task.report.lines)
    assert len(fitted.classifier.encoder.layers) == 2
    other = tiny_encoder(tmp_path, "mpnet")
    with pytest.raises(EncoderError, match="layers can"):
        fit(task_of(other, **{"pruning.heads": 0.5}))
