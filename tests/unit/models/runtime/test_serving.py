"""A version is served by what its promotion accepted, and the answers stay the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from models.confidence import ConfidenceModel
from models.encoder_store import load_encoder
from models.registry import ModelRegistry, ModelVersion
from models.runtime import building, files
from models.runtime.building import prepare_version
from models.runtime.files import read_verdict, verdict_path
from models.runtime.parity import Assess, ParityReport
from models.runtime.serving import explain, load_predictor
from models.runtime.session import OnnxReader
from models.text_classifier import ClassificationHead, TextClassifier, TextPredictor
from models.text_predictor import Assessment
from shared.errors import NotFound
from shared.records import Example
from shared.settings import Settings
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BANK = [("where is my parcel", "parcel"), ("refund my money", "refund"), ("invoice please", "bill")]
TEXTS = [f"{start} {end}" for start in ("lost parcel", "refund", "need invoice") for end in
         ("please", "now", "help", "thanks", "hi")]  # fmt: skip


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """With one version, whose head stands on the vectors of three texts."""
    from models.version_content import write_examples

    registry = ModelRegistry(tmp_path / "models")
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=16)
    vectors = encoder.embed([text for text, _ in BANK])
    labels = tuple(label for _, label in BANK)
    head = ClassificationHead(torch.from_numpy(vectors), torch.zeros(3), 20.0, cosine=True)
    confidence = ConfidenceModel(1.0, 0.0, 1.0, 0.0, 1.0, (0.0, 1.0), None)
    predictor = TextPredictor(
        "v", {}, TextClassifier(encoder, head), labels, confidence, BANK, vectors, 0.5, 0.1
    )

    def write(folder: Path) -> None:
        predictor.save(folder)
        write_examples(folder / "validation.jsonl", [Example(text, "parcel") for text in TEXTS])

    version = registry.add("support", card={"labels": list(labels)}, write=write, now=NOW)
    registry.promote("support", version, gate=None, author="a", now=NOW)
    return registry


def settings(registry: ModelRegistry, runtime: str = "auto") -> Settings:
    """Those of the registry's home."""
    return Settings(home=registry.root.parent, runtime=runtime, device="cpu", serving_threads=1)  # type: ignore[arg-type]


def test_a_version_is_served_by_the_graph_that_was_accepted(registry: ModelRegistry) -> None:
    version = registry.get("support")
    exact = TextPredictor.load(version)
    before = load_predictor(registry, version, settings(registry))
    assert isinstance(before, TextPredictor), "nothing was made for it yet"
    verdict = prepare_version(registry, version)
    assert verdict is not None
    assert verdict.chosen in ("int8", "fp32")
    assert verdict.reports[verdict.chosen]["accepted"]
    assert read_verdict(version) == verdict
    registry.verify(version)
    served = load_predictor(registry, version, settings(registry))
    assert isinstance(served.reader, OnnxReader)
    assert np.abs(served.probabilities(TEXTS) - exact.probabilities(TEXTS)).max() < 0.15
    same = load_predictor(registry, version, settings(registry, "fp32"))
    assert np.allclose(same.probabilities(TEXTS), exact.probabilities(TEXTS), atol=1e-4)
    assert same.predict(TEXTS)[0].label == exact.predict(TEXTS)[0].label
    assert same.neighbours(["refund"])[0][0].label == exact.neighbours(["refund"])[0][0].label
    asked = load_predictor(registry, version, settings(registry, "torch"))
    assert isinstance(asked, TextPredictor)


def test_openvino_says_the_same(registry: ModelRegistry) -> None:
    pytest.importorskip("openvino")
    version = registry.get("support")
    prepare_version(registry, version)
    served = load_predictor(registry, version, settings(registry, "openvino"))
    assert isinstance(served.reader, OnnxReader)
    exact = TextPredictor.load(version)
    assert np.allclose(served.probabilities(TEXTS), exact.probabilities(TEXTS), atol=1e-3)


def test_torch_serves_where_every_graph_is_refused(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.compare

    def refusing(kind: str, texts: list[str], reference: Assessment, graph: Assess, **named: float
    ) -> ParityReport:  # fmt: skip
        return real(kind, texts, (reference[0] * 0, *reference[1:]), graph, **named)

    monkeypatch.setattr(building, "compare", refusing)
    version = registry.get("support")
    verdict = prepare_version(registry, version)
    assert verdict is not None
    assert verdict.chosen == "torch"
    assert "int8: against torch" in verdict.reason
    assert "fp32: against torch" in verdict.reason
    served = load_predictor(registry, version, settings(registry))
    assert isinstance(served, TextPredictor)


def test_a_verdict_of_other_files_does_not_count(registry: ModelRegistry) -> None:
    version: ModelVersion = registry.get("support")
    prepare_version(registry, version)
    path = verdict_path(version)
    text = path.read_text(encoding="utf-8")
    manifest = text.split('"manifest": "')[1][:64]
    path.write_text(text.replace(manifest, "0" * 64), encoding="utf-8")
    assert read_verdict(version) is None


def test_graphs_of_a_former_form_serve_until_the_version_is_prepared(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.get("support")
    with monkeypatch.context() as former:
        former.setattr(files, "VERSION_FORMAT", files.VERSION_FORMAT - 1)
        before = prepare_version(registry, version)
    assert before is not None
    served = load_predictor(registry, version, settings(registry))
    assert isinstance(served.reader, OnnxReader)
    assert served.reader.encoder.graph.tokenizer_file.parent.name == before.digest
    after = prepare_version(registry, version)
    assert after is not None
    assert after.digest != before.digest
    assert prepare_version(registry, version) == after
    again = load_predictor(registry, version, settings(registry))
    assert np.abs(again.probabilities(TEXTS) - served.probabilities(TEXTS)).max() < 0.15


def test_words_are_weighed_without_gradients(registry: ModelRegistry) -> None:
    version = registry.get("support")
    prepare_version(registry, version)
    served = load_predictor(registry, version, settings(registry, "fp32"))
    words = explain(served, "please refund my money", "refund")
    assert [word.token for word in words] == ["please", "refund", "my", "money"]
    assert words == explain(served, "please refund my money", "refund")
    reader = served.reader
    assert isinstance(reader, OnnxReader)
    whole = reader.logits_of(reader.embed(["please refund my money"]))[0, 1]
    ids = [2, *[reader.encoder.masked_id] * 4, 3]
    hidden = reader.logits_of(reader.encoder.embed_ids([ids]))[0, 1]
    assert sum(word.weight for word in words) == pytest.approx(whole - hidden, abs=1e-3)
    with pytest.raises(NotFound):
        explain(served, "refund", "weather")
