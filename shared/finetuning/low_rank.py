"""Low-rank adapters: a small correction is trained beside each frozen matrix.

Source: Hu et al., "LoRA: low-rank adaptation of large language models", 2021, arXiv:2106.09685.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class LowRankSettings(MethodSettings):
    """Fields of ``recipe.lora``."""

    rank: int = Field(default=16, ge=1, le=256, description="of each correction")
    alpha: float = Field(default=32.0, gt=0, description="the correction is scaled by alpha / rank")
    targets: str = Field(default="all-linear", description="which matrices are corrected")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the correction")
    learning_rate: float = Field(default=1e-3, gt=0, description="peak, of the corrections")
