"""Whether a candidate may take the place of the version in use: a paired comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

SAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate split says of a candidate beside the version in use.

    ``difference`` is the candidate's accuracy less the current one's, [``low``, ``high``] its
    interval. With ``n`` 0 there was nothing to compare and the numbers are 0.
    """

    allowed: bool
    reason: str
    n: int
    candidate_accuracy: float
    current_accuracy: float
    difference: float
    low: float
    high: float


def compare_on_gate(
    candidate_correct: ArrayLike,
    current_correct: ArrayLike,
    *,
    seed: int,
    confidence: float = 0.95,
) -> GateReport:
    """Compare two versions on the same gate examples, bool[n] each, by a paired bootstrap.

    Refused when the whole interval of the difference lies below 0: the candidate is worse, by
    more than chance explains. A small loss on a small gate split is not seen, so that the
    report carries ``n`` and the interval. An empty gate split allows, and says so.
    """
    candidate = np.asarray(candidate_correct, dtype=bool)
    current = np.asarray(current_correct, dtype=bool)
    if candidate.ndim != 1 or candidate.shape != current.shape:
        raise ValueError(f"shapes {candidate.shape} and {current.shape}: the pairs do not match")
    n = len(candidate)
    if n == 0:
        reason = "allowed unseen: the gate split is empty, so that nothing was compared"
        return GateReport(True, reason, 0, 0.0, 0.0, 0.0, 0.0, 0.0)

    won = int(np.count_nonzero(candidate & ~current))
    lost = int(np.count_nonzero(~candidate & current))
    # A resample of pairs is a draw of how many are won, lost and drawn.
    draws = np.random.default_rng(seed).multinomial(
        n, [won / n, lost / n, (n - won - lost) / n], size=SAMPLES
    )
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, [tail, 1.0 - tail])
    allowed = bool(high >= 0.0)
    difference = (won - lost) / n
    verdict = (
        f"accuracy {candidate.mean():.2%} against {current.mean():.2%} of the version in use on "
        f"{n} gate examples: {100 * difference:+.2f} points, "
        f"{confidence:.0%} interval {100 * low:+.2f} to {100 * high:+.2f}"
    )
    return GateReport(
        allowed=allowed,
        reason=f"{'not worse' if allowed else 'worse'}: {verdict}",
        n=n,
        candidate_accuracy=float(candidate.mean()),
        current_accuracy=float(current.mean()),
        difference=difference,
        low=float(low),
        high=float(high),
    )
