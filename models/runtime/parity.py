"""Whether a graph answers as torch does, alone and among other texts: the gate of a runtime.

What is compared is what an app acts on: the calibrated probabilities, how familiar a text is (its
in-scope score) and whether its confidence is enough for an answer. Where a graph takes a scale from
what it computes on, a text's answer moves with its mates and their padding; how far is measured,
and bounded like the difference to torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.text_predictor import Assessment

Floats = NDArray[np.float64]
Assess = Callable[[Sequence[str]], Assessment]

LEAST_AGREEMENT = 0.995
"""Share of texts whose most probable class must be the same."""

MOST_MEAN_CHANGE = 0.02
"""Mean over the texts of the largest change of a class's probability."""

MOST_CHANGE = 0.15
"""The same at the 99th percentile of the texts."""

LEAST_DECISIONS = 0.98
"""Share of texts that must be answered or handed over as before: some lie at the threshold."""

MOST_SCORE_CHANGE = 0.1
"""Mean change of the in-scope score, in standard deviations of the score over the texts."""

MOST_TEXTS = 1_000
MATES = 32
SEED = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Two assessments of the same texts compared: shares and probabilities in [0, 1].

    ``agreement`` is the share of texts with the same most probable class; ``mean``,
    ``percentile_99`` and ``largest`` are of the largest change of a class's probability.
    ``decisions`` is the share that is answered or handed over alike, ``confidence`` the mean
    change of confidence, ``score`` that of the in-scope score, in its standard deviations.
    """

    agreement: float
    mean: float
    percentile_99: float
    largest: float
    decisions: float
    confidence: float
    score: float

    @classmethod
    def between(cls, one: Assessment, other: Assessment, threshold: float) -> Change:
        """Of an assessment and its reference, ``other``; ``threshold`` is of confidence."""
        moved = np.abs(one[0] - other[0]).max(axis=1)
        return cls(
            float(np.mean(one[0].argmax(axis=1) == other[0].argmax(axis=1))),
            float(moved.mean()),
            float(np.quantile(moved, 0.99)),
            float(moved.max()),
            float(np.mean((one[2] >= threshold) == (other[2] >= threshold))),
            float(np.abs(one[2] - other[2]).mean()),
            float(np.abs(one[1] - other[1]).mean() / max(float(other[1].std()), 1e-9)),
        )

    def objection(self) -> str | None:
        """What is beyond its bound, None where nothing is."""
        if self.agreement < LEAST_AGREEMENT:
            return f"{self.agreement:.2%} have the same class, {LEAST_AGREEMENT:.1%} must"
        if self.mean > MOST_MEAN_CHANGE:
            return f"probabilities change by {self.mean:.3f} on average, {MOST_MEAN_CHANGE} may"
        if self.percentile_99 > MOST_CHANGE:
            return f"one text in a hundred changes by {self.percentile_99:.3f}, {MOST_CHANGE} may"
        if self.decisions < LEAST_DECISIONS:
            return f"{self.decisions:.2%} are answered or not as before, {LEAST_DECISIONS:.0%} must"
        if self.confidence > MOST_MEAN_CHANGE:
            return f"confidence changes by {self.confidence:.3f} on average, {MOST_MEAN_CHANGE} may"
        if self.score > MOST_SCORE_CHANGE:
            return (
                f"in-scope scores change by {self.score:.2f} standard deviations on average, "
                f"{MOST_SCORE_CHANGE} may"
            )
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
    kind: str, texts: Sequence[str], reference: Assessment, graph: Assess, *, threshold: float
) -> ParityReport:
    """Measure a graph on texts of which torch's assessment is ``reference``.

    Each text is read alone, and in a batch of ``MATES`` others of any length. ``threshold`` is
    the confidence from which a text is answered.
    """
    alone = _joined([graph([text]) for text in texts])
    order = np.random.default_rng(SEED).permutation(len(texts))
    found = _joined(
        [
            graph([texts[row] for row in order[start : start + MATES]])
            for start in range(0, len(order), MATES)
        ]
    )
    places = np.argsort(order)
    among = (found[0][places], found[1][places], found[2][places])
    apart = Change.between(alone, reference, threshold)
    moved = Change.between(among, alone, threshold)
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
        f"by {apart.mean:.4f} (99th percentile {apart.percentile_99:.3f}), "
        f"{apart.decisions:.2%} are answered or handed over as by torch; among other texts "
        f"{moved.agreement:.2%} keep it, changed by {moved.mean:.4f} ({moved.percentile_99:.3f})"
    )
    return ParityReport(kind, len(texts), apart, moved, not objections, reason)


def _joined(parts: Sequence[Assessment]) -> Assessment:
    probabilities, scores, confidence = zip(*parts, strict=True)
    return np.concatenate(probabilities), np.concatenate(scores), np.concatenate(confidence)


def spread(texts: Sequence[str], most: int = MOST_TEXTS) -> list[str]:
    """At most so many of the texts, evenly spread over them."""
    if len(texts) <= most:
        return list(texts)
    return [texts[int(place)] for place in np.linspace(0, len(texts) - 1, most)]
