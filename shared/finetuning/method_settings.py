"""What the settings of one method are: a frozen group of fields inside the recipe."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _parts(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


LISTED = BeforeValidator(_parts)
"""A field that holds several values is written ``a,b`` in a line of text; nothing is none."""


class MethodSettings(BaseModel):
    """A group of a recipe's fields, such as ``lora.rank``; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
