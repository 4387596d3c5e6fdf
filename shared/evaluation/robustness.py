"""How much accuracy is lost when people type as people do: errors, capitals, politeness, synonyms.

The changes are drawn from seeds of their own and use sentences of their own: nothing here is what
``shared.finetuning.augmentation`` trains on but for the four kinds of typing error: here a fifth of
the words of three letters and more, one at least, there each word by itself with a chance of its
own. Spaces lost and synonyms are trained on by no method. What stands in square brackets is kept.

Source: Moradi and Samwald, "Evaluating the robustness of neural language models to input
perturbations", 2021, arXiv:2108.12237 (the idea of measuring by kind; all text here is our own).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.finetuning.augmentation import mistype, outside_brackets

Change = Callable[[str, np.random.Generator], str]
DRAWS = 3
NAMESPACE = 730_241
"""Stands before every seed here, so that no draw is one that training made."""
TYPO_SHARE = 0.2
"""Share of the words that are mistyped, one at least."""


@dataclass(frozen=True, slots=True)
class UnderChange:
    """Accuracy of each draw, and the mean share of the texts that were changed at all."""

    accuracies: tuple[float, ...]
    changed: float

    @property
    def accuracy(self) -> float:
        """The mean over the draws."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True, slots=True)
class Robustness:
    """Accuracy on the texts as they stand, and under each kind of change."""

    clean: float
    under: Mapping[str, UnderChange]
    examples: int

    def lost(self, name: str) -> float:
        """Accuracy lost under a change, a share: negative where it gained."""
        return self.clean - self.under[name].accuracy

    def as_json(self) -> dict[str, Any]:
        """What ``triptych evaluate --robustness --json`` prints."""
        return {
            "clean": self.clean,
            "examples": self.examples,
            "under": {
                name: {
                    "accuracy": found.accuracy,
                    "lost": self.lost(name),
                    "draws": list(found.accuracies),
                    "changed": found.changed,
                }
                for name, found in self.under.items()
            },
        }


def measure_robustness(
    texts: Sequence[str],
    truth: NDArray[np.int64],
    predict: Callable[[Sequence[str]], NDArray[np.int64]],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    changes: Mapping[str, Change] | None = None,
) -> Robustness:
    """Accuracy of ``predict`` (class numbers int64[n] of texts) clean and under each change.

    ``truth`` int64[n]; ValueError where it and the texts differ in number or are none. A text that
    stays as it is is not predicted again.
    """
    if len(texts) != len(truth) or not len(texts):
        raise ValueError(f"{len(texts)} texts and {len(truth)} labels to measure on")
    clean = np.asarray(predict(texts))
    under = {}
    for number, (name, change) in enumerate((changes or CHANGES).items()):
        accuracies, changed = [], []
        for draw in range(draws):
            varied = perturb(texts, change, (seed, number, draw))
            rows = [row for row, text in enumerate(varied) if text != texts[row]]
            predicted = clean.copy()
            if rows:
                predicted[rows] = predict([varied[row] for row in rows])
            accuracies.append(float((predicted == truth).mean()))
            changed.append(len(rows) / len(texts))
        under[name] = UnderChange(tuple(accuracies), float(np.mean(changed)))
    return Robustness(float((clean == truth).mean()), MappingProxyType(under), len(texts))


def perturb(texts: Sequence[str], change: Change, seed: tuple[int, ...]) -> list[str]:
    """Every text changed, each by a generator of its own; brackets and blank texts are kept."""
    return [
        change(text, np.random.default_rng((NAMESPACE, *seed, place))) if text.strip() else text
        for place, text in enumerate(texts)
    ]


def with_typos(text: str, generator: np.random.Generator) -> str:
    """A fifth of the words mistyped, one at least where a word can be."""

    def mistyped(part: str) -> str:
        pieces = re.split(r"(\s+)", part)
        places = [place for place, piece in enumerate(pieces) if len(piece.strip()) > 2]
        if not places:
            return part
        count = max(1, round(TYPO_SHARE * len(places)))
        for place in generator.choice(places, size=count, replace=False):
            pieces[place] = mistype(pieces[place], generator)
        return "".join(pieces)

    return outside_brackets(text, mistyped)


