"""Few-shot contrastive fine-tuning: pairs of one class drawn together, then a head.

Source: Tunstall et al., "Efficient few-shot learning without prompts" (SetFit), 2022,
arXiv:2209.11055.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class ContrastiveSettings(MethodSettings):
    """Fields of ``recipe.contrastive``."""

    pairs: int = Field(default=20, ge=1, description="positive pairs drawn for each text")
    temperature: float = Field(default=0.05, gt=0, description="divides the cosines of a batch")
