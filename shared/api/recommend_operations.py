"""The shapes of ``/v1/recommend``: bundles, the fit behind them, and experiments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.api.recommend import Id, Share
from shared.api.shapes import Name, Shape

RefitState = Literal["idle", "waiting", "running", "failed"]


class SignedRequest(Shape):
    """Who does it."""

    author: Name


# Bundles


class BundleShape(Shape):
    """A fitted bundle: an immutable version of encoder, factors, index and ids."""

    version: str
    created_at: datetime
    in_use: bool
    method: str
    synthetic: bool = Field(description="fitted on behaviour that a generator made up")
    metrics: dict[str, Any]
    card: dict[str, Any]


class PromotionRecord(Shape):
    """One change of the bundle in use."""

    version: str
    previous: str | None
    author: str
    at: datetime
    forced: bool
    reason: str


class RefitShape(Shape):
    """How far the fit is."""

    state: RefitState
    requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    events_at_refit: int = Field(default=0, description="that the last fit was made of")
    events_now: int = 0


class Bundles(Shape):
    """All bundles, newest first, what was in use when, and how far the fit is."""

    bundles: list[BundleShape]
    promotions: list[PromotionRecord] = Field(description="newest first")
    refit: RefitShape


# Experiments


class ArmSettings(Shape):
    """What an arm sets of its users' lists; what is null stays as it was asked for."""

    diversity: Share | None = None
    exploration: Share | None = None
    damping: Share | None = None
    category_cap: Annotated[int, Field(ge=1, le=200)] | None = None


class ArmShape(Shape):
    """An arm of an experiment and its share of the users, relative to the other arms'."""

    name: Annotated[Name, Field(max_length=60)]
    share: Annotated[float, Field(gt=0, le=1)]
    settings: ArmSettings = Field(default_factory=ArmSettings)


class ExperimentBody(Shape):
    """An A/B test that runs from now on: users keep their arm."""

    name: Name
    arms: Annotated[list[ArmShape], Field(min_length=2, max_length=8)]
    author: Name


class ExperimentShape(Shape):
    """An A/B test. Of those that run, the newest decides."""

    id: str
    name: str
    state: Literal["running", "stopped"]
    arms: list[ArmShape]
    created_by: str
    created_at: datetime
    stopped_at: datetime | None


class Experiments(Shape):
    """All experiments, newest first."""

    experiments: list[ExperimentShape]


class ArmResult(Shape):
    """An arm's clicks: the share of lists that were clicked, with its 95 % interval."""

    name: str
    impressions: int
    clicks: int = Field(description="lists with at least one click")
    rate: float | None = Field(description="null before the first impression")
    low: float | None
    high: float | None


class ArmDifference(Shape):
    """How much an arm's rate is above that of the first arm, with its 95 % interval."""

    name: str
    difference: float | None
    low: float | None
    high: float | None


class ExperimentResults(Shape):
    """An experiment in numbers."""

    experiment: ExperimentShape
    arms: list[ArmResult]
    differences: list[ArmDifference] = Field(description="of every arm but the first")


class ClickBody(Shape):
    """A click on an entry of a list."""

    item: Id


class ClickShape(Shape):
    """Whether the click is counted: one of an item that was clicked already is not."""

    counted: bool
