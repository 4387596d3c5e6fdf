"""What of a classifier trains, and at which rate: from the top layer downwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from models.encoder_store import load_encoder
from models.text_classifier import ClassificationHead, TextClassifier
from shared.finetuning.recipe import make_recipe
from tests.fakes.tiny_encoders import FAMILIES, tiny_encoder

pytestmark = pytest.mark.unit


def rates(folder: Path, **fields: Any) -> tuple[dict[str, float], TextClassifier]:
    """The rate of each parameter that trains, by name."""
    encoder = load_encoder(folder)
    head = ClassificationHead(torch.randn(3, encoder.dimensions), torch.zeros(3), 10.0, True)
    classifier = TextClassifier(encoder, head)
    groups = classifier.parameter_groups(
        make_recipe(learning_rate=1.0, head_learning_rate=7.0, **fields)
    )
    names = {id(parameter): name for name, parameter in classifier.named_parameters()}
    found: dict[str, float] = {}
    for group in groups:
        for parameter in group["params"]:  # type: ignore[attr-defined]
            name = names[id(parameter)]
            assert name not in found, "no parameter is in two groups"
            found[name] = float(group["lr"])  # type: ignore[arg-type]
    return found, classifier


@pytest.mark.parametrize("family", FAMILIES)
def test_each_layer_learns_slower_than_the_one_above(tmp_path: Path, family: str) -> None:
    folder = tiny_encoder(tmp_path / "encoder", family)
    found, classifier = rates(folder, layer_decay=0.5, train_embeddings=True)
    assert found["head.weight"] == 7.0
    layers = classifier.encoder.layers
    for number, layer in enumerate(layers):
        path = next(n for n, m in classifier.named_modules() if m is layer)
        own = {rate for name, rate in found.items() if name.startswith(f"{path}.")}
        assert own == {0.5 ** (len(layers) - 1 - number)}
    below = {id(parameter) for parameter in classifier.encoder.embedding.parameters()}
    named = dict(classifier.named_parameters())
    assert {rate for name, rate in found.items() if id(named[name]) in below} == {0.25}
    assert set(found) == {n for n, p in named.items() if p.requires_grad}


@pytest.mark.parametrize("fields", [{}, {"frozen_layers": 1}, {"train_embeddings": True}])
def test_the_same_trains_at_whatever_rate(tmp_path: Path, fields: dict[str, Any]) -> None:
    folder = tiny_encoder(tmp_path / "encoder")
    alike, _ = rates(folder, **fields)
    slower, _ = rates(folder, layer_decay=0.9, **fields)
    assert set(alike) == set(slower)
    assert {rate for name, rate in alike.items() if name != "head.weight"} == {1.0}