def with_lost_spaces(text: str, generator: np.random.Generator) -> str:
    """Two words run together."""

    def joined(part: str) -> str:
        gaps = [found.span() for found in re.finditer(r"(?<=\w)\s+(?=\w)", part)]
        if not gaps:
            return part
        start, end = gaps[generator.integers(len(gaps))]
        return part[:start] + part[end:]

    return outside_brackets(text, joined)


def in_another_case(text: str, generator: np.random.Generator) -> str:
    """All capitals, none, or letters in any case."""
    kind = int(generator.integers(3))

    def recased(part: str) -> str:
        if kind < 2:
            return part.upper() if kind else part.lower()
        tall = generator.random(len(part)) < 0.5
        return "".join(c.upper() if up else c.lower() for c, up in zip(part, tall, strict=True))

    return outside_brackets(text, recased)


def with_prefix(text: str, generator: np.random.Generator) -> str:
    """A polite or chatty sentence before the text."""
    return f"{PREFIXES[generator.integers(len(PREFIXES))]} {text}"


def with_synonyms(text: str, generator: np.random.Generator) -> str:
    """Half of the words that have a synonym here swapped for it, one at least."""

    def swapped(part: str) -> str:
        found = [m for m in re.finditer(r"[A-Za-z]+", part) if m.group().lower() in SYNONYMS]
        if not found:
            return part
        chosen = generator.random(len(found)) < 0.5
        chosen[generator.integers(len(found))] = True
        for match, taken in reversed(list(zip(found, chosen, strict=True))):
            if taken:
                word, others = match.group(), SYNONYMS[match.group().lower()]
                other = others[generator.integers(len(others))]
                other = other.capitalize() if word[0].isupper() else other
                part = part[: match.start()] + other + part[match.end() :]
        return part

    return outside_brackets(text, swapped)


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "typos": with_typos,
        "lost spaces": with_lost_spaces,
        "case": in_another_case,
        "politeness prefixes": with_prefix,
        "synonyms": with_synonyms,
    }
)
PREFIXES = (
    "Greetings, could somebody lend me a hand?",
    "Hope your day is going nicely!",
    "Apologies for the bother,",
    "Pardon the interruption, here is my problem:",
    "Hello dear support people,",
    "Kindly have a look at the following.",
    "Many thanks already, you folks are great.",
    "Good afternoon to everybody,",
    "I really appreciate what you do.",
    "Yo, anybody here?",
    "Well, I never had to ask this before.",
    "It has been a long week and now this happens.",
    "A friend recommended that I get in touch.",
    "Can you give me a minute please?",
    "I would love some support with a small matter.",
    "May I trouble you with something?",
)
_GROUPS = (
    ("buy", "purchase"), ("get", "obtain"), ("need", "require"), ("help", "assist"),
    ("show", "display"), ("start", "begin"), ("end", "finish"), ("stop", "halt"),
    ("fix", "repair"), ("ask", "enquire"), ("tell", "inform"), ("keep", "retain"),
    ("pick", "choose", "select"), ("try", "attempt"), ("wait", "hold on"), ("find", "locate"),
    ("happened", "occurred"), ("happening", "going on"), ("received", "got"), ("told", "informed"),
    ("wrong", "incorrect"), ("right", "correct"), ("quick", "fast", "speedy"),
    ("quickly", "rapidly"), ("big", "large"), ("small", "little"), ("cheap", "inexpensive"),
    ("expensive", "costly"), ("broken", "damaged"), ("odd", "strange", "weird"),
    ("difficult", "hard"), ("easy", "simple"), ("glad", "happy"), ("angry", "upset"),
    ("many", "numerous"), ("enough", "sufficient"), ("whole", "entire"), ("allowed", "permitted"),
    ("often", "frequently"), ("maybe", "perhaps"), ("also", "too"), ("still", "even now"),
    ("soon", "shortly"), ("immediately", "at once"), ("money", "cash", "funds"),
    ("fee", "charge"), ("mistake", "error"), ("problem", "issue", "trouble"), ("answer", "reply"),
    ("shop", "store"), ("phone", "telephone"), ("photo", "picture"), ("job", "work"),
    ("child", "kid"), ("reason", "cause"), ("method", "way"), ("kind", "sort", "type"),
    ("abroad", "overseas"), ("anybody", "anyone"), ("someone", "somebody"), ("country", "nation"),
)  # fmt: skip
SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        word: tuple(o for o in group if o != word)
        for group in _GROUPS
        for word in group
        if " " not in word
    }
)
"""General English words and those that may stand in their place in most sentences."""
