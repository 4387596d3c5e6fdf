"""Prompt learning: a cloze template with a verbaliser, and soft prompts.

Source: Schick and Schütze, "Exploiting cloze questions for few-shot text classification" (PET),
2021, arXiv:2001.07676; Lester et al., "The power of scale for parameter-efficient prompt tuning",
2021, arXiv:2104.08691.
"""

from __future__ import annotations

from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class PromptSettings(MethodSettings):
    """Fields of ``recipe.prompt``."""

    template: str = Field(
        default="{text} This is about {mask}.", description="the cloze; holds {text} and {mask}"
    )
    tokens: int = Field(default=20, ge=1, le=200, description="trained vectors of a soft prompt")
