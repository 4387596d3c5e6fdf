"""Intervals of shares and of their differences, in closed form.

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927;
R. G. Newcombe, "Interval estimation for the difference between independent proportions", 1998,
method 10. Both hold their level with few counts and with shares near 0, as click rates are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval around it; all three None where nothing was counted."""

    estimate: float | None
    low: float | None
    high: float | None


NOTHING = Interval(None, None, None)


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """The share of ``hits`` in ``n`` independent trials, by Wilson's score interval."""
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits in {n} trials")
    return Interval(*_score_interval(hits, n, confidence)) if n else NOTHING


def newcombe(
    hits: int, n: int, other_hits: int, other_n: int, confidence: float = CONFIDENCE
) -> Interval:
    """The first share less the other, of independent samples, from their Wilson intervals."""
    if n == 0 or other_n == 0:
        return NOTHING
    share, low, high = _score_interval(hits, n, confidence)
    other, other_low, other_high = _score_interval(other_hits, other_n, confidence)
    difference = share - other
    down = math.hypot(share - low, other_high - other)
    up = math.hypot(high - share, other - other_low)
    return Interval(difference, difference - down, difference + up)


def _score_interval(hits: int, n: int, confidence: float) -> tuple[float, float, float]:
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the bound is exact; the square root misses it by a rounding.
    low = 0.0 if hits == 0 else middle - reach
    high = 1.0 if hits == n else middle + reach
    return share, low, high
