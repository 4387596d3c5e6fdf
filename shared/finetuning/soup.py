"""A soup: trainings of one model by several seeds, whose weights are averaged.

Trainings that start from one set of weights end in one valley of the loss, whatever order they read
the texts in; the mean of their weights lies lower in it than each of them. It is about as often
right as all of them together would be, and is served for the price of one. Source: Wortsman et al.,
"Model soups", 2022, arXiv:2203.05482.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from shared.finetuning.method_settings import MethodSettings

if TYPE_CHECKING:
    import torch


class SoupSettings(MethodSettings):
    """Fields of ``recipe.soup``."""

    members: int = Field(
        default=1, ge=1, le=20, description="trainings of other seeds whose weights are averaged"
    )


def member_seed(seed: int, number: int) -> int:
    """The seed of the training of that number: no two trainings of two seeds share one."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


class MeanWeights:
    """The mean of states that come one after another; only their sum is held."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: dict[str, torch.Tensor] = {}

    def add(self, state: Mapping[str, torch.Tensor]) -> None:
        """One more state; of what is no float (numbers of positions) the first one's stands."""
        self._count += 1
        for name, tensor in state.items():
            if name not in self._sum:
                self._sum[name] = tensor.detach().clone()
            elif tensor.is_floating_point():
                self._sum[name] += tensor.detach().to(self._sum[name].device)

    @property
    def mean(self) -> dict[str, torch.Tensor]:
        """By name, as ``load_state_dict`` takes it. ValueError where there was no state."""
        if not self._count:
            raise ValueError("there is no state to average")
        return {
            name: total / self._count if total.is_floating_point() else total
            for name, total in self._sum.items()
        }
