"""One base in memory for many versions: each answers as it does alone, from any thread."""

from __future__ import annotations

import copy
import gc
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.confidence import ConfidenceModel
from models.encoder import TextEncoder
from models.encoder_files import DEFAULT_ENCODER, DEFAULT_SHA256
from models.encoder_store import (
    IN_PROCESS,
    STORED,
    SharedBases,
    load_encoder,
    save_encoder,
    weights_sha256,
)
from models.explanation import explain
from models.head_update import update_head
from models.low_rank_encoder import adapter_tensors, insert_adapters, plain_name
from models.methods.continual import continuing
from models.registry import ModelRegistry, ModelVersion
from models.text_classifier import ClassificationHead, TextClassifier, TextPredictor
from models.text_training import train_text_classifier
from shared.errors import EncoderError, SettingsError
from shared.finetuning.hardware import Hardware
from shared.finetuning.low_rank import LowRankSettings
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Dataset, Example
from tests.fakes.tiny_encoders import FAMILIES, WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = ["where is my parcel", "refund the money please", "hi", "it is a card i want now"]


def adapted(base: Path | str, seed: int, rank: int = 2, max_length: int = 32) -> TextEncoder:
    """The encoder with corrections that are not zero."""
    encoder = load_encoder(base, max_length=max_length)
    insert_adapters(encoder, LowRankSettings(rank=rank), seed=seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in adapter_tensors(encoder.backbone).items():
            if ".lora_B." in name:
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=draw))
    return encoder.eval()


def storages(*encoders: TextEncoder) -> int:
    """Bytes of weights, each memory counted once."""
    found = {}
    for encoder in encoders:
        for tensor in encoder.state_dict().values():
            memory = tensor.untyped_storage()
            found[memory.data_ptr()] = memory.nbytes()
    return sum(found.values())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def ten(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = []
    for number in range(10):
        folders.append(tmp_path_factory.mktemp(f"adapters{number}"))
        save_encoder(adapted(base, number), folders[-1])
    return folders


def test_ten_take_the_memory_of_one_and_their_corrections(base: Path, ten: list[Path]) -> None:
    bases = SharedBases()
    loaded = [bases.load(folder, max_length=32) for folder in ten]
    whole = storages(load_encoder(base))
    corrections = sum(
        t.numel() * t.element_size()
        for encoder in loaded
        for t in adapter_tensors(encoder.backbone).values()
    )
    assert corrections == 10 * 4 * 2 * 2 * (4 * (32 + 32) + 2 * (32 + 64))
    buffers = sum(b.numel() * b.element_size() for e in loaded for b in e.buffers())
    assert storages(*loaded) <= whole + corrections + buffers
    assert len({id(encoder.tokenizer) for encoder in loaded}) == 1
    files = sum(path.stat().st_size for path in ten[0].iterdir())
    assert files < corrections / 10 + 12_000


@pytest.mark.parametrize("family", FAMILIES)
def test_each_answers_as_it_does_alone(family: str, tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base", family)
    bases, before, loaded = SharedBases(), [], []
    for number in range(3):
        encoder = adapted(base, number, rank=2 + number)
        before.append(encoder.embed(TEXTS))
        save_encoder(encoder, tmp_path / str(number))
        loaded.append(bases.load(tmp_path / str(number), max_length=32))
    for vectors, encoder in zip(before, loaded, strict=True):
        np.testing.assert_array_equal(encoder.embed(TEXTS), vectors)
    assert not np.allclose(before[0], before[1], atol=1e-3)
    parts = zip(*(e.backbone.parameters() for e in loaded), strict=False)
    assert any(len({p.data_ptr() for p in same}) == 1 for same in parts)


def test_threads_answer_at_once(ten: list[Path]) -> None:
    bases = SharedBases()
    alone = [SharedBases().load(folder, max_length=32).embed(TEXTS) for folder in ten]
    start = threading.Barrier(10)

    def serve(number: int) -> bool:
        start.wait()
        encoder = bases.load(ten[number], max_length=32)
        return all(np.array_equal(encoder.embed(TEXTS), alone[number]) for _ in range(20))

    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(serve, range(10)))


def test_lengths_do_not_disturb_one_another(ten: list[Path]) -> None:
    bases = SharedBases()
    long, short = (bases.load(ten[0], max_length=length) for length in (32, 6))
    text = " ".join(WORDS)
    cut = [int(e.tokenise([text]).lengths[0]) for e in (long, short, long)]
    assert cut == [32, 6, 32]
    assert long.tokenizer is not short.tokenizer
    before = long.embed([text])
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda e: e.embed([text] * 8), [long, short] * 20))
    for vectors in found[::2]:
        np.testing.assert_allclose(vectors[:1], before, atol=1e-6)


