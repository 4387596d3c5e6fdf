"""Augmenters by name: other ways to say a thing, and what a library makes of a text.

``augmentation.augmenters`` names them. ``phrasing`` is ours. ``textnoisr`` is a library (BSD,
``pip install 'triptych[augmentation]'``), imported when it is asked for; another one joins by a
class here with one method and an entry in ``AUGMENTERS``.

Source: Kolomiyets et al., "Model-portability experiments for textual temporal analysis", 2011
(replacement of phrases by hand); the documentation of ``textnoisr``, which derives
its error rates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from shared.errors import SettingsError

LETTERS_A_WORD = 5
"""What ``characters``, a share of words, is divided by for a rate of letters."""


class Augmenter(Protocol):
    """Changes a text without changing its meaning; all chance comes from ``generator``."""

    def augment(self, text: str, generator: np.random.Generator) -> str:
        """The text, changed; it never holds anything in square brackets."""
        ...


class Phrasing:
    """Half of the phrases that can be said in another way are; one at least."""

    def augment(self, text: str, generator: np.random.Generator) -> str:
        """The text with phrases of ``PHRASES`` swapped for others of their group."""
        found = list(_PHRASE.finditer(text))
        if not found:
            return text
        chosen = generator.random(len(found)) < 0.5
        chosen[generator.integers(len(found))] = True
        for match, taken in reversed(list(zip(found, chosen, strict=True))):
            if taken:
                others = _OTHERS[match[0].lower()]
                other = others[generator.integers(len(others))]
                if re.search(r"\bI\b", match[0]):
                    other = re.sub(r"\bi\b", "I", other)
                if match[0][0].isupper():
                    other = other[0].upper() + other[1:]
                text = text[: match.start()] + other + text[match.end() :]
        return text


class LibraryNoise:
    """The library textnoisr: letters added, lost, wrong and swapped anywhere, spaces among them.

    Unlike ``mistype`` it hits a word several times, and any letter can come in.
    """

    def __init__(self, rate: float) -> None:
        if find_spec("textnoisr") is None:
            raise SettingsError(
                "augmentation.augmenters=textnoisr needs a package that is not installed: "
                "pip install 'triptych[augmentation]'",
                field="augmentation.augmenters",
            )
        self.rate = rate

    def augment(self, text: str, generator: np.random.Generator) -> str:
        """The text with about ``rate`` of its characters changed; no capital comes in.

        A character alone stays: the library's rates are of texts in which two can be swapped.
        """
        if len(text) < 2:
            return text
        from string import ascii_lowercase

        from textnoisr.noise import CharNoiseAugmenter

        noise: Any = CharNoiseAugmenter(
            noise_level=self.rate,
            character_set=tuple(ascii_lowercase),
            seed=int(generator.integers(2**32)),
        )
        return str(noise.add_noise(text))


AUGMENTERS: Mapping[str, Callable[[float], Augmenter]] = MappingProxyType(
    {
        "phrasing": lambda _: Phrasing(),
        "textnoisr": lambda characters: LibraryNoise(
            min(0.5, (characters or 0.1) / LETTERS_A_WORD)
        ),
    }
)
"""How each is made, for a share of words that are mistyped."""


def make_augmenters(names: Sequence[str], characters: float) -> tuple[Augmenter, ...]:
    """Those of these names, in their order, for a share of words that are mistyped in [0, 1].

    SettingsError where a package is missing.
    """
    return tuple(AUGMENTERS[name](characters) for name in names)


def check_names(names: Sequence[str]) -> None:
    """ValueError for a name that no augmenter has."""
    for name in names:
        if name not in AUGMENTERS:
            raise ValueError(f"no augmenter is called {name!r}: there are {', '.join(AUGMENTERS)}")


PHRASES = (
    ("how do i", "how can i", "how would i", "what do i do to", "in what way can i"),
    ("can i", "could i", "am i able to", "is it possible for me to"),
    ("can you", "could you", "would you", "are you able to"),
    ("i want to", "i would like to", "i'd like to", "i wish to"),
    ("i need to", "i have to", "i must", "i've got to"),
    ("why is", "how come", "for what reason is"),
    ("where is", "where's", "where can i see"),
    ("what is", "what's"), ("there is", "there's"), ("that is", "that's"), ("it is", "it's"),
    ("do not", "don't"), ("does not", "doesn't"), ("did not", "didn't"), ("cannot", "can't"),
    ("is not", "isn't"), ("was not", "wasn't"), ("have not", "haven't"), ("has not", "hasn't"),
    ("will not", "won't"), ("should not", "shouldn't"), ("i am", "i'm"), ("i have", "i've"),
    ("because", "given that"), ("but", "however"), ("a few", "a couple of"),
    ("a lot of", "lots of", "plenty of"), ("right now", "at the moment", "currently"),
    ("as well as", "and"), ("such as", "for example"),
    ("please tell me", "let me know", "please explain"),
    ("how long does it take", "how long is it"),
    ("it seems", "it looks like", "apparently"), ("i think", "i believe", "i guess"),
    ("by mistake", "accidentally", "by accident"), ("again", "once more", "one more time"),
    ("for some reason", "somehow"), ("thank you", "thanks", "cheers"),
)  # fmt: skip
"""English ways to say one thing. None is a word that the measure of robustness swaps."""
_OTHERS = {
    phrase: tuple(other for other in group if other != phrase)
    for group in PHRASES
    for phrase in group
}
_PHRASE = re.compile(
    # Letters in either case, but those of ASCII alone: a long s would be none of the phrases.
    rf"(?<![\w'])(?ai:{'|'.join(sorted(map(re.escape, _OTHERS), key=len, reverse=True))})(?![\w'])"
)
