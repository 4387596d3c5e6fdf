"""The seven steps on a tiny encoder: versions that load back the same, gates that hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.head_update import update_head
from models.promotion import gate, gate_and_promote
from models.registry import ModelRegistry
from models.text_classifier import TextPredictor
from models.text_training import train_text_classifier
from shared.errors import ManifestMismatch, PromotionRefused
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import OUT_OF_SCOPE, Dataset, Example
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CUES = {
    "refund": ["refund", "money"],
    "tracking": ["parcel", "track"],
    "billing": ["invoice", "card"],
}


def dataset(seed: int = 0, each: int = 60, wrong: bool = False) -> Dataset:
    draw = np.random.default_rng(seed)
    examples = []
    for number, (label, cues) in enumerate(CUES.items()):
        for row in range(each):
            filler = draw.choice(WORDS[12:], size=draw.integers(3, 7)).tolist()
            said = label if not wrong else list(CUES)[(number + 1) % 3]
            examples.append(Example(" ".join([*filler, cues[row % 2]]), said))
    strays = [
        Example(" ".join(draw.choice(["zebra", "quark", "opera", "moon"], size=5)), OUT_OF_SCOPE)
        for _ in range(40)
    ]
    return Dataset("tiny", (*examples, *strays))


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def train(
    registry: ModelRegistry, encoder: Path, data: Dataset, method: str = "full", **fields: object
):  # type: ignore[no-untyped-def]
    recipe = make_recipe(
        method=method, epochs=8, batch_size=16, learning_rate=2e-3, target_error=0.2, **fields
    )
    return train_text_classifier(
        data, app="support", recipe=recipe, encoder=str(encoder), registry=registry, now=NOW,
        report=SilentProgress(), device="cpu",
    )  # fmt: skip


@pytest.mark.parametrize("method", ["full", "head", "zero_shot"])
def test_a_version_loads_back_as_it_was_measured(
    method: str, registry: ModelRegistry, encoder_folder: Path
) -> None:
    trained = train(registry, encoder_folder, dataset(), method)
    registry.verify(trained.version)
    card = trained.version.card
    metrics = trained.summary["metrics"]
    predictor = TextPredictor.load(trained.version)
    splits = json.loads((trained.version.folder / "splits.json").read_text())
    tests = [e for e in dataset().examples if splits.get(e.key) == "test" and e.in_scope]
    right = [
        p.label == e.label
        for p, e in zip(predictor.predict([e.text for e in tests]), tests, strict=True)
    ]
    assert np.mean(right) == pytest.approx(metrics["accuracy"])
    assert card["data"]["test"] == trained.summary["data"]["test"] > 0
    assert metrics["out_of_scope"]["examples"] > 0
    assert (trained.version.folder / "report.html").stat().st_size > 10_000
    if method != "zero_shot":
        assert metrics["accuracy"] > 0.6, "a third would be chance"


def test_the_summary_holds_what_others_read(registry: ModelRegistry, encoder_folder: Path) -> None:
    summary = train(registry, encoder_folder, dataset(), "head").summary
    assert {"app", "version", "method", "encoder", "seed", "data", "seconds", "metrics"} <= set(
        summary
    )
    assert {"name", "train", "validation", "test", "removed_duplicates"} <= set(summary["data"])
    assert {"prepare", "train", "evaluate"} <= set(summary["seconds"])
    assert {
        "accuracy", "macro_f1", "top3_accuracy", "expected_calibration_error", "out_of_scope",
        "coverage_at_target", "error_at_target",
    } <= set(summary["metrics"])  # fmt: skip
    json.dumps(summary)


def test_probabilities_do_not_depend_on_batch_mates(
    registry: ModelRegistry, encoder_folder: Path
) -> None:
    predictor = TextPredictor.load(train(registry, encoder_folder, dataset()).version)
    texts = ["where is my parcel", "money", "need invoice for the card now please"]
    together = predictor.probabilities(texts)
    alone = np.concatenate([predictor.probabilities([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(axis=1), 1.0)


def test_neighbours_are_training_examples(registry: ModelRegistry, encoder_folder: Path) -> None:
    predictor = TextPredictor.load(train(registry, encoder_folder, dataset()).version)
    text, label = predictor.bank[7]
    (found,) = predictor.neighbours([text], k=3)
    assert found[0].similarity == pytest.approx(1.0, abs=2e-3)
    assert found[0].label == label
    assert [n.similarity for n in found] == sorted((n.similarity for n in found), reverse=True)


def test_personal_data_is_masked_in_a_version(
    registry: ModelRegistry, encoder_folder: Path
) -> None:
    base = dataset()
    told = Example("my mail is anna.example@example.com refund", "refund", "train")
    data = Dataset("tiny", (*base.examples, *[told] * 1))
    version = train(registry, encoder_folder, data, "head").version
    stored = "".join(path.read_text() for path in version.folder.glob("*.json*") if path.is_file())
    assert "anna.example@example.com" not in stored
    assert "[email]" in stored


def test_a_worse_candidate_is_refused_and_force_is_recorded(
    registry: ModelRegistry, encoder_folder: Path
) -> None:
    good = train(registry, encoder_folder, dataset(each=200)).version
    gate_and_promote(registry, "support", good, author="anna", now=NOW)
    bad = train(registry, encoder_folder, dataset(each=200), "zero_shot").version
    report = gate(registry, "support", bad)
    assert not report.allowed
    assert report.n > 10
    with pytest.raises(PromotionRefused, match="worse"):
        gate_and_promote(registry, "support", bad, author="anna", now=NOW)
    assert registry.in_use("support") == good.name
    forced = gate_and_promote(registry, "support", bad, author="ben", now=NOW, force=True)
    assert forced.forced
    assert forced.author == "ben"
    assert registry.in_use("support") == bad.name


def test_a_changed_file_blocks_promotion(registry: ModelRegistry, encoder_folder: Path) -> None:
    version = train(registry, encoder_folder, dataset(), "head").version
    with (version.folder / "classifier.json").open("a") as stream:
        stream.write(" ")
    with pytest.raises(ManifestMismatch):
        gate_and_promote(registry, "support", version, author="anna", now=NOW)


@pytest.mark.parametrize("method", ["full", "head"])
def test_a_new_class_is_learnt_by_the_head_alone(
    method: str, registry: ModelRegistry, encoder_folder: Path
) -> None:
    base = train(registry, encoder_folder, dataset(), method).version
    texts = [f"{' '.join(WORDS[n : n + 3])} shop open hours" for n in range(10)]
    grown = update_head(registry, base, [Example(text, "opening") for text in texts], now=NOW)
    before, after = TextPredictor.load(base), TextPredictor.load(grown)
    assert set(after.labels) - set(before.labels) == {"opening"}
    assert grown.card["base"] == base.name
    assert [p.label for p in after.predict(texts)].count("opening") >= 8
    old = [text for text, _ in before.bank[:60]]
    same = [
        a.label == b.label for a, b in zip(before.predict(old), after.predict(old), strict=True)
    ]
    assert np.mean(same) > 0.9
