"""A generator of behaviour for demonstrations: invented people, in any catalogue.

**Nothing that it makes happened.** Events are marked as synthetic by their ids, and what is learned
from them says how well a model recovers this generator and not how well it serves people.

How it works, in the order in which it draws:

1. *Popularity.* Each item is more or less known by Zipf's law (exponent ``skew``), at random. A
   share ``arriving`` of the items comes in during the second half of the time and has no event
   before.
2. *Tastes.* A shopper has two or three favourite themes (the attribute ``themes``; without it the
   category), a favourite colour, and a price level. The appeal of an item grows with each of these
   and with its popularity (``tastes.py``).
3. *Drift.* With probability ``drift`` the shopper's strongest theme is given up, little by little
   from the first day to the last, for another one.
4. *Visits.* The number of visits of a shopper is log-normal: many come seldom, a few often. Visits
   fall on any day, in the evening more than in the morning, and hold one to nine items.
5. *Steps.* Of the items in a visit a share ``noise`` is drawn evenly from all. Of the others, a
   share ``following`` is of a kind that follows the kind before it (camera, then memory card: the
   relation has a direction, see ``follow_ups.json``), where there is such a kind; the last thing
   bought in an earlier visit counts as the item before the first. The rest goes by appeal.
6. *Deeds.* Every item is viewed. Then, each less likely than the one before and all likelier
   where the appeal is high: it is clicked, put into the cart, bought. Nothing is bought twice
   by one shopper. One purchase in six is rated later in the visit, with more stars where the
   appeal is high. An item that came by noise is disliked now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from apps.recommend.samples.catalogue import follow_ups, sample_items
from apps.recommend.samples.tastes import Floats, Shopper, Traits, draw_popularity, draw_shopper
from shared.catalogue import BehaviourData, BehaviourEvent, CatalogueItem, EventType

SYNTHETIC = "synthetic-"
"""How the ids of generated events and visits begin."""

SAMPLE_NAME = "sample:recommend"

_HOURS = np.array([1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4, 5, 4, 3, 3, 3, 4, 5, 7, 9, 9, 6, 3.0])
"""How many visits begin in each hour of the day, UTC, relative to one another."""


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """How the generator behaves; each field is a share from 0 to 1, but for ``skew``."""

    skew: float = 0.7
    """Zipf's exponent of the items' popularity; 0 makes all equally well known."""
    noise: float = 0.08
    """Of the items in a visit, those that no taste explains."""
    following: float = 0.4
    """Of the others, those that follow from the item before, where something follows it."""
    drift: float = 0.5
    """The shoppers who give up their strongest theme for another one."""
    arriving: float = 0.06
    """The items that come into the catalogue in the second half of the time."""
    visits: float = 9.0
    """The median number of visits of a shopper."""


DEFAULT = GeneratorSettings()


def generate(
    seed: int,
    items: Sequence[CatalogueItem],
    *,
    now: datetime,
    users: int = 400,
    days: int = 60,
    follows: Mapping[str, Sequence[str]] | None = None,
    settings: GeneratorSettings = DEFAULT,
) -> tuple[BehaviourEvent, ...]:
    """Events of invented shoppers, oldest first, in the ``days`` before the day of ``now``.

    Days are those of UTC. The same seed, items and settings give the same events; another ``now``
    moves them by whole days and keeps their ids. Ids
    and sessions begin with ``synthetic-``, users are ``shopper-001`` and so on. ``follows`` gives
    the kinds that follow a kind; by default those of the shipped catalogue.

    Raises ValueError where there is no item, no user or no day.
    """
    if not items or users < 1 or days < 1:
        raise ValueError("behaviour needs at least one item, one user and one day")
    random = np.random.default_rng(seed)
    traits = Traits.of(items)
    popularity = draw_popularity(len(items), settings.skew, random)
    arrives = np.where(
        random.random(len(items)) < settings.arriving, random.uniform(0.5, 0.9, len(items)), 0.0
    )
    shop = _Shop(tuple(item.id for item in items), traits, popularity, arrives,
                 _rows_that_follow(traits, follow_ups() if follows is None else follows),
                 settings)  # fmt: skip
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=days)
    deeds: list[_Deed] = []
    width = len(str(users))
    for number in range(1, users + 1):
        shopper = draw_shopper(traits, popularity, settings.drift, random)
        deeds += _live(shop, shopper, f"shopper-{number:0{max(3, width)}d}", days, random)
    deeds.sort(key=lambda deed: (deed.second, deed.user))
    return tuple(
        BehaviourEvent(
            id=f"{SYNTHETIC}{seed}-{place:06d}",
            user=deed.user,
            item=shop.ids[deed.row],
            type=deed.type,
            at=start + timedelta(seconds=round(deed.second, 3)),
            session=f"{SYNTHETIC}{seed}-{deed.user}-{deed.visit}",
            value=deed.stars,
        )
        for place, deed in enumerate(deeds, start=1)
    )


def sample(now: datetime, seed: int = 1) -> BehaviourData:
    """The shipped catalogue with generated behaviour up to ``now``."""
    items = sample_items()
    return BehaviourData(SAMPLE_NAME, items, generate(seed, items, now=now))


@dataclass(frozen=True, eq=False, slots=True)
class _Shop:
    ids: tuple[str, ...]
    traits: Traits
    popularity: Floats
    arrives: Floats
    following: Mapping[str, NDArray[np.int64]]
    settings: GeneratorSettings


@dataclass(frozen=True, slots=True)
class _Deed:
    second: float
    user: str
    row: int
    type: EventType
    visit: int
    stars: float | None = None


def _rows_that_follow(
    traits: Traits, follows: Mapping[str, Sequence[str]]
) -> dict[str, NDArray[np.int64]]:
    rows_of: dict[str, list[int]] = {}
    for row, kind in enumerate(traits.kinds):
        rows_of.setdefault(kind, []).append(row)
    found = {
        kind: [row for follower in followers for row in rows_of.get(follower, ())]
        for kind, followers in follows.items()
    }
    return {kind: np.array(rows, dtype=np.int64) for kind, rows in found.items() if rows}


def _live(
    shop: _Shop, shopper: Shopper, user: str, days: int, random: np.random.Generator
) -> list[_Deed]:
    """All that one shopper does, visit by visit."""
    count = max(1, round(float(random.lognormal(np.log(shop.settings.visits), 0.7))))
    hours = random.choice(24, size=count, p=_HOURS / _HOURS.sum())
    begins = np.sort((random.integers(days, size=count) * 24 + hours + random.random(count)) * 3600)
    bought: set[int] = set()
    last_bought: int | None = None
    deeds: list[_Deed] = []
    for visit, begin in enumerate(begins, start=1):
        appeal = shopper.appeal(float(begin) / (days * 86400))
        appeal = appeal * (shop.arrives * days * 86400 <= begin)
        before, second = last_bought, float(begin)
        for _ in range(min(9, int(random.geometric(0.3)))):
            row, by_noise = _next_row(shop, appeal, before, begin / (days * 86400), random)
            done = _deeds_with(appeal, row, by_noise, row in bought, random)
            for kind, stars in done:
                second += float(random.uniform(5, 60))
                if second >= days * 86400:
                    return deeds
                deeds.append(_Deed(second, user, row, kind, visit, stars))
                if kind == "purchase":
                    bought.add(row)
                    last_bought = row
            before = row
    return deeds


def _next_row(
    shop: _Shop, appeal: Floats, before: int | None, progress: float, random: np.random.Generator
) -> tuple[int, bool]:
    """The next item of a visit, and whether it came by noise."""
    here = np.flatnonzero(shop.arrives <= progress)
    if random.random() < shop.settings.noise or not appeal.any():
        return int(here[random.integers(len(here))]), True
    followers = None if before is None else shop.following.get(shop.traits.kinds[before])
    if followers is not None and random.random() < shop.settings.following:
        followers = followers[shop.arrives[followers] <= progress]
        if len(followers):
            # Whoever bought a tent looks at pegs of any make: popularity, and a little taste.
            wanted = shop.popularity[followers] + appeal[followers]
            return int(followers[_draw(wanted, random)]), False
    return _draw(appeal, random), False


def _draw(weights: Floats, random: np.random.Generator) -> int:
    """A position, as likely as its weight."""
    summed = np.cumsum(weights)
    drawn = int(np.searchsorted(summed, random.random() * summed[-1], side="right"))
    return min(drawn, len(weights) - 1)


def _deeds_with(
    appeal: Floats, row: int, by_noise: bool, owned: bool, random: np.random.Generator
) -> list[tuple[EventType, float | None]]:
    """What a shopper does with one item: types of events in order, and stars of a rating."""
    rank = float((appeal < appeal[row]).mean())
    done: list[tuple[EventType, float | None]] = [("view", None)]
    if by_noise and random.random() < 0.06:
        return [*done, ("dislike", None)]
    if random.random() > 0.25 + 0.35 * rank:
        return done
    done.append(("click", None))
    if owned or random.random() > 0.2 + 0.3 * rank:
        return done
    done.append(("cart", None))
    if random.random() > 0.35 + 0.3 * rank:
        return done
    done.append(("purchase", None))
    if random.random() < 1 / 6:
        done.append(("rating", float(np.clip(round(random.normal(2.5 + 2 * rank, 0.8)), 1, 5))))
    return done
