"""What the settings of one method are: a frozen group of fields inside the recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class MethodSettings(BaseModel):
    """A group of a recipe's fields, such as ``lora.rank``; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
