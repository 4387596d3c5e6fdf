"""Augmentation: texts are read with typing errors, dropped words and other openings.

What stands in square brackets (a marked company, masked personal data) is never changed. Openings
are English: for texts of another language set ``augmentation.openings=0``.

``TextNoise`` takes further augmenters: any ``Augmenter``. Those that a recipe can name, a library's
among them, are in ``shared.finetuning.augmenters``.

Source: Wei and Zou, "EDA: easy data augmentation techniques", 2019, arXiv:1901.11196; Karpukhin et
al., "Training on synthetic noise improves robustness to natural noise", 2019, arXiv:1902.01509.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from shared.finetuning.augmenters import Augmenter, check_names, make_augmenters
from shared.finetuning.method_settings import LISTED, MethodSettings

BRACKETED = re.compile(r"(\[[^\]]*(?:\]|$))")
"""What is kept as it is; a bracket that is never closed keeps all that follows."""


class AugmentationSettings(MethodSettings):
    """Fields of ``recipe.augmentation``."""

    share: float = Field(default=0.0, ge=0, le=1, description="of the texts changed an epoch")
    characters: float = Field(
        default=0.1, ge=0, le=1, description="share of a changed text's words mistyped"
    )
    word_drop: float = Field(
        default=0.1, ge=0, lt=1, description="share of a changed text's words left out"
    )
    case: float = Field(
        default=0.2, ge=0, le=1, description="share of the changed texts in another case"
    )
    openings: float = Field(
        default=0.3, ge=0, le=1, description="share of the changed texts with an opening before"
    )
    augmenters: Annotated[tuple[str, ...], LISTED] = Field(
        default=(), description="further ones for changed texts: phrasing, textnoisr"
    )
    agreement: float = Field(
        default=0.0,
        ge=0,
        description="weight of how far answers to changed copies are from those to the texts; "
        "above 0 every text is read twice",
    )

    @field_validator("augmenters")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        check_names(names)
        return names


class TextNoise:
    """Texts as they are read in an epoch: the same for one seed, epoch and place in the list.

    SettingsError where the settings name an augmenter whose package is not installed.
    """

    def __init__(
        self, settings: AugmentationSettings, seed: int, augmenters: Sequence[Augmenter] = ()
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.augmenters = (*make_augmenters(settings.augmenters, settings.characters), *augmenters)

    def vary(self, texts: Sequence[str], epoch: int) -> list[str]:
        """The texts, ``share`` of them changed; none is blank that was not blank before."""
        drawn = np.random.default_rng((self.seed, epoch)).random(len(texts))
        return [
            self._changed(text, np.random.default_rng((self.seed, epoch, place)))
            if drawn[place] < self.settings.share
            else text
            for place, text in enumerate(texts)
        ]

    def _changed(self, text: str, generator: np.random.Generator) -> str:
        settings = self.settings
        if generator.random() < settings.case:
            recase = CASES[generator.integers(len(CASES))]
            text = outside_brackets(text, recase)
        text = outside_brackets(text, lambda part: self._words(part, generator))
        for augmenter in self.augmenters:
            text = outside_brackets(text, lambda part: _kept(part, augmenter, generator))  # noqa: B023
        if generator.random() < settings.openings:
            text = f"{OPENINGS[generator.integers(len(OPENINGS))]} {text}"
        return text

    def _words(self, part: str, generator: np.random.Generator) -> str:
        """Words of a part left out and mistyped; one word at least is kept."""
        pieces = re.split(r"(\s+)", part)
        places = [place for place, piece in enumerate(pieces) if piece.strip()]
        if not places:
            return part
        keep = generator.random(len(places)) >= self.settings.word_drop
        keep[generator.integers(len(places))] = True
        wrong = generator.random(len(places)) < self.settings.characters
        for place, kept, mistyped in zip(places, keep, wrong, strict=True):
            if not kept:
                pieces[place] = ""
                if place + 1 < len(pieces):
                    pieces[place + 1] = ""
            elif mistyped:
                pieces[place] = mistype(pieces[place], generator)
        return "".join(pieces)


def outside_brackets(text: str, change: Callable[[str], str]) -> str:
    """The text with ``change`` made to every part of it that stands in no square brackets."""
    parts = BRACKETED.split(text)
    return "".join(
        part if number % 2 or not part.strip() else change(part)
        for number, part in enumerate(parts)
    )


def mistype(word: str, generator: np.random.Generator) -> str:
    """The word with one typing error: letters swapped, one lost, doubled or a neighbouring key.

    Words of fewer than three characters and those without a letter stay as they are.
    """
    letters = [place for place, character in enumerate(word) if character.isalpha()]
    if len(word) < 3 or not letters:
        return word
    place = letters[generator.integers(len(letters))]
    kind = generator.integers(4)
    if kind == 0 and place + 1 < len(word):
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    near = NEIGHBOURS.get(word[place].lower(), "")
    if kind == 2 or not near:
        return word[:place] + word[place] + word[place:]
    key = near[generator.integers(len(near))]
    return word[:place] + (key.upper() if word[place].isupper() else key) + word[place + 1 :]


def _kept(part: str, augmenter: Augmenter, generator: np.random.Generator) -> str:
    """What the augmenter makes of a part, but not when nothing is left or a bracket came in."""
    changed = augmenter.augment(part, generator)
    return changed if changed.strip() and not set("[]") & set(changed) else part


def _neighbours() -> dict[str, str]:
    """The keys beside each letter, on its row and on those above and below (QWERTY)."""
    rows = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    places = {
        key: (number, place) for number, row in enumerate(rows) for place, key in enumerate(row)
    }
    return {
        key: "".join(
            other
            for other, (row, place) in places.items()
            if other != key and abs(row - own_row) <= 1 and abs(place - own_place) <= 1
        )
        for key, (own_row, own_place) in places.items()
    }


NEIGHBOURS = _neighbours()
CASES: tuple[Callable[[str], str], ...] = (str.upper, str.lower, str.title, str.capitalize)
OPENINGS = (
    # courteous
    "Good morning, I hope you are well.",
    "Good evening, and thank you for your time.",
    "Would you be so kind as to help me?",
    "I would be grateful for your advice.",
    "Dear team, a short question.",
    "Thanks in advance for looking into this.",
    "To whom it may concern:",
    "With your permission I would like to ask something.",
    # everyday
    "Hi!",
    "Hey guys,",
    "Hiya, quick one:",
    "Hello there, me again.",
    "Ok so",
    "Right,",
    "So listen,",
    "Just wondering,",
    # hesitant
    "Sorry to be a nuisance, but",
    "I am not very good with computers, so forgive me.",
    "Maybe this is a silly question, but",
    "Not sure if this is the right place.",
    "I did look through the pages first, honestly.",
    "Excuse me,",
    # pressed
    "This is urgent.",
    "I need an answer today.",
    "I have been waiting for ages and nobody replies!",
    "Third time I am writing now.",
    "Please hurry, I am about to board a train.",
    "I am getting really annoyed.",
    # telling
    "I have used your service for years.",
    "My wife told me to write to you.",
    "I was at the shop yesterday when I noticed it.",
    "Here is what I would like to know:",
    "I am writing from my phone.",
    "Let me explain.",
)
"""What people write before they come to the point. Those of the measurement are others."""
