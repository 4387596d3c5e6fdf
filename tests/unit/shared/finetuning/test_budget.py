"""Budgets are read, and trainings are timed by a probe that changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder_store import load_encoder
from models.text_classifier import ClassificationHead, TextClassifier
from shared.errors import SettingsError
from shared.finetuning.budget import (
    COST,
    OVERHEAD,
    Estimate,
    Speed,
    measure_speed,
    parse_budget,
    spoken,
)
from shared.finetuning.hardware import Hardware
from shared.finetuning.methods import METHODS
from shared.finetuning.recipe import make_recipe
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("2h", 7200), ("1h30m", 5400), (" 1.5 M ", 90), ("1m 30s", 90)],
)
def test_a_budget_is_read(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "five minutes", "-5m", "5d", "0s", "1e3s", "nan"])
def test_what_is_no_time_is_refused_with_advice(text: str) -> None:
    with pytest.raises(SettingsError, match="90s, 5m"):
        parse_budget(text)


def test_times_are_spoken() -> None:
    assert [spoken(s) for s in (40, 330, 7200)] == ["40 s", "5.5 min", "2 h"]


def test_every_method_has_a_cost() -> None:
    assert set(METHODS) <= set(COST)


def test_an_estimate_counts_reading_and_epochs() -> None:
    estimate = Estimate.of(Speed(training=100, reading=400), 1_000, 200, epochs=4)
    assert estimate.reading == pytest.approx(OVERHEAD * (2 * 1_000 + 2 * 200) / 400)
    assert estimate.epoch == pytest.approx(OVERHEAD * 10)
    assert estimate.seconds("full") == pytest.approx(estimate.reading + 4 * estimate.epoch)
    assert estimate.seconds("head") == estimate.reading


def test_epochs_are_cut_to_the_budget_and_refused_below_a_quarter() -> None:
    estimate = Estimate(reading=10, epoch=10, epochs=8)
    assert estimate.epochs_within("full", 1_000) == 8
    assert estimate.epochs_within("full", 53) == 4.25
    assert estimate.seconds("full", 4.25) <= 53
    assert estimate.epochs_within("full", 29) is None
    assert estimate.epochs_within("head", 11) == 8
    assert estimate.epochs_within("head", 9) is None
    assert Estimate(0, 10, 3).epochs_within("full", 9) is None, "less than an epoch"


def test_the_probe_times_batches_and_leaves_weights_alone(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"))
    head = ClassificationHead(torch.ones(3, encoder.dimensions), torch.zeros(3), 1.0, True)
    module = TextClassifier(encoder, head)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, size=1 + n % 9)) for n in range(90)]
    ticks = iter(np.arange(0.0, 1_000.0, 0.5))
    speed = measure_speed(
        module, encoder.tokenise(texts), make_recipe(batch_size=16),
        Hardware("cpu", "fp32", "test"), probes=3, clock=lambda: float(next(ticks)),
    )  # fmt: skip
    assert speed.training == speed.reading, "each part took the fake clock half a second"
    assert 3 * 16 * 3 / 1.5 <= speed.training <= 3 * 16 * 11 / 1.5
    assert all(parameter.grad is None for parameter in module.parameters())
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_one_text_is_enough_for_the_probe(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "encoder"))
    head = ClassificationHead(torch.ones(2, encoder.dimensions), torch.zeros(2), 1.0, True)
    speed = measure_speed(
        TextClassifier(encoder, head), encoder.tokenise(["money"]), make_recipe(),
        Hardware("cpu", "fp32", "test"),
    )  # fmt: skip
    assert speed.training > 0
    assert speed.reading > 0