def test_an_explanation_reads_through_corrections(ten: list[Path]) -> None:
    encoder = SharedBases().load(ten[0], max_length=32)
    head = ClassificationHead(torch.randn(2, encoder.dimensions), torch.zeros(2), 10.0, True)
    confidence = ConfidenceModel(1.0, 0.0, 1.0, 0.0, 1.0, (0.0, 1.0), None)
    predictor = TextPredictor(
        "v", {}, TextClassifier(encoder, head), ("a", "b"), confidence, [],
        np.zeros((0, encoder.dimensions), dtype=np.float32), 0.5, 0.02,
    )  # fmt: skip
    words = explain(predictor, "where is my parcel", "a", steps=8)
    assert [word.token for word in words] == ["where", "is", "my", "parcel"]
    assert any(abs(word.weight) > 1e-6 for word in words)


def test_a_base_goes_with_its_last_version(ten: list[Path]) -> None:
    bases = SharedBases()
    encoders = [bases.load(folder, max_length=32) for folder in ten[:2]]
    assert len(bases._bases) == 1
    encoders.pop()
    gc.collect()
    assert len(bases._bases) == 1
    encoders.clear()
    gc.collect()
    assert len(bases._bases) == 0


def test_on_a_device_the_base_is_there_once(ten: list[Path]) -> None:
    bases = SharedBases()
    first, second, third = (bases.load(folder, max_length=32) for folder in ten[:3])
    for encoder in (first, second):
        bases.place(encoder, "meta")
        encoder.to("meta")
    assert {p.device.type for p in first.parameters()} == {"meta"}
    assert {p.device.type for p in third.parameters()} == {"cpu"}, "others stay where they are"
    assert list(bases._sharing[first].weights) == ["meta"], "copied once for both"
    copied = bases._sharing[first].on("meta")
    own = dict(second.backbone.named_parameters())
    assert {plain_name(n) for n in own if ".lora_" not in n} == set(copied)
    plain = load_encoder(first.name)
    bases.place(plain, "meta")
    assert {p.device.type for p in plain.parameters()} == {"cpu"}, "it shares none"


