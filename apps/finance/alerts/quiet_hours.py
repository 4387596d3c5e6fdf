"""Quiet hours: when nobody is to be disturbed, in the clock of a place."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class QuietHours(BaseModel):
    """From ``start`` until ``end`` each day, over midnight where the end comes first.

    ``zone`` is a name of the IANA time zone database, such as ``Europe/Berlin``; its summer time
    is followed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: ClockTime
    end: ClockTime
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{zone!r} is no IANA time zone, such as Europe/Berlin") from error
        return zone

    @model_validator(mode="after")
    def _some_hours(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("quiet hours that end when they start would be all or none")
        return self

    def includes(self, moment: datetime) -> bool:
        """Whether the moment is quiet: the start belongs to it, the end does not."""
        local = moment.astimezone(ZoneInfo(self.zone)).time()
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        if start < end:
            return start <= local < end
        return local >= start or local < end

    def over_at(self, moment: datetime) -> datetime:
        """When it is quiet no more, in UTC: the moment itself where it is not quiet.

        Where the clock leaps over the end it is as much later; an end that comes twice counts
        the first time.
        """
        if not self.includes(moment):
            return moment.astimezone(UTC)
        zone, end = ZoneInfo(self.zone), time.fromisoformat(self.end)
        today = moment.astimezone(zone).date()
        ends = (
            datetime.combine(today + timedelta(days=days), end, zone).replace(fold=fold)
            for days in (0, 1, 2)
            for fold in (0, 1)
        )
        later = (one.astimezone(UTC) for one in ends if one.astimezone(UTC) > moment)
        return min(one for one in later if not self.includes(one))
