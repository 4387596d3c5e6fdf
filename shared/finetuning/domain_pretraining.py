"""Continued masked-language training on the user's own text, before anything is fine-tuned.

Source: Gururangan et al., "Don't stop pretraining", 2020, arXiv:2004.10964.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class DomainSettings(MethodSettings):
    """Fields of ``recipe.domain``."""

    epochs: float = Field(default=0.0, ge=0, le=1_000, description="over the texts; 0 is never")
    masked: float = Field(default=0.15, gt=0, lt=1, description="share of tokens to be guessed")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak")