def test_a_missing_base_is_named(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base")
    encoder = adapted(base, 1)
    save_encoder(encoder, tmp_path / "adapters")
    shutil.rmtree(base)
    with pytest.raises(EncoderError, match=r"need their base .*base'.*cannot be loaded") as caught:
        SharedBases().load(tmp_path / "adapters", max_length=32)
    assert caught.value.details["encoder"] == str(base.resolve())
    save_encoder(encoder, tmp_path / "whole")
    assert (tmp_path / "whole" / STORED / "model.safetensors").is_file(), "gone: kept whole"
    np.testing.assert_array_equal(
        SharedBases().load(tmp_path / "whole", max_length=32).embed(TEXTS), encoder.embed(TEXTS)
    )


def test_another_base_is_refused(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base")
    save_encoder(adapted(base, 1), tmp_path / "adapters")
    bases = SharedBases()
    there = bases.load(tmp_path / "adapters", max_length=32)
    wanted = weights_sha256(str(base))
    tiny_encoder(base, seed=7)
    with pytest.raises(EncoderError, match="there they have") as caught:
        SharedBases().load(tmp_path / "adapters", max_length=32)
    assert caught.value.details["wanted"] == wanted
    assert caught.value.details["found"] == weights_sha256(str(base)) != wanted
    again = bases.load(tmp_path / "adapters", max_length=32)
    np.testing.assert_array_equal(again.embed(TEXTS), there.embed(TEXTS))
    tiny_encoder(base, "distilbert")
    adapters = json.loads((tmp_path / "adapters" / "base.json").read_text())
    adapters["sha256"] = weights_sha256(str(base))
    (tmp_path / "adapters" / "base.json").write_text(json.dumps(adapters))
    with pytest.raises(EncoderError, match="do not fit"):
        SharedBases().load(tmp_path / "adapters", max_length=32)


def test_a_changed_base_is_stored_whole(base: Path, tmp_path: Path) -> None:
    encoder = load_encoder(base, max_length=32)
    with torch.no_grad():
        encoder.layers[0].output.dense.weight.mul_(1.5)
    insert_adapters(encoder, LowRankSettings(rank=2), seed=3)
    vectors = encoder.eval().embed(TEXTS)
    save_encoder(encoder, tmp_path / "first")
    stored = json.loads((tmp_path / "first" / "base.json").read_text())
    assert (stored["name"], stored["stored"]) == (STORED, True)
    assert stored["sha256"] == weights_sha256(str(tmp_path / "first" / STORED))
    shutil.move(tmp_path / "first", tmp_path / "moved")
    loaded = IN_PROCESS.load(tmp_path / "moved", max_length=32)
    np.testing.assert_array_equal(loaded.embed(TEXTS), vectors)
    save_encoder(loaded, tmp_path / "again")
    shutil.rmtree(tmp_path / "moved")
    again = SharedBases().load(tmp_path / "again", max_length=32)
    np.testing.assert_array_equal(again.embed(TEXTS), vectors)


def test_marked_spans_are_pooled_again(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base", words=[*WORDS, "[", "]"])
    encoder = adapted(base, 1)
    plain = encoder.embed(["my [ parcel ] is late"])
    encoder.pool_marked_spans()
    marked = encoder.embed(["my [ parcel ] is late"])
    assert not np.allclose(plain, marked, atol=1e-3)
    save_encoder(encoder, tmp_path / "adapters")
    loaded = SharedBases().load(tmp_path / "adapters", max_length=32)
    np.testing.assert_array_equal(loaded.embed(["my [ parcel ] is late"]), marked)


def test_sums_are_of_files(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights_sha256(DEFAULT_ENCODER) == DEFAULT_SHA256
    whole = weights_sha256(str(base))
    parts = tmp_path / "parts"
    shutil.copytree(base, parts)
    (parts / "model.safetensors").rename(parts / "model-00001-of-00002.safetensors")
    assert weights_sha256(str(parts)) == whole
    (parts / "model-00002-of-00002.safetensors").write_bytes(b"more")
    assert weights_sha256(str(parts)) not in (whole, DEFAULT_SHA256)
    with pytest.raises(EncoderError, match="no safetensors"):
        weights_sha256(str(tmp_path))
    with pytest.raises(EncoderError, match="not found"):
        weights_sha256("nobody/has-this-encoder")
    snapshot = tmp_path / "hub" / "models--some--encoder" / "snapshots" / ("0" * 40)
    shutil.copytree(base, snapshot)
    (tmp_path / "hub" / "models--some--encoder" / "refs").mkdir()
    (tmp_path / "hub" / "models--some--encoder" / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert weights_sha256("some/encoder") == whole
    named = adapted("some/encoder", 1)
    save_encoder(named, tmp_path / "adapters")
    stored = json.loads((tmp_path / "adapters" / "base.json").read_text())
    assert (stored["name"], stored["sha256"]) == ("some/encoder", whole)
    loaded = SharedBases().load(tmp_path / "adapters", max_length=32)
    np.testing.assert_array_equal(loaded.embed(TEXTS), named.embed(TEXTS))


def test_a_relative_folder_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_encoder(tmp_path / "here" / "base")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    encoder = adapted(Path("base"), 1)
    save_encoder(encoder, tmp_path / "adapters")
    monkeypatch.chdir(tmp_path / "there")
    loaded = IN_PROCESS.load(tmp_path / "adapters", max_length=32)
    np.testing.assert_array_equal(loaded.embed(TEXTS), encoder.embed(TEXTS))


def version_of(
    registry: ModelRegistry, app: str, base: Path, seed: int, **more: Any
) -> ModelVersion:
    draw = np.random.default_rng(seed)
    examples = tuple(
        Example(" ".join([*draw.choice(WORDS[18:], size=4), cue]), label)
        for label, cue in (("refund", "refund"), ("tracking", "parcel"))
        for _ in range(20)
    )
    fields = {"epochs": 2, "batch_size": 16, "learning_rate": 5e-3, "lora.rank": 2, **more}
    return train_text_classifier(
        Dataset(f"tiny {seed}", examples), app=app,
        recipe=make_recipe(method="lora", **fields), encoder=str(base), registry=registry, now=NOW,
        report=SilentProgress(), seed=seed, device="cpu",
        unlabelled=["where is my order", "thanks it is late"] if "domain.epochs" in more else (),
    ).version  # fmt: skip


def test_apps_of_one_process_share_a_base(base: Path, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    versions = [version_of(registry, app, base, n) for n, app in enumerate(("support", "finance"))]
    support, finance = (TextPredictor.load(version) for version in versions)
    query = "encoder.layer.0.attention.self.query"
    weights = [
        p.encoder.backbone.get_submodule(query).base_layer.weight for p in (support, finance)
    ]
    assert weights[0].data_ptr() == weights[1].data_ptr()
    for predictor in (support, finance):
        before = predictor.probabilities(TEXTS)
        predictor.run_on(CPU)
        np.testing.assert_array_equal(predictor.probabilities(TEXTS), before)
    now = [p.encoder.backbone.get_submodule(query).base_layer.weight for p in (support, finance)]
    assert now[0].data_ptr() == now[1].data_ptr() == weights[0].data_ptr()
    assert finance.encoder in IN_PROCESS._sharing
    mine = copy.deepcopy(support.encoder)
    assert mine not in IN_PROCESS._sharing, "a copy has weights of its own"
    assert mine.backbone.get_submodule(query).base_layer.weight.data_ptr() != now[0].data_ptr()


def test_a_new_class_is_added_to_adapters(base: Path, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    version = version_of(registry, "support", base, 0)
    new = [Example(f"the shop is open {word}", "hours") for word in WORDS[20:26]]
    updated = update_head(registry, version, new, now=NOW)
    assert not (updated.folder / "encoder" / STORED).exists()
    predictor = TextPredictor.load(updated)
    assert predictor.labels == ("hours", "refund", "tracking")
    with pytest.raises(SettingsError, match="shared encoder"):
        continuing(make_recipe(), predictor)
    np.testing.assert_array_equal(predictor.embed(TEXTS), TextPredictor.load(version).embed(TEXTS))


def test_a_pretrained_base_is_stored_with_its_version(base: Path, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    version = version_of(registry, "support", base, 0, **{"domain.epochs": 1.0})
    assert (version.folder / "encoder" / STORED / "model.safetensors").is_file()
    predictor = TextPredictor.load(version)
    alone = SharedBases().load(version.folder / "encoder", max_length=128)
    np.testing.assert_array_equal(predictor.embed(TEXTS), alone.embed(TEXTS))
    registry.verify(version)
