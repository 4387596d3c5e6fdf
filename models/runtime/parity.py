"""Whether a graph answers as torch does, alone and among other texts: the gate of a runtime.

What is compared is the calibrated probability that an app acts on. Where a graph takes a scale from
what it computes on, a text's answer moves with its mates and their padding; how far is measured,
and bounded like the difference to torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Probabilities = Callable[[Sequence[str]], Floats]

LEAST_AGREEMENT = 0.995
"""Share of texts whose most probable class must be the same."""

MOST_MEAN_CHANGE = 0.02
"""Mean over the texts of the largest change of a class's probability."""

MOST_CHANGE = 0.15
"""The same at the 99th percentile of the texts."""

MOST_TEXTS = 1_000
MATES = 32
SEED = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Two tables of probabilities [n, classes] compared: shares and probabilities in [0, 1].

    ``agreement`` is the share of texts with the same most probable class; the others are of the
    largest change of a class's probability: its mean, 99th percentile and maximum over the texts.
    """

    agreement: float
    mean: float
    percentile_99: float
    largest: float

    @classmethod
    def between(cls, one: Floats, other: Floats) -> Change:
        """Of two tables of the same texts."""
        moved = np.abs(one - other).max(axis=1)
        return cls(
            float(np.mean(one.argmax(axis=1) == other.argmax(axis=1))),
            float(moved.mean()),
            float(np.quantile(moved, 0.99)),
            float(moved.max()),
        )

    def objection(self) -> str | None:
        """What is beyond its bound, None where nothing is."""
        if self.agreement < LEAST_AGREEMENT:
            return f"{self.agreement:.2%} have the same class, {LEAST_AGREEMENT:.1%} must"
        if self.mean > MOST_MEAN_CHANGE:
            return f"probabilities change by {self.mean:.3f} on average, {MOST_MEAN_CHANGE} may"
        if self.percentile_99 > MOST_CHANGE:
            return f"one text in a hundred changes by {self.percentile_99:.3f}, {MOST_CHANGE} may"
        return None


@dataclass(frozen=True, slots=True)
class ParityReport:
    """A kind of graph against torch (``alone``), and against itself in batches (``among``)."""

    kind: str
    texts: int
    alone: Change
    among: Change
    accepted: bool
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def compare(
    kind: str, texts: Sequence[str], reference: Floats, graph: Probabilities
) -> ParityReport:
    """Measure a graph on texts whose probabilities by torch are ``reference`` [n, classes].

    Each text is read alone, and in a batch of ``MATES`` others of any length.
    """
    alone = np.concatenate([graph([text]) for text in texts])
    order = np.random.default_rng(SEED).permutation(len(texts))
    among = np.empty_like(alone)
    for start in range(0, len(order), MATES):
        rows = order[start : start + MATES]
        among[rows] = graph([texts[row] for row in rows])
    apart, moved = Change.between(alone, reference), Change.between(among, alone)
    objections = [
        f"{what}: {found}"
        for what, found in (
            ("against torch", apart.objection()),
            ("among other texts", moved.objection()),
        )
        if found is not None
    ]
    reason = "; ".join(objections) or (
        f"on {len(texts)} texts {apart.agreement:.2%} have torch's class and probabilities change "
        f"by {apart.mean:.4f} (99th percentile {apart.percentile_99:.3f}); among other texts "
        f"{moved.agreement:.2%} keep it, changed by {moved.mean:.4f} ({moved.percentile_99:.3f})"
    )
    return ParityReport(kind, len(texts), apart, moved, not objections, reason)


def spread(texts: Sequence[str], most: int = MOST_TEXTS) -> list[str]:
    """At most so many of the texts, evenly spread over them."""
    if len(texts) <= most:
        return list(texts)
    return [texts[int(place)] for place in np.linspace(0, len(texts) - 1, most)]
