"""What an update did to the intents that were there before: recall of each, before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ALLOWED_LOSS = 1.0
"""Points of recall that an intent may lose to a new one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both versions on the same ``examples`` labelled texts of the old intents.

    Accuracies in [0, 1]. ``losses`` holds the points of recall (0 to 100) that each intent lost,
    for those that lost any, the largest first.
    """

    examples: int
    accuracy_before: float
    accuracy_after: float
    losses: tuple[tuple[str, float], ...]

    @property
    def largest(self) -> tuple[str | None, float]:
        """The intent that lost most, and how many points; (None, 0) when none lost any."""
        return self.losses[0] if self.losses else (None, 0.0)

    def objection(self, allowed_loss: float = ALLOWED_LOSS) -> str | None:
        """Why the update must not go live, or None."""
        worse = [(intent, loss) for intent, loss in self.losses if loss > allowed_loss]
        if not worse:
            return None
        named = ", ".join(f"{intent} {loss:.1f}" for intent, loss in worse[:5])
        more = f" and {len(worse) - 5} more" if len(worse) > 5 else ""
        return (
            f"intents lost more than {allowed_loss:g} point of recall on {self.examples} held-out"
            f" examples: {named}{more}; give examples that lie further from theirs, or retrain"
        )


def compare_recall(truth: Sequence[str], before: Sequence[str], after: Sequence[str]) -> Comparison:
    """Compare two versions' labels for the same texts, whose right labels are ``truth``."""
    if not len(truth) == len(before) == len(after):
        raise ValueError(f"{len(truth)} labels, {len(before)} and {len(after)} predictions")
    total = Counter(truth)
    hits_before = Counter(label for label, said in zip(truth, before, strict=True) if label == said)
    hits_after = Counter(label for label, said in zip(truth, after, strict=True) if label == said)
    lost = {
        intent: 100.0 * (hits_before[intent] - hits_after[intent]) / total[intent]
        for intent in total
        if hits_after[intent] < hits_before[intent]
    }
    return Comparison(
        examples=len(truth),
        accuracy_before=hits_before.total() / len(truth) if truth else 0.0,
        accuracy_after=hits_after.total() / len(truth) if truth else 0.0,
        losses=tuple(sorted(lost.items(), key=lambda item: (-item[1], item[0]))),
    )
