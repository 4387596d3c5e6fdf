"""Noisy labels: what is probably labelled wrongly weighs little or nothing.

Source: Northcutt et al., "Confident learning", 2021, arXiv:1911.00068.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class NoisyLabelSettings(MethodSettings):
    """Fields of ``recipe.noise``."""

    kind: Literal["none", "confident"] = Field(default="none", description="what is done")
    folds: int = Field(default=5, ge=2, le=50, description="that find them")
