"""Which arm of an experiment a user is in. Pure: the same user is always in the same arm."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from shared.api.recommend_operations import ArmSettings
from shared.errors import DataError

FEWEST_ARMS, MOST_ARMS = 2, 8
MAX_ARM_NAME = 60


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the ways that are compared. ``share`` of the users is relative to the other arms'.

    ``settings`` are what the arm sets of its users' lists: ``diversity``, ``exploration`` and
    ``damping`` in [0, 1], ``category_cap`` from 1 on. One without settings is left as it was asked
    for.
    """

    name: str
    share: float = 1.0
    settings: Mapping[str, float | int] = field(default_factory=lambda: MappingProxyType({}))

    def as_json(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {"name": self.name, "share": self.share, "settings": dict(self.settings)}


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arm of an experiment (its id) that a user is in, and what it sets of lists."""

    experiment: str
    arm: str
    settings: dict[str, float | int]


def checked_arms(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """The arms with their settings in one form. DataError says what is wrong with them."""
    if not FEWEST_ARMS <= len(arms) <= MOST_ARMS:
        raise DataError(
            f"an experiment has {FEWEST_ARMS} to {MOST_ARMS} arms, and {len(arms)} are given"
        )
    names = [arm.name for arm in arms]
    for name in names:
        if not name.strip() or len(name) > MAX_ARM_NAME or not name.isprintable():
            raise DataError(
                f"an arm's name has 1 to {MAX_ARM_NAME} printable characters, and is {name[:80]!r}"
            )
    if len(set(names)) < len(names):
        raise DataError(f"each arm needs a name of its own: {', '.join(names)}", arms=names)
    return tuple(_checked(arm) for arm in arms)


def assign(salt: str, user: str, arms: Sequence[Arm]) -> Arm:
    """The user's arm, by a hash of salt and user against the arms' shares.

    Two experiments have two salts, so that who is in which arm of the one says nothing of the
    other.
    """
    digest = hashlib.blake2b(user.encode(), key=salt.encode()[:64], digest_size=8).digest()
    place = int.from_bytes(digest) / 2**64 * math.fsum(arm.share for arm in arms)
    reached = 0.0
    for arm in arms:
        reached += arm.share
        if place < reached:
            return arm
    return arms[-1]


def _checked(arm: Arm) -> Arm:
    if not (math.isfinite(arm.share) and 0 < arm.share <= 1):
        raise DataError(f"the share of arm {arm.name} is {arm.share}: above 0 and at most 1")
    try:
        settings = ArmSettings.model_validate(dict(arm.settings)).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"the settings of arm {arm.name} do not hold: {where}: {first['msg']}", arm=arm.name
        ) from error
    return Arm(arm.name, float(arm.share), MappingProxyType(settings))
