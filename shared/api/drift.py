"""The shapes of ``/v1/drift``: what apps read now against what their versions were made of."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.api.shapes import Shape


class DriftSignal(Shape):
    """One comparison. It tells drift where ``effect`` is above ``floor`` and beyond chance."""

    name: str = Field(examples=["labels"])
    value: float = Field(description="what was measured")
    by_chance: float = Field(description="what no change at all would measure")
    effect: float = Field(description="how large the change is beyond chance")
    floor: float = Field(description="the least effect that matters")
    p_value: float = Field(ge=0, le=1, description="adjusted for the other signals of the check")
    drifted: bool
    words: str = Field(description="what was found, for people")
    advice: str = Field(description="what to do where it tells drift")


class DriftCheck(Shape):
    """One comparison of an app; without signals there were too few readings."""

    version: str
    at: datetime
    verdict: str = Field(description="too few readings, stable or drift")
    reference: int = Field(description="readings of what the version was made of")
    live: int = Field(description="readings of what came lately")
    signals: list[DriftSignal]


class AppDrift(Shape):
    """How an app stands."""

    app: str
    version: str | None = Field(description="in use now; None where none is")
    readings: int | None = Field(
        description="kept of this version so far; None for the recommender, whose events are read"
    )
    needed: int = Field(description="readings that a comparison needs on either side")
    every_hours: float | None = Field(description="between two checks; None: none by themselves")
    checks: list[DriftCheck] = Field(description="oldest first; the last one is how it stands")


class DriftOverview(Shape):
    """All apps that a key may see."""

    apps: list[AppDrift]
