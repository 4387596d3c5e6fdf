"""Data-parallel training: every process reads its share of each batch, gradients are summed.

A process is a *rank* of a group that torchrun or Ray has formed; without a group there is one rank,
and nothing here costs anything. The gradient is that of the whole batch, so that any number of
ranks takes the same steps but for rounding and for what dropout draws (and for objectives that
compare the texts of a part with each other). Gradients are summed by hand and not by
DistributedDataParallel: objectives call the module several times a step, and layers rest.

Source: Li et al., "PyTorch distributed: experiences on accelerating data parallel training", 2020,
arXiv:2006.15704.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shared.errors import TrainingError

if TYPE_CHECKING:
    import torch


class PartDone(Exception):
    """A rank other than the first has done its part of a training."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of how many processes this one is; they count from 0."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process validates, logs, keeps checkpoints and registers the version."""
        return self.rank == 0

    def leave_rest_to_first(self) -> None:
        """Raise PartDone on all ranks but the first."""
        if not self.first:
            raise PartDone

    def share(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of a batch that this rank computes, every ``size``-th: none where rows are few.

        Rows of a batch stand by length, so that all ranks get texts of like length.
        """
        return rows[self.rank :: self.size]

    def draw_for(self, seed: int, step: int) -> None:
        """Let dropout of this step follow from seed, step and rank, as a resumed run needs it.

        With one rank torch's generator goes on by itself: its state is in the checkpoint.
        """
        if self.size > 1:
            import torch

            words = np.random.SeedSequence((seed, step, self.rank)).generate_state(2, np.uint32)
            torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter], loss: float) -> float:
        """Put the sum of all ranks' gradients in each, in one exchange; the sum of losses back.

        A parameter without a gradient on every rank stays without one. All ranks must have the
        same parameters, and wait for each other here.
        """
        if self.size == 1:
            return loss
        import torch
        import torch.distributed as distributed

        training = [parameter for parameter in parameters if parameter.requires_grad]
        device = training[0].device if training else torch.device("cpu")
        there = [float(parameter.grad is not None) for parameter in training]
        parts = [
            torch.zeros(p.numel(), device=device) if p.grad is None else p.grad.float().flatten()
            for p in training
        ]
        flat = torch.cat([*parts, torch.tensor([*there, loss], device=device)])
        distributed.all_reduce(flat)
        somewhere = flat[-len(training) - 1 : -1].tolist()
        begin = 0
        for parameter, count in zip(training, somewhere, strict=True):
            size = parameter.numel()
            if count:
                summed = flat[begin : begin + size].view_as(parameter)
                parameter.grad = summed.to(parameter.dtype)
            begin += size
        return float(flat[-1])

    def alike(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give all ranks the first one's values, in place: weights before the first step."""
        if self.size > 1:
            import torch.distributed as distributed

            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def agree(self, **figures: int) -> None:
        """TrainingError unless all ranks have the same figures: whatever differs, they would hang.

        A ``step`` differs where the folder of checkpoints is not the same for all.
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as distributed

        own = torch.tensor(list(figures.values()), dtype=torch.int64)
        everyones = [torch.empty_like(own) for _ in range(self.size)]
        if distributed.get_backend() == "nccl":
            own, everyones = own.cuda(), [one.cuda() for one in everyones]
        distributed.all_gather(everyones, own)
        for place, name in enumerate(figures):
            values = [int(one[place]) for one in everyones]
            if len(set(values)) > 1:
                raise TrainingError(
                    f"the workers do not agree on {name} ({values}): they need the same data, the "
                    "same versions of the libraries, and one home (TRIPTYCH_HOME) that all see",
                    **{name: values},
                )

    def of_first(self, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What the first rank computes, given to all; the others wait."""
        if self.size == 1:
            return compute()
        import torch.distributed as distributed

        given = [compute() if self.first else None]
        distributed.broadcast_object_list(given, src=0)
        assert given[0] is not None
        return given[0]


def current_ranks() -> Ranks:
    """The ranks of the group that torch.distributed has formed in this process; one without it."""
    import torch.distributed as distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return Ranks()
    return Ranks(distributed.get_rank(), distributed.get_world_size())
