"""Distillation: a large teacher, or several, teach the small model that is served.

Source: Hinton et al., "Distilling the knowledge in a neural network", 2015, arXiv:1503.02531.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class DistillationSettings(MethodSettings):
    """Fields of ``recipe.distillation``."""

    seeds: int = Field(default=0, ge=0, le=20, description="teachers trained; 0 is none")
    teachers: tuple[str, ...] = Field(default=(), description="their encoders; by default its own")
    temperature: float = Field(default=2.0, gt=0, description="that softens the teachers' answers")
    weight: float = Field(default=0.7, ge=0, le=1, description="of the teachers beside the labels")
