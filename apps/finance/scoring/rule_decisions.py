"""What rules say of a text: where they fire, and what they make of a model's probabilities.

A rule that decides is named as the reason of the score. Rules that contradict one another decide
nothing: then the model's word stands. ``apps.finance.scoring.prior_rules`` reads them from files.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import regex

from apps.finance.records import SENTIMENTS, Reason
from apps.finance.scoring.guarded_patterns import GuardedPattern

logger = logging.getLogger(__name__)

WORDS_BEFORE = 5
"""How many words before a match ``unless_before`` reads."""

Effect = Literal["pin", "raise"]

_SENTENCE_END = regex.compile(
    r"\n|(?<!\b(?:inc|corp|co|ltd|plc|no|st|mr|mrs|ms|dr|vs|u\.s|u\.k))[.!?][\"')”’]*\s+",
    regex.IGNORECASE,
)
_WORDS_BEFORE = regex.compile(rf"(?:\S+\s+){{0,{WORDS_BEFORE}}}\S*$")


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern (or several) and what it does to the probabilities of a text it is found in.

    ``pin`` sets the label's probability to ``probability`` in (0.5, 1); ``raise`` multiplies its
    odds by ``factor`` > 1. ``unless`` silences the rule when found in the sentence of the match,
    ``unless_before`` when found in the few words before it.
    """

    name: str
    patterns: tuple[GuardedPattern, ...]
    label: str
    effect: Effect = "pin"
    probability: float = 0.97
    factor: float = 3.0
    unless: tuple[GuardedPattern, ...] = ()
    unless_before: tuple[GuardedPattern, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not self.patterns:
            raise ValueError("a rule needs a name and a pattern")
        if self.label not in SENTIMENTS:
            raise ValueError(f"label {self.label!r} is none of {', '.join(SENTIMENTS)}")
        if not 0.5 < self.probability < 1.0 or self.factor <= 1.0:
            raise ValueError("probability lies between 0.5 and 1, and factor above 1")

    def match(self, text: str) -> RuleMatch | None:
        """The first place where the rule fires; None when there is none.

        A pattern that runs out of its time counts as not found, and the log says so.
        """
        try:
            for pattern in self.patterns:
                for start, end in pattern.spans(text):
                    if not self._silenced(text, start, end):
                        return RuleMatch(self, pattern.source, start, end, text[start:end])
        except TimeoutError:
            logger.warning("rule %r ran out of time on a text of %d", self.name, len(text))
        return None

    def _silenced(self, text: str, start: int, end: int) -> bool:
        first, last = sentence_around(text, start, end)
        sentence = text[first:last]
        if any(pattern.found_in(sentence) for pattern in self.unless):
            return True
        before = _WORDS_BEFORE.search(text[first:start])
        words = before.group() if before else ""
        return any(pattern.found_in(words) for pattern in self.unless_before)


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that fires, and the (start, end) in the text where it does."""

    rule: Rule
    pattern: str
    start: int
    end: int
    text: str

    @property
    def reason(self) -> Reason:
        """The match as scores hold it."""
        return {
            "kind": "rule",
            "rule": self.rule.name,
            "pattern": self.pattern,
            "text": self.text,
            "effect": self.rule.effect,
        }


@dataclass(frozen=True, slots=True)
class PriorRules:
    """All rules of a file, in its order."""

    rules: tuple[Rule, ...] = ()

    def matches(self, text: str) -> tuple[RuleMatch, ...]:
        """Where each rule that fires does so first, in the order of the rules."""
        found = (rule.match(text) for rule in self.rules)
        return tuple(one for one in found if one is not None)

    def apply(
        self, text: str, probabilities: Mapping[str, float]
    ) -> tuple[dict[str, float], Reason | None]:
        """The probabilities after the rules, and the reason when a rule decided the label.

        ``probabilities`` holds every label and sums to 1; so does the answer.
        """
        return decide(self.matches(text), probabilities)


def decide(
    matches: Sequence[RuleMatch], probabilities: Mapping[str, float]
) -> tuple[dict[str, float], Reason | None]:
    """What rules that fire make of the probabilities, and the reason when one decided.

    Pins that agree: the highest probability wins, the first of equals is the reason. Pins that
    contradict one another: nothing is pinned. Without a pin the raises multiply; the reason is
    the strongest raise of the label that comes out on top, and None when no rule raised it.
    """
    pins = [match for match in matches if match.rule.effect == "pin"]
    if len({match.rule.label for match in pins}) == 1:
        strongest = max(pins, key=lambda match: match.rule.probability)
        return pinned(probabilities, strongest.rule.label, strongest.rule.probability), (
            strongest.reason
        )
    if pins:
        return dict(probabilities), None
    raised = dict(probabilities)
    for match in matches:
        raised[match.rule.label] *= match.rule.factor
    total = sum(raised.values())
    result = {label: value / total for label, value in raised.items()}
    top = max(result, key=lambda label: result[label])
    deciding = [match for match in matches if match.rule.label == top]
    if not deciding:
        return result, None
    return result, max(deciding, key=lambda match: match.rule.factor).reason


def pinned(probabilities: Mapping[str, float], label: str, probability: float) -> dict[str, float]:
    """``label`` at the given probability or what it had if that is more; the rest in proportion."""
    probability = max(probability, probabilities[label])
    others = {one: value for one, value in probabilities.items() if one != label}
    total = sum(others.values())
    rest = 1.0 - probability
    shares = {
        one: rest * (value / total if total > 0 else 1.0 / len(others))
        for one, value in others.items()
    }
    return {one: probability if one == label else shares[one] for one in probabilities}


def sentence_around(text: str, start: int, end: int) -> tuple[int, int]:
    """(start, end) of the sentence or line that holds a span; abbreviations do not end one."""
    first, last = 0, len(text)
    for boundary in _SENTENCE_END.finditer(text):
        if boundary.end() <= start:
            first = boundary.end()
        elif boundary.start() >= end:
            last = boundary.end()
            break
    return first, last
