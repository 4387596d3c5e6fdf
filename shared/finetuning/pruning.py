"""Structured pruning: whole layers and attention heads go, and the rest recovers.

Source: Michel et al., "Are sixteen heads really better than one?", 2019, arXiv:1905.10650; Sajjad
et al., "On the effect of dropping layers of pre-trained transformer models", 2023,
arXiv:2004.03844.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class PruningSettings(MethodSettings):
    """Fields of ``recipe.pruning``."""

    layers: int = Field(default=0, ge=0, description="layers kept; 0 keeps all")
    heads: float = Field(default=0.0, ge=0, lt=1, description="share of attention heads dropped")
