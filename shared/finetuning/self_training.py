"""Self-training: unlabelled texts join with the labels that the model itself is sure of.

Source: Xie et al., "Self-training with noisy student", 2020, arXiv:1911.04252; Sohn et al.,
"FixMatch", 2020, arXiv:2001.07685.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class SelfTrainingSettings(MethodSettings):
    """Fields of ``recipe.self_training``."""

    rounds: int = Field(default=0, ge=0, le=10, description="of labelling; 0 is never")
    confidence: float = Field(default=0.8, gt=0, lt=1, description="least probability of a label")
