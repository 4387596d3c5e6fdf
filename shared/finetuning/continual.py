"""Continual learning: new data and classes, old ones replayed and held by distillation.

Source: Rolnick et al., "Experience replay for continual learning", 2019, arXiv:1811.11682; Li and
Hoiem, "Learning without forgetting", 2016, arXiv:1606.09282.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class ContinualSettings(MethodSettings):
    """Fields of ``recipe.continual``."""

    replay: int = Field(default=5, ge=0, description="old examples of each class shown again")
    weight: float = Field(default=1.0, ge=0, description="of agreeing with the old version")
