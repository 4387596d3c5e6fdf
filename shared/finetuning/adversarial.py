"""Adversarial training: small changes of the embeddings must not change the answer.

``fgm`` adds the loss on embeddings that are moved one step up the loss's gradient. ``smart`` adds
how far the answers move apart when embeddings are moved where that divergence grows fastest; it
needs no label. Both move what comes out of the embedding module, so that it may be frozen.

Source: Miyato et al., "Adversarial training methods for semi-supervised text classification" (FGM),
2017, arXiv:1605.07725; Jiang et al., "SMART", 2020, arXiv:1911.03437.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from shared.errors import TrainingError
from shared.finetuning.method_settings import MethodSettings
from shared.finetuning.objectives import Batch, Forward, Objective, consistency_loss

if TYPE_CHECKING:
    import torch

START = 0.1
"""Size of the random change from which SMART ascends, as a share of the radius."""
GRADIENT_SCALE = 1024.0
"""Factor on the loss before its gradient is normalised: keeps fp16 from rounding it to nothing."""


class AdversarialSettings(MethodSettings):
    """Fields of ``recipe.adversarial``."""

    kind: Literal["none", "fgm", "smart"] = Field(default="none", description="which training")
    radius: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="length of the change of a text's embeddings, as a share of their own length",
    )
    weight: float = Field(default=1.0, ge=0, description="of its loss beside the plain loss")


def make_adversarial(
    objective: Objective, settings: AdversarialSettings, embedding_module: torch.nn.Module
) -> Objective:
    """The objective with adversarial changes of what ``embedding_module`` gives, float[b, t, d].

    Random changes come from torch's global generator, which checkpoints hold. ``kind`` "none"
    gives the objective itself.
    """
    if settings.kind == "none":
        return objective
    if settings.kind == "fgm":
        return FastGradient(objective, settings, embedding_module)
    return Smoothness(objective, settings, embedding_module)


@dataclass(frozen=True, slots=True)
class FastGradient:
    """The plain loss, and the plain loss again on embeddings moved up its gradient."""

    plain: Objective
    settings: AdversarialSettings
    embedding: torch.nn.Module

    @property
    def passes(self) -> int:
        """Twice as many as the plain objective."""
        return 2 * self.plain.passes

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """Mean plain loss plus ``weight`` times the mean adversarial one."""
        with _changed(self.embedding, None) as seen:
            loss = self.plain(module, batch)
        changes = _ascents(loss, seen, self.settings.radius)
        with _changed(self.embedding, changes):
            return loss + self.settings.weight * self.plain(module, batch)


@dataclass(frozen=True, slots=True)
class Smoothness:
    """The plain loss, and how much changed embeddings change the answer."""

    plain: Objective
    settings: AdversarialSettings
    embedding: torch.nn.Module

    @property
    def passes(self) -> int:
        """Two more than the plain objective: one to find the change, one to learn from it."""
        return self.plain.passes + 2

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """Mean plain loss plus ``weight`` times half the mean symmetric divergence."""
        answers: list[torch.Tensor] = []

        def recorded(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            answers.append(module(ids, mask))
            return answers[-1]

        loss = self.plain(recorded, batch)
        clean = answers[0][: len(batch.ids)]
        with _changed(self.embedding, None, noise=START * self.settings.radius) as seen:
            moved = consistency_loss(clean.detach(), module(batch.ids, batch.mask))
        changes = _ascents(moved, seen, self.settings.radius)
        with _changed(self.embedding, changes):
            apart = consistency_loss(clean, module(batch.ids, batch.mask))
        return loss + self.settings.weight * apart


@dataclass(slots=True)
class _Seen:
    """Of each call of the embedding module: what came out, and the change to take gradients of."""

    outputs: list[torch.Tensor] = field(default_factory=list)
    changes: list[torch.Tensor] = field(default_factory=list)


@contextmanager
def _changed(
    embedding: torch.nn.Module, changes: Sequence[torch.Tensor] | None, noise: float = 0.0
) -> Iterator[_Seen]:
    """Inside, what the module gives is changed: the n-th call by ``changes[n]``.

    Without changes by a leaf whose gradient can be asked for: zeros, or random directions whose
    length is ``noise`` times that of each token's embedding.
    """
    import torch

    seen = _Seen()

    def hook(_module: torch.nn.Module, _given: Any, output: torch.Tensor) -> torch.Tensor:
        if changes is None:
            change = torch.zeros_like(output, dtype=torch.float32)
            if noise:
                drawn = torch.randn(output.shape).to(output.device)
                size = output.detach().float().norm(dim=-1, keepdim=True)
                change = noise * size * torch.nn.functional.normalize(drawn, dim=-1)
            change.requires_grad_()
        else:
            change = changes[len(seen.outputs)]
        seen.outputs.append(output.detach())
        seen.changes.append(change)
        return output + change.to(output.dtype)

    handle = embedding.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()
    if not seen.outputs:
        raise TrainingError("adversarial training needs a model that calls its embedding module")


def _ascents(loss: torch.Tensor, seen: _Seen, radius: float) -> list[torch.Tensor]:
    """For each call the change [b, t, d] up the loss, ``radius`` times as long as the embeddings.

    Lengths are of a whole text, over the tokens that the loss depends on: padding stays as it is.
    A text whose gradient is nothing, or no number, is not changed.
    """
    import torch

    gradients = torch.autograd.grad(
        loss * GRADIENT_SCALE, seen.changes, retain_graph=True, allow_unused=True
    )
    result = []
    for gradient, output in zip(gradients, seen.outputs, strict=True):
        if gradient is None:
            result.append(torch.zeros_like(output))
            continue
        usable = torch.isfinite(gradient).all(dim=(1, 2), keepdim=True)
        upward = torch.where(usable, gradient, torch.zeros_like(gradient))
        reached = upward.ne(0).any(dim=-1, keepdim=True)
        size = (output.float() * reached).norm(dim=(1, 2), keepdim=True)
        length = upward.norm(dim=(1, 2), keepdim=True).clamp(min=1e-20)
        result.append(radius * size * upward / length)
    return result
