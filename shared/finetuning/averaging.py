"""The average of the weights that training passes through: flatter, and better than the last.

Source: Polyak and Juditsky, 1992; Izmailov et al., "Averaging weights leads to wider optima",
2018. The first updates are a plain mean, which then becomes exponential.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class WeightAverage:
    """A moving average of named parameters; ``apply`` puts it in their place."""

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], decay: float) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.count = 0
        self.values: dict[str, torch.Tensor] = {}

    def update(self) -> None:
        """Take the present weights in, with weight max(1 / count, 1 - decay)."""
        import torch

        self.count += 1
        if not self.values:
            self.values = {name: p.detach().clone() for name, p in self.parameters.items()}
            return
        weight = max(1.0 / self.count, 1.0 - self.decay)
        present = [self.parameters[name].detach() for name in self.values]
        torch._foreach_lerp_(list(self.values.values()), present, weight)

    def apply(self) -> None:
        """Replace the weights by their average; nothing happens before the first update."""
        for name, value in self.values.items():
            self.parameters[name].data.copy_(value)
