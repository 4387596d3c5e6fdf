"""Adversarial training: small changes of the embeddings must not change the answer.

Source: Miyato et al., "Adversarial training methods for semi-supervised text classification" (FGM),
2017, arXiv:1605.07725; Jiang et al., "SMART", 2020, arXiv:1911.03437.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class AdversarialSettings(MethodSettings):
    """Fields of ``recipe.adversarial``."""

    kind: Literal["none", "fgm", "smart"] = Field(default="none", description="which training")
    radius: float = Field(default=0.5, gt=0, description="of the change, against the embedding")
    weight: float = Field(default=1.0, ge=0, description="of its loss beside the plain loss")
