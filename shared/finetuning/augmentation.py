"""Augmentation: texts are read with typing errors, dropped words and other openings.

Source: Wei and Zou, "EDA: easy data augmentation techniques", 2019, arXiv:1901.11196; Karpukhin et
al., "Training on synthetic noise improves robustness to natural noise", 2019, arXiv:1902.01509.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class AugmentationSettings(MethodSettings):
    """Fields of ``recipe.augmentation``."""

    share: float = Field(default=0.0, ge=0, le=1, description="of the texts changed an epoch")
    characters: float = Field(default=0.1, ge=0, le=1, description="share of words mistyped")
    word_drop: float = Field(default=0.1, ge=0, lt=1, description="share of words left out")
