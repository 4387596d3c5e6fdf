"""Low-rank adapters: a small correction is trained beside each frozen matrix.

Source: Hu et al., "LoRA: low-rank adaptation of large language models", 2021, arXiv:2106.09685.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings

Targets = Literal["all-linear", "attention"]


class LowRankSettings(MethodSettings):
    """Fields of ``recipe.lora``; the rate of the corrections is the recipe's ``learning_rate``."""

    rank: int = Field(default=16, ge=1, le=256, description="of each correction")
    alpha: float = Field(default=32.0, gt=0, description="the correction is scaled by alpha / rank")
    targets: Targets = Field(
        default="all-linear", description="which matrices of the layers are corrected"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the correction")
