"""A version goes on: new classes are learnt, old ones kept, and what was lost is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.methods.continual import continuing, earlier_of
from models.promotion import gate
from models.registry import ModelRegistry
from models.text_classifier import TextPredictor, forward
from models.text_training import TrainedVersion, train_text_classifier
from models.training_run import load_base
from shared.errors import SettingsError, TrainingError, VersionNotFound
from shared.evaluation.summary_table import method_rows
from shared.finetuning.distillation import softened
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Dataset, Example
from shared.settings import Settings
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OLD = {
    "refund": ["refund", "money"],
    "tracking": ["parcel", "track"],
    "billing": ["invoice", "card"],
}
NEW = {"opening": ["shop", "open"], "size": ["size", "colour"]}


def dataset(cues: dict[str, list[str]], each: int = 60, seed: int = 0) -> Dataset:
    draw = np.random.default_rng(seed)
    filler = ["where", "is", "my", "the", "a", "please", "want", "need", "help", "it", "now", "hi"]
    return Dataset(
        "tiny",
        tuple(
            Example(
                " ".join([*draw.choice(filler, size=draw.integers(3, 8)), words[row % 2]]), label
            )
            for label, words in cues.items()
            for row in range(each)
        ),
    )


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"), words=WORDS)


def train(
    registry: ModelRegistry, encoder: Path, data: Dataset, base: TextPredictor | None = None,
    method: str = "auto", **fields: Any,
) -> TrainedVersion:  # fmt: skip
    given = {
        "epochs": 8, "batch_size": 16, "learning_rate": 2e-3, "target_error": 0.2, **fields,
    }  # fmt: skip
    return train_text_classifier(
        data, app="support", recipe=make_recipe(method=method, **given), encoder=str(encoder),
        registry=registry, now=NOW, report=SilentProgress(), device="cpu", base=base,
    )  # fmt: skip


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    return ModelRegistry(tmp_path_factory.mktemp("home") / "models")


@pytest.fixture(scope="module", params=["full", "head"])
def base(request: pytest.FixtureRequest, registry: ModelRegistry, encoder_folder: Path) -> Any:
    """A version with a cosine head, and one with a linear head."""
    trained = train(registry, encoder_folder, dataset(OLD), method=request.param)
    return trained.version


def test_new_classes_are_learnt_and_old_ones_kept(
    base: Any, registry: ModelRegistry, encoder_folder: Path
) -> None:
    before = TextPredictor.load(base)
    grown = train(registry, encoder_folder, dataset(NEW, seed=1), before)
    after = TextPredictor.load(grown.version)
    assert after.labels == tuple(sorted({*OLD, *NEW}))
    fresh = dataset({**OLD, **NEW}, each=20, seed=2).examples
    seen = {text for text, _ in after.bank}
    unseen = [e for e in fresh if e.text not in seen]
    predicted = after.predict([e.text for e in unseen])
    right = np.array([p.label == e.label for p, e in zip(predicted, unseen, strict=True)])
    old = np.array([e.label in OLD for e in unseen])
    assert right[old].mean() > 0.8
    assert right[~old].mean() > 0.8

    card = grown.version.card
    assert card["base"] == base.name
    assert card["method"] == "continual"
    assert set(before.bank) <= set(after.bank)
    lost = card["forgetting"]
    assert set(lost["classes"]) <= set(OLD)
    earlier = earlier_of(base, before)
    judged = [e for e in (*earlier.validation, *earlier.gate) if e.in_scope]
    assert lost["examples"] == len(judged) > 0
    truth = [p.label == e.label for p, e in zip(
        before.predict([e.text for e in judged]), judged, strict=True)]  # fmt: skip
    weighted = sum(c["before"] * c["examples"] for c in lost["classes"].values())
    assert weighted == pytest.approx(sum(truth))
    assert grown.summary["forgetting"] == lost
    assert any("old classes" in title for title, _ in method_rows(grown.summary))
    verdict = gate(registry, "support", grown.version)
    assert verdict.n > 0


def test_one_new_class_alone_and_no_replay(
    base: Any, registry: ModelRegistry, encoder_folder: Path
) -> None:
    only = dataset({"size": NEW["size"]}, each=20, seed=3)
    grown = train(
        registry,
        encoder_folder,
        only,
        TextPredictor.load(base),
        epochs=1,
        **{"continual.replay": 0},
    )
    assert grown.version.card["labels"] == sorted([*OLD, "size"])


def test_new_classes_are_shifted_by_what_validation_wants(
    base: Any, registry: ModelRegistry, encoder_folder: Path
) -> None:
    before = TextPredictor.load(base)
    biases = {}
    for corrected in (False, True):
        fields = {"continual.corrected": corrected}
        version = train(registry, encoder_folder, dataset(NEW, seed=1), before, **fields).version
        after = TextPredictor.load(version)
        biases[corrected] = after.classifier.head.bias.numpy()
    moved = biases[True] - biases[False]
    fresh = np.array([label in NEW for label in after.labels])
    np.testing.assert_allclose(moved[~fresh], 0.0, atol=1e-6)
    assert abs(moved[fresh][0]) > 1e-3
    np.testing.assert_allclose(moved[fresh], moved[fresh][0], rtol=1e-3)


def test_holding_keeps_the_old_answers(
    base: Any, registry: ModelRegistry, encoder_folder: Path
) -> None:
    before = TextPredictor.load(base)
    texts = [e.text for e in dataset(NEW, seed=1).examples]
    was = softened(forward(before.classifier, texts)[1], 2.0)
    moved = []
    for weight in (0.0, 5.0):
        version = train(
            registry, encoder_folder, dataset(NEW, seed=1), before, **{"continual.weight": weight}
        ).version
        after = TextPredictor.load(version)
        columns = [after.labels.index(label) for label in before.labels]
        now = softened(forward(after.classifier, texts)[1][:, columns], 2.0)
        moved.append(float((was * np.log(was / now)).sum(axis=1).mean()))
    assert moved[1] < 0.5 * moved[0]


def test_held_out_texts_of_the_base_never_train(
    base: Any, registry: ModelRegistry, encoder_folder: Path
) -> None:
    before = TextPredictor.load(base)
    everything = Dataset("tiny", (*dataset(OLD).examples, *dataset(NEW, seed=1).examples))
    stated = tuple(Example(e.text, e.label, "train") for e in everything.examples)
    grown = train(registry, encoder_folder, Dataset("tiny", stated), before, epochs=1).version
    held = {e.text for part in (earlier_of(base, before).validation, earlier_of(base, before).gate)
            for e in part}  # fmt: skip
    bank = {text for text, _ in TextPredictor.load(grown).bank}
    assert held
    assert not held & bank


def test_nonsense_is_refused(base: Any, registry: ModelRegistry, encoder_folder: Path) -> None:
    before = TextPredictor.load(base)
    known = Dataset("tiny", tuple(Example(text, label, "train") for text, label in before.bank))
    with pytest.raises(TrainingError, match="new"):
        train(registry, encoder_folder, known, before)
    with pytest.raises(SettingsError, match="starts anew"):
        train(registry, encoder_folder, dataset(NEW), before, method="head")
    with pytest.raises(SettingsError, match="--continue-from"):
        train(registry, encoder_folder, dataset(NEW), method="continual")
    assert continuing(make_recipe(), before).method == "continual"
    with pytest.raises(SettingsError, match="starts anew"):
        continuing(make_recipe(**{"pruning.layers": 1}), before)
    before.card = {**before.card, "method": "lora"}
    with pytest.raises(SettingsError, match="not its own"):
        continuing(make_recipe(), before)


def test_the_base_is_found_by_its_name(base: Any, registry: ModelRegistry, tmp_path: Path) -> None:
    settings = Settings(home=registry.root.parent)
    other = Settings(home=tmp_path)
    assert settings.models.name == "models"
    assert load_base(settings, "support", None) is None
    with pytest.raises(VersionNotFound):
        load_base(other, "support", "in-use")
    named = ModelRegistry(settings.models)
    assert named.root == registry.root
    found = load_base(settings, "support", base.name)
    assert found is not None
    assert found.version == base.name
