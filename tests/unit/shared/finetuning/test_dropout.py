"""Dropout by bytes: right in share and in mean, silent outside of training."""

from __future__ import annotations

import pytest
import torch

from shared.finetuning.dropout import ByteDropout

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_and_mean_are_right(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.ones(999, 301, dtype=dtype)
    dropped = ByteDropout(rate)(values)
    assert dropped.dtype == dtype
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    assert dropped.float().mean().item() == pytest.approx(1.0, abs=0.01)
    assert len(dropped.unique()) == 2


def test_gradients_flow_through_what_was_kept() -> None:
    values = torch.ones(50, 7, requires_grad=True)
    dropped = ByteDropout(0.3)(values)
    dropped.sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(values.grad, dropped.detach())


def test_nothing_is_dropped_outside_of_training() -> None:
    values = torch.randn(10, 10)
    assert ByteDropout(0.5).eval()(values) is values
    assert ByteDropout(0.0)(values) is values


def test_the_seed_decides() -> None:
    layer, values = ByteDropout(0.4), torch.ones(40)
    torch.manual_seed(3)
    first = layer(values)
    second = layer(values)
    torch.manual_seed(3)
    assert torch.equal(layer(values), first)
    assert not torch.equal(first, second)
