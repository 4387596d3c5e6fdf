"""Distillation: a large teacher, or several, teach the small model that is served.

Source: Hinton et al., "Distilling the knowledge in a neural network", 2015, arXiv:1503.02531.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.errors import TrainingError
from shared.finetuning.method_settings import LISTED, MethodSettings
from shared.finetuning.objectives import Batch, Forward, Objective

if TYPE_CHECKING:
    import torch


class DistillationSettings(MethodSettings):
    """Fields of ``recipe.distillation``."""

    seeds: int = Field(
        default=0, ge=0, le=20, description="teachers trained of each encoder; 0 is none"
    )
    teachers: Annotated[tuple[str, ...], LISTED] = Field(
        default=(), description="their encoders; by default its own"
    )
    temperature: float = Field(default=2.0, gt=0, description="that softens the teachers' answers")
    weight: float = Field(default=0.7, ge=0, le=1, description="of the teachers beside the labels")


MOST_ANSWERS = 50_000_000
"""Texts times classes of which a teacher's answers are held, several times over, in memory."""


def answers_fit(texts: int, classes: int) -> bool:
    """Whether memory is sure to hold what a teacher says of so many texts."""
    return texts * classes <= MOST_ANSWERS


def check_answers(texts: int, classes: int) -> None:
    """TrainingError where ``answers_fit`` says no."""
    if not answers_fit(texts, classes):
        raise TrainingError(
            f"a teacher's answers on {texts:,} texts of {classes:,} classes are more than memory "
            f"should hold ({MOST_ANSWERS:,}): give fewer texts, or train by the method full",
            texts=texts,
            classes=classes,
        )


def softened(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities float32[n, k] of logits [n, k] at this temperature (above 0)."""
    values = logits / np.float32(temperature)
    values = np.exp(values - values.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = values / values.sum(axis=1, keepdims=True)
    return result


@dataclass(frozen=True, slots=True)
class Taught:
    """The labels' own loss beside agreement with answers that stand.

    ``answers`` float32[n, m] are probabilities at ``temperature``, by row of the training data;
    they speak about the classes at ``columns`` int64[m] of the student's k, or about all of them.
    The loss is ``label_weight`` * labels + ``teacher_weight`` * temperature^2 * KL(answers ||
    student): the square keeps the gradient's size whatever the temperature.
    """

    labels: Objective
    answers: NDArray[np.float32]
    columns: NDArray[np.int64] | None = None
    temperature: float = 2.0
    label_weight: float = 0.3
    teacher_weight: float = 0.7

    @property
    def passes(self) -> int:
        """Those of the labels' loss: the answers are compared with the same passes."""
        return self.labels.passes

    def __call__(self, module: Forward, batch: Batch) -> torch.Tensor:
        """The mean loss of the part."""
        import torch
        from torch.nn import functional

        seen: list[torch.Tensor] = []

        def recorded(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            logits = module(ids, mask)
            seen.append(logits)
            return logits

        own = self.labels(recorded, batch)
        logits = seen[0].float()
        if self.columns is not None:
            logits = logits[:, torch.from_numpy(self.columns).to(logits.device)]
        target = torch.from_numpy(self.answers[batch.rows]).to(logits.device)
        target = target.repeat(len(logits) // len(target), 1)
        student = functional.log_softmax(logits / self.temperature, dim=-1)
        taught = functional.kl_div(student, target, reduction="batchmean")
        return self.label_weight * own + self.teacher_weight * self.temperature**2 * taught
