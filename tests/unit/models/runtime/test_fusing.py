"""Attention in one node says what thirty said; where it would not, the graph stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from models.encoder import TextEncoder
from models.encoder_store import load_encoder
from models.runtime.export import write_float_graph, write_int8_graph
from models.runtime.fusing import ATTENTION, LONGEST_PROBE, fused
from models.runtime.session import open_session
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.unit

LONGEST = 12
TEXTS = ["where is my parcel", "refund", "I want my money back please help", "[order] lost now"]


def batches(known: int = 30) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Ids and masks: two texts of unlike length, and one text alone."""
    ids = np.random.default_rng(0).integers(5, known, (2, 7))
    mask = np.ones_like(ids)
    mask[1, 3:] = 0
    return [(ids, mask), (ids[:1], mask[:1])]


def exported(folder: Path, family: str = "bert") -> tuple[TextEncoder, Any]:
    """A tiny encoder and its graph in 32 bits."""
    encoder = load_encoder(tiny_encoder(folder / "encoder", family), max_length=LONGEST)
    write_float_graph(encoder, folder / "fp32.onnx")
    return encoder, onnx.load(str(folder / "fp32.onnx"))


def kinds(model: Any) -> list[str]:
    """What the nodes do."""
    return [node.op_type for node in model.graph.node]


def vectors(model: Any, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = open_session(model.SerializeToString(), 1).run(
        None, {"input_ids": ids, "attention_mask": mask}
    )[0]
    return found


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_attention_is_one_node_and_says_the_same(tmp_path: Path, family: str) -> None:
    _, model = exported(tmp_path, family)
    layers = kinds(model).count("Softmax")
    made = fused(model, batches(), LONGEST)
    assert made is not model
    assert kinds(made).count(ATTENTION) == layers > 0
    assert "Softmax" not in kinds(made)
    assert len(kinds(made)) < len(kinds(model)) / 2
    random = np.random.default_rng(1)
    for length in (1, 5, LONGEST):
        ids = random.integers(5, 30, (3, length))
        mask = (np.arange(length) < np.array([[length], [1], [max(1, length - 2)]])).astype(int)
        assert np.allclose(vectors(made, ids, mask), vectors(model, ids, mask), atol=1e-5)


def test_a_bias_by_position_keeps_the_graph_as_it_was(tmp_path: Path) -> None:
    _, model = exported(tmp_path, "mpnet")
    assert "Softmax" in kinds(model)
    assert fused(model, batches(), LONGEST) is model


def test_a_causal_mask_keeps_the_graph_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    _, model = exported(tmp_path)
    size = 64
    causal = np.triu(np.full((size, size), -1e9, dtype=np.float32), 1)[None, None]
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    added = next(node for node in model.graph.node if node.output[0] == softmax.input[0])
    nodes = [
        onnx.helper.make_node("Shape", ["input_ids"], ["its_tokens"], start=1, end=2),
        onnx.helper.make_node("Concat", ["its_tokens", "its_tokens"], ["its_square"], axis=0),
        onnx.helper.make_node(
            "Slice", ["causal", "its_start", "its_square", "its_axes"], ["its_mask"]
        ),
        onnx.helper.make_node("Add", [added.input[1], "its_mask"], ["both_masks"]),
    ]
    for name, array in (
        ("causal", causal),
        ("its_start", np.zeros(2, dtype=np.int64)),
        ("its_axes", np.array([2, 3])),
    ):
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    place = list(model.graph.node).index(added)
    added.input[1] = "both_masks"
    for node in reversed(nodes):
        model.graph.node.insert(place, node)
    assert fused(model, batches(), LONGEST) is model
    assert "vectors differ by" in caplog.text


def test_a_length_that_cannot_be_tried_keeps_the_graph_as_it_was(tmp_path: Path) -> None:
    _, model = exported(tmp_path)
    assert fused(model, batches(), LONGEST_PROBE + 1) is model
    assert fused(model, [], LONGEST) is model


def test_a_form_that_was_not_thought_of_keeps_the_graph_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, model = exported(tmp_path)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "renamed"
    assert fused(model, batches(), LONGEST) is model
    assert "left as it was exported" in caplog.text


def test_in_8_bits_attention_takes_its_products_along(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"), max_length=LONGEST)
    with torch.no_grad():
        for weight in encoder.parameters():  # torch's exporter stores equal biases once
            weight.add_(0.02 * torch.randn_like(weight))
    write_float_graph(encoder, tmp_path / "fp32.onnx")
    model = onnx.load(str(tmp_path / "fp32.onnx"))
    write_int8_graph(encoder, tmp_path / "fp32.onnx", tmp_path / "int8.onnx", TEXTS)
    small = onnx.load(str(tmp_path / "int8.onnx"))
    layers = kinds(model).count("Softmax")
    assert kinds(small).count("QAttention") == layers
    assert kinds(small).count("MatMulIntegerToFloat") == 3 * layers
    tokens = encoder.tokenise(TEXTS)
    ids, mask = (part.numpy() for part in tokens.batch(np.arange(len(TEXTS))))
    near, exact = vectors(small, ids, mask), vectors(model, ids, mask)
    assert (near * exact).sum(axis=1).min() > 0.99
