"""An encoder's graph says what torch says, whatever the family, the prompt and the batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder import TextEncoder
from models.encoder_store import load_encoder
from models.prompt import SoftPrompt
from models.runtime.export import write_graphs
from models.runtime.files import EncoderRuntime, digest_of_folder, make_runtime
from models.runtime.session import LoadedGraphs, OnnxEncoder
from shared.errors import ManifestMismatch
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit

TEXTS = ["where is my parcel", "refund", "I want my money back please help", "", "[order] lost now"]


def made(root: Path, encoder: TextEncoder, name: str = "0" * 64) -> EncoderRuntime:
    """Its graphs in a folder of versions."""
    return make_runtime(root, name, lambda folder: write_graphs(encoder, folder, TEXTS))


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "mpnet"])
def test_graphs_agree_with_torch(tmp_path: Path, family: str) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder", family), max_length=12)
    runtime = made(tmp_path, encoder)
    assert runtime.failure is None
    graphs = LoadedGraphs()
    exact = OnnxEncoder(graphs.get(runtime, "fp32", 1), "tiny")
    assert np.allclose(exact.embed(TEXTS), encoder.embed(TEXTS), atol=1e-5)
    near = OnnxEncoder(graphs.get(runtime, "int8", 1), "tiny")
    cosines = (near.embed(TEXTS) * encoder.embed(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.98


def test_an_int8_answer_is_the_same_in_any_batch(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=12)
    near = OnnxEncoder(LoadedGraphs().get(made(tmp_path, encoder), "int8", 1), "tiny")
    together = near.embed(TEXTS)
    for row, text in enumerate(TEXTS):
        assert np.allclose(near.embed([text])[0], together[row], atol=1e-5)


def test_prompts_are_in_the_graph(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=12)
    plain = encoder.embed(TEXTS)
    encoder.attach(SoftPrompt(torch.randn(3, 32)))
    runtime = made(tmp_path, encoder)
    assert runtime.failure is None
    exact = OnnxEncoder(LoadedGraphs().get(runtime, "fp32", 1), "tiny")
    assert np.allclose(exact.embed(TEXTS), encoder.embed(TEXTS), atol=1e-5)
    assert not np.allclose(exact.embed(TEXTS), plain, atol=1e-3)


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=12)
    encoder.tokenizer.truncation_side = "left"
    runtime = made(tmp_path, encoder)
    assert runtime.failure is not None
    assert "start" in runtime.failure
    assert not list(runtime.folder.glob("*.onnx"))


def test_a_changed_graph_is_not_loaded(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=12)
    runtime = made(tmp_path, encoder)
    with runtime.graph("int8").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ManifestMismatch, match="not as it was made"):
        LoadedGraphs().get(runtime, "int8", 1)


def test_a_graph_is_in_memory_once(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=12)
    runtime, graphs = made(tmp_path, encoder), LoadedGraphs()
    assert graphs.get(runtime, "fp32", 1) is graphs.get(runtime, "fp32", 1)


def test_serving_from_graphs_imports_no_torch(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "encoder")
    encoder = load_encoder(folder)
    make_runtime(
        tmp_path / "models",
        digest_of_folder(folder),
        lambda place: write_graphs(encoder, place),
    )
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "import apps.api, models.runtime.serving as serving\n"
        "from shared.settings import Settings\n"
        f"settings = Settings(home=Path({str(tmp_path)!r}), device='cpu')\n"
        f"encoder = serving.shared_encoder(settings, {str(folder)!r})\n"
        f"assert serving.shared_encoder(settings, {str(folder)!r}) is encoder\n"
        "vectors = encoder.embed(['my parcel', 'refund'])\n"
        "print(json.dumps([vectors.tolist(), 'torch' in sys.modules,"
        " 'transformers' in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    vectors, torch_there, transformers_there = json.loads(done.stdout)
    assert not torch_there
    assert not transformers_there
    assert np.allclose(vectors, encoder.embed(["my parcel", "refund"]), atol=1e-5)
