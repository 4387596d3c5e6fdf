"""The question between two intents, and what the customer's next message makes of it.

Pure. A reply can be a number ("2", "the second one"), words of one option ("the address"), a
refusal ("neither"), or a message that stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.records import LabelScore, Prediction

_ORDINALS = {
    "1": 0, "1st": 0, "first": 0, "one": 0, "former": 0, "a": 0,
    "2": 1, "2nd": 1, "second": 1, "two": 1, "latter": 1, "last": 1, "b": 1,
}  # fmt: skip
_WEAK_ORDINALS = frozenset({"a", "one"})  # "a refund", "the second one": only alone a choice
_FILLERS = frozenset(
    {
        *("a", "an", "the", "this", "that", "it", "it's", "its", "is", "was", "one", "my", "me"),
        *("i", "i'd", "id", "mean", "meant", "want", "wanted", "would", "like", "need", "do"),
        *("option", "number", "choice", "nr", "about", "with", "for", "of", "on", "in", "to"),
        *("yes", "yeah", "yep", "ok", "okay", "sure", "please", "pls", "thanks", "thank", "you"),
        *("hi", "hello", "and"),
    }
)
_REFUSALS = frozenset({"neither", "none", "no", "nope", "nah", "nothing"})
_REFUSAL_FILLERS = _FILLERS | {"these", "those", "them", "either", "not", "other", "else"}
_MOST_WORDS = 6
"""A longer reply is a message of its own and goes to the model."""

Reply = Literal["refused", "unknown"]


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question that waits for its answer: the options, and the message that raised it."""

    options: tuple[LabelScore, ...]
    text: str

    def as_json(self) -> dict[str, Any]:
        """What the database keeps."""
        return {
            "text": self.text,
            "options": [
                {"intent": option.label, "probability": option.probability}
                for option in self.options
            ],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> PendingQuestion:
        """What the database kept."""
        return cls(
            tuple(LabelScore(one["intent"], one["probability"]) for one in stored["options"]),
            stored["text"],
        )


def ask_between(titles: Sequence[str], *, as_wishes: bool) -> str:
    """The question, answered with a number or a word of one option.

    ``as_wishes`` says that the titles complete "Do you want to", as written titles do; names of
    intents in words seldom do.
    """
    options = " or ".join(f"({number}) {title}" for number, title in enumerate(titles, start=1))
    opening = "Do you want to" if as_wishes else "Is this about"
    return f"{opening} {options}? A number or a word is enough."


def read_reply(text: str, titles: Sequence[str]) -> int | Reply:
    """Which option the reply names: its place in ``titles``, ``refused``, or ``unknown``.

    ``unknown`` says that the words alone do not tell: the model may.
    """
    words = _words(text)
    if not words or len(words) > _MOST_WORDS:
        return "unknown"
    told = [word for word in words if word not in _REFUSAL_FILLERS]
    if any(word in _REFUSALS for word in words) and all(word in _REFUSALS for word in told):
        return "refused"
    numbered = _numbered(words)
    if numbered is not None and numbered < len(titles):
        return numbered
    return _named(words, titles)


def lean(prediction: Prediction, options: Sequence[LabelScore], share: float) -> int | None:
    """The option that the model finds in the reply, given that one of them was meant.

    It has to be the model's first choice, with at least ``share`` of what the options hold
    together.
    """
    scores = {score.label: score.probability for score in prediction.ranked}
    held = [scores.get(option.label, 0.0) for option in options]
    for place, option in enumerate(options):
        if option.label == prediction.label and held[place] >= share * sum(held):
            return place
    return None


def _words(text: str) -> list[str]:
    plain = text.casefold().replace("’", "'")
    return re.findall(r"[\w']+", re.sub(r"\bno\.?\s*(?=\d)", "", plain))


def _numbered(words: Sequence[str]) -> int | None:
    """The place that a number or an ordinal names, where nothing else of weight is said."""
    strong = [word for word in words if word in _ORDINALS and word not in _WEAK_ORDINALS]
    weak = [word for word in words if word in _WEAK_ORDINALS]
    if not strong and not {*words} <= _WEAK_ORDINALS | {"number", "option", "choice", "nr"}:
        weak = []
    light = _ORDINALS.keys() | _FILLERS | _REFUSALS  # "no, the second"
    rest = [word for word in words if word not in light]
    places = {_ORDINALS[word] for word in strong or weak}
    return places.pop() if len(places) == 1 and not rest else None


def _named(words: Sequence[str], titles: Sequence[str]) -> int | Reply:
    """The one option whose own words, those that no other option has, the reply uses."""
    per_title = [{_stem(word) for word in _words(title)} - _FILLERS for title in titles]
    said = {_stem(word) for word in words if word not in _FILLERS}
    hits = []
    for place, own in enumerate(per_title):
        others = set().union(*per_title[:place], *per_title[place + 1 :])
        if said & (own - others):
            hits.append(place)
    return hits[0] if len(hits) == 1 else "unknown"


def _stem(word: str) -> str:
    """Close enough for "refunds" and "refund", "tracking" and "track"."""
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return _stem(word[: -len(ending)])
    return word
