"""Training on changed copies: each text is read as it stands and changed, and the answers agree.

``augmentation.share`` alone puts changed texts in the place of plain ones; here both are read in
every step, so that what a clean text means is not forgotten, and the distance of the two answers
is part of the loss. The difference to R-Drop (``recipe.consistency``) is that the second pass reads
other characters, not only other dropout.

Source: Wu et al., "R-Drop", 2021, arXiv:2106.14448 (the loss); Zhuang and Zuccon, "CharacterBERT
and self-teaching for improving the robustness of dense retrievers on queries with typos", 2022,
arXiv:2204.00716 (a text with typing errors is held to the answer of the clean one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.finetuning.batching import TokenisedTexts
from shared.finetuning.objectives import Batch, Forward, Objective, consistency_loss

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class NoisedCopies:
    """The plain loss, on texts and on their changed copies, and how far the answers are apart.

    ``copies`` gives the changed texts of an epoch, one for each training text; ``steps_an_epoch``
    tells the epoch of a step, so that a resumed training reads the same copies.
    """

    plain: Objective
    copies: Callable[[int], TokenisedTexts]
    steps_an_epoch: int
    weight: float
    _held: tuple[int, TokenisedTexts] | None = field(default=None, init=False)

    @property
    def passes(self) -> int:
        """Twice as many as the plain objective."""
        return 2 * self.plain.passes

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """Mean plain loss over both readings, plus ``weight`` times half the mean divergence."""
        ids, mask = (part.to(batch.ids.device) for part in self._copies_at(batch).batch(batch.rows))
        copied = Batch(ids, mask, batch.truth, batch.rows, batch.step, batch.steps)
        loss, answer = self._read(module, batch)
        copied_loss, copied_answer = self._read(module, copied)
        return (loss + copied_loss) / 2 + self.weight * consistency_loss(answer, copied_answer)

    def _read(self, module: Forward, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The plain loss of a batch, and the logits [b, classes] of its first pass."""
        answers: list[torch.Tensor] = []

        def recorded(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            answers.append(module(ids, mask))
            return answers[-1]

        loss = self.plain(recorded, batch)
        return loss, answers[0][: len(batch.truth)]

    def _copies_at(self, batch: Batch) -> TokenisedTexts:
        epoch = batch.step // self.steps_an_epoch
        if self._held is None or self._held[0] != epoch:
            self._held = epoch, self.copies(epoch)
        return self._held[1]
