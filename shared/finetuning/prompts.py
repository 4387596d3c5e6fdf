"""Prompt learning: a cloze template with a verbaliser, and soft prompts.

A cloze makes a sentence with a gap of a text, and the words that fit the gap say the class: what a
masked-language model knows of words is used. A soft prompt is nothing but trained vectors before
the text, while the encoder rests.

Source: Schick and Schütze, "Exploiting cloze questions for few-shot text classification" (PET),
2021, arXiv:2001.07676; Lester et al., "The power of scale for parameter-efficient prompt tuning",
2021, arXiv:2104.08691.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from shared.errors import SettingsError
from shared.finetuning.method_settings import MethodSettings


class PromptSettings(MethodSettings):
    """Fields of ``recipe.prompt``."""

    template: str = Field(
        default="{text} This is about {mask}.", description="the cloze; holds {text} and {mask}"
    )
    pretraining: float = Field(
        default=5.0,
        ge=0,
        le=1_000,
        description="epochs of masked-language training where an encoder has no such head",
    )
    words: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the words in a cloze's first class vectors; the rest is fitted",
    )
    tokens: int = Field(default=5, ge=1, le=200, description="trained vectors of a soft prompt")

    @field_validator("template")
    @classmethod
    def _whole(cls, template: str) -> str:
        try:
            split_template(template)
        except SettingsError as error:
            raise ValueError(error.message) from error
        return template


def split_template(template: str) -> tuple[str, str]:
    """What stands before the text, and what behind; SettingsError unless there is one gap."""
    if template.count("{text}") != 1 or template.count("{mask}") != 1:
        raise SettingsError(
            f"the template {template!r} must hold {{text}} once and {{mask}} once: "
            "'{text} This is about {mask}.'"
        )
    before, after = template.split("{text}")
    return before, after


def verbalise(
    words: Sequence[Sequence[int]], embeddings: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Class vectors float32 [k, d]: the mean embedding of each class's words, seen from the centre.

    ``words`` holds the token ids of each class (one at least), ``embeddings`` float32 [v, d] are
    those of the vocabulary, whose mean all share. Unit length.
    """
    centre = embeddings.mean(axis=0)
    rows = np.stack([embeddings[list(ids)].mean(axis=0) for ids in words]) - centre
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(rows / lengths, dtype=np.float32)
