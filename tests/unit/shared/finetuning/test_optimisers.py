"""Which optimiser runs where, and a state that a checkpoint gives back."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch

from shared.errors import SettingsError
from shared.finetuning import optimisers
from shared.finetuning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from shared.finetuning.hardware import Hardware
from shared.finetuning.optimisers import make_optimiser, restore_state, state_tensors

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")
GPU = Hardware("cuda", "bf16", "test")


def parameters(seed: int = 0) -> dict[str, torch.nn.Parameter]:
    draw = torch.Generator().manual_seed(seed)
    shapes = {"wide": (4, 3), "bias": (4,), "resting": (2,)}
    return {n: torch.nn.Parameter(torch.randn(s, generator=draw)) for n, s in shapes.items()}


def step(named: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
    for name, parameter in named.items():
        parameter.grad = None if name == "resting" else parameter.detach() + 1.0
    optimiser.step()


class EightBit(torch.optim.Optimizer):
    """As bitsandbytes keeps it: a plain count, bytes, and a table that parameters share."""

    def __init__(self, groups: list[dict[str, object]], betas: tuple[float, float]) -> None:
        super().__init__(groups, {"lr": 0.1, "betas": betas})
        self.table = torch.arange(256, dtype=torch.float32)

    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    state["state1"] = torch.zeros(parameter.shape, dtype=torch.uint8)
                    state["qmap1"] = self.table
                state["step"] += 1
                state["state1"] += 1
                parameter.data -= group["lr"] * parameter.grad / state["step"]


@pytest.fixture
def eight_bit(monkeypatch: pytest.MonkeyPatch) -> type[EightBit]:
    package, module = types.ModuleType("bitsandbytes"), types.ModuleType("bitsandbytes.optim")
    module.AdamW8bit = EightBit  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bitsandbytes", package)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", module)
    monkeypatch.setattr(optimisers, "find_spec", lambda name: name)
    return EightBit


def test_eight_bits_are_refused_on_a_processor(eight_bit: type[EightBit]) -> None:
    with pytest.raises(SettingsError, match="needs a GPU"):
        make_optimiser([{"params": list(parameters().values())}], "adamw_8bit", CPU)


def test_eight_bits_without_the_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisers, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install bitsandbytes"):
        make_optimiser([{"params": list(parameters().values())}], "adamw_8bit", GPU)


def test_eight_bits_come_from_bitsandbytes(eight_bit: type[EightBit]) -> None:
    groups = [{"params": list(parameters().values()), "lr": 0.5}]
    optimiser = make_optimiser(groups, "adamw_8bit", GPU)
    assert isinstance(optimiser, eight_bit)
    assert optimiser.param_groups[0]["lr"] == 0.5


def test_moments_lie_in_memory_as_their_parameter_does() -> None:
    """Fused AdamW reads both from end to end: of another order they would be mixed up."""
    by_column = torch.nn.Parameter(torch.arange(6.0).view(3, 2).T)
    assert not by_column.is_contiguous()
    stored = {"exp_avg/wide": torch.arange(6.0).view(2, 3)}
    optimiser = make_optimiser([{"params": [by_column], "lr": 0.1}], "adamw", CPU)
    restore_state(optimiser, {"wide": by_column}, stored)
    moments = optimiser.state[by_column]["exp_avg"]
    torch.testing.assert_close(moments, stored["exp_avg/wide"])
    assert moments.stride() == by_column.stride()


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit"])
def test_an_optimiser_goes_on_from_its_checkpoint(
    name: optimisers.OptimiserName, eight_bit: type[EightBit], tmp_path: Path
) -> None:
    hardware = CPU if name == "adamw" else GPU
    whole, broken = parameters(), parameters()
    first = make_optimiser([{"params": list(whole.values()), "lr": 0.1}], name, hardware)
    second = make_optimiser([{"params": list(broken.values()), "lr": 0.1}], name, hardware)
    for _ in range(2):
        step(whole, first)
        step(broken, second)
    save_checkpoint(tmp_path, Checkpoint(state_tensors(second, broken), {}))
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert not any(key.endswith("/resting") for key in found.tensors)
    third = make_optimiser([{"params": list(broken.values()), "lr": 0.1}], name, hardware)
    restore_state(third, broken, found.tensors)
    step(whole, first)
    step(broken, third)
    for key, parameter in whole.items():
        torch.testing.assert_close(broken[key], parameter)
        old, new = first.state.get(parameter, {}), third.state.get(broken[key], {})
        assert {k: type(v) for k, v in old.items()} == {k: type(v) for k, v in new.items()}
