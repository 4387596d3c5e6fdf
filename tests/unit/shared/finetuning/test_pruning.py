"""Which layers and heads stay."""

from __future__ import annotations

import numpy as np
import pytest

from shared.finetuning.pruning import cost_table, needed_heads, needed_layers, spread_layers

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("depth", [1, 2, 6, 12])
def test_spread_layers_reach_from_bottom_to_top(depth: int) -> None:
    for kept in range(1, depth + 1):
        layers = spread_layers(depth, kept)
        assert len(set(layers)) == kept
        assert list(layers) == sorted(layers)
        assert layers[0] == 0
        assert kept == 1 or layers[-1] == depth - 1
    with pytest.raises(ValueError, match="cannot be kept"):
        spread_layers(depth, depth + 1)


def test_the_layers_that_are_missed_least_go_first() -> None:
    worth = [0.0, 5.0, 1.0, 4.0, 2.0]

    def loss_with(layers: tuple[int, ...]) -> float:
        return -sum(worth[n] for n in layers)

    assert needed_layers(5, 3, loss_with) == (0, 1, 3)
    assert needed_layers(5, 1, loss_with) == (0,)
    with pytest.raises(ValueError, match="cannot be kept"):
        needed_layers(5, 0, loss_with)


def test_heads_go_by_importance_and_no_layer_is_left_without() -> None:
    importance = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([100.0, 0.1, 0.2, 90.0])]
    kept = needed_heads(importance, 0.5)
    assert sum(len(heads) for heads in kept) == 4
    assert kept[1].tolist() == [0, 3]
    assert kept[0].tolist() == [2, 3]
    assert [len(heads) for heads in needed_heads(importance, 0.99)] == [1, 1]
    assert [len(heads) for heads in needed_heads(importance, 0.0)] == [4, 4]


def test_the_table_tells_cost_and_gain() -> None:
    whole = {
        "layers": 6, "heads": 72, "parameters": 22_000_000, "accuracy": 0.9, "loss": 0.4,
        "texts_per_second": 500.0,
    }  # fmt: skip
    pruned = {**whole, "layers": 4, "accuracy": 0.885, "texts_per_second": 750.0}
    text = "\n".join(cost_table(whole, pruned))
    assert "-1.50 points" in text
    assert "1.50 times" in text
    assert "-33 %" in text
