"""The settings of a recommender's fit; their defaults were chosen on validation events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import inf
from typing import Any, Self

from shared.errors import SettingsError

MOST_ITEMS_SOLVED = 20_000
"""Up to so many items the linear model of items is solved whole; beyond, factors are fitted."""


@dataclass(frozen=True, slots=True)
class RecommendRecipe:
    """Settings of the linear model, of the texts in it, of the item tower and of the blend.

    ``plain_share`` is the weight of unordered histories against ordered cuts of them; a cut has the
    last ``past`` items before it and the next ``future`` behind it, each weighing ``gap_decay`` to
    its distance. ``text_weight`` is that of the items' texts inside the solve, ``regularisation``
    that of the diagonal.

    ``tower_dimensions``, ``tower_epochs``, ``tower_rate`` and ``tower_dropout`` are those of the
    item tower; ``encoder_steps`` steps fine-tune the encoder first (0: it stays as it is).

    ``history_decays``, ``text_shares`` and ``popular_shares`` are what validation chooses from.
    ``new_share`` is how much more texts weigh for items without behaviour than for others, in the
    scale of scores, and ``borrowed_share`` the weight of the behaviour which they borrow.
    """

    plain_share: float = 0.5
    past: int = 10
    future: int = 5
    gap_decay: float = 0.7
    text_weight: float = 10.0
    meaning_share: float = 0.3
    regularisation: float = 100.0
    tower_dimensions: int = 192
    tower_epochs: int = 3
    tower_rate: float = 1e-3
    tower_dropout: float = 0.2
    encoder_steps: int = 0
    history_decays: tuple[float, ...] = (0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.97)
    text_shares: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    popular_shares: tuple[float, ...] = (0.01, 0.05, 0.2)
    new_share: float = 0.1
    borrowed_share: float = 1.2

    def __post_init__(self) -> None:
        whole = (self.past, self.future, self.tower_dimensions)
        if min(whole) < 1 or min(self.tower_epochs, self.encoder_steps) < 0:
            raise SettingsError("past, future and tower_dimensions are at least 1")
        if not 0 <= self.plain_share <= 1 or not 0 < self.gap_decay <= 1:
            raise SettingsError("plain_share lies from 0 to 1, gap_decay above 0 and up to 1")
        if not 0 < self.regularisation < inf or not 0 <= self.text_weight < inf:
            raise SettingsError("regularisation is above 0, and text_weight not below")
        if not 0 <= self.meaning_share <= 1:
            raise SettingsError("meaning_share lies from 0 to 1")
        if not 0 <= self.tower_dropout < 1 or not 0 < self.tower_rate < inf:
            raise SettingsError("tower_dropout lies from 0 to below 1, tower_rate above 0")
        shares = (*self.text_shares, *self.popular_shares, self.new_share, self.borrowed_share)
        if not all((self.history_decays, self.text_shares, self.popular_shares)):
            raise SettingsError("history_decays, text_shares and popular_shares are not empty")
        if not all(0 < decay <= 1 for decay in self.history_decays):
            raise SettingsError("history_decays lie above 0 and up to 1")
        if not all(0 <= share < inf for share in shares):
            raise SettingsError("shares of the blend are not below 0")

    def as_card(self) -> dict[str, Any]:
        """The settings, fit for a card."""
        return asdict(self)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From texts or numbers by name; SettingsError for a name or value that does not fit."""
        kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(cls)}
        read: dict[str, Any] = {}
        for name, value in given.items():
            if name not in kinds:
                raise SettingsError(f"a recommender has no setting {name!r}: {', '.join(kinds)}")
            try:
                if kinds[name] is tuple:
                    parts = value if isinstance(value, list | tuple) else [value]
                    read[name] = tuple(float(part) for part in parts)
                else:
                    read[name] = kinds[name](value)
            except (TypeError, ValueError):
                raise SettingsError(f"{name} cannot be {value!r}") from None
        return cls(**read)
