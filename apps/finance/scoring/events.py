"""What a story is about: earnings, a merger, an insolvency, without training.

Each type is described by phrases of a few words; a text belongs to the type whose phrases it lies
nearest to. Class vectors come from the core's zero-shot method (``shared.finetuning.zero_shot``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from shared.finetuning.zero_shot import SCALE, class_vectors

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

EVENT_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "earnings": (
            "quarterly profit, revenue and earnings per share reported",
            "operating profit or loss for the period compared with a year earlier",
            "results beat or miss analysts' estimates",
            "net sales of the company rose or fell in the quarter",
            "company reports half-year income",
            "net profit doubles on strong demand",
            "annual loss of the company narrows or widens",
            "margins and earnings in the third quarter",
        ),
        "guidance": (
            "company raises or cuts its outlook for the year",
            "profit warning: the company expects lower earnings than forecast",
            "full-year guidance confirmed, raised or withdrawn",
            "the company expects sales and margins next year to be in this range",
            "management sees income rising or falling in the coming quarters",
            "company sticks to its full-year target",
            "company gives an upbeat or cautious outlook",
        ),
        "merger": (
            "company agrees to acquire a rival",
            "takeover bid, offer for all shares",
            "merger talks, buyout by private equity",
            "sale of a business unit to a buyer, stake purchase",
            "large group snaps up a start-up",
            "company to buy a maker of specialty goods",
            "shareholders vote on a tie-up",
            "company takes a majority stake in a competitor",
        ),
        "lawsuit": (
            "company sued in court, lawsuit and damages",
            "jury verdict, judge rules in patent dispute",
            "class action by investors or customers",
            "legal settlement, appeal against a court ruling",
            "victims seek compensation from the company in court",
            "trial opens against the company",
        ),
        "regulator": (
            "regulator fines the company or opens an investigation",
            "antitrust authority, competition watchdog probe",
            "financial supervisor orders the bank to comply with rules",
            "government agency revokes or grants a licence",
            "central bank bars a bank from new business",
            "data protection office orders a company to stop",
            "telecoms watchdog tells operator to refund customers",
            "ministry or authority approves tariffs or tightens rules",
        ),
        "rating_change": (
            "rating agency downgrades or upgrades credit rating",
            "analyst upgrades or downgrades the stock to buy or sell",
            "broker raises or cuts price target",
            "Moody's, Fitch or S&P changes rating outlook",
            "bank starts coverage of a share with overweight, neutral or underweight",
            "Goldman raises the share to buy from neutral",
            "agency lowers the issuer by two notches",
            "brokerage removes the stock from its buy list",
        ),
        "management": (
            "chief executive resigns or steps down",
            "company appoints new chief financial officer",
            "chairman leaves, new directors join the board",
            "boss ousted, successor named",
            "founder returns to lead the company",
            "bank names new finance chief",
            "company hires veteran as head of a division",
            "board replaced after proxy fight",
            "head of trading leaves the company",
        ),
        "insolvency": (
            "company files for bankruptcy or insolvency",
            "default on bonds, missed debt payment",
            "creditors, administration, liquidation, receivership",
            "Chapter 11 protection, going concern doubts",
            "insolvent company seeks a rescuer",
            "company goes into administration",
            "receivers take control of the assets",
            "bank collapses, depositors are paid out",
        ),
        "dividend": (
            "company raises, cuts or suspends its dividend",
            "share buyback programme, repurchase of own shares",
            "special dividend, payout to shareholders",
            "ex-dividend date, record date for the distribution",
            "company lifts its payout ratio",
            "company resumes payments to shareholders",
            "interim dividend declared per share",
        ),
        "product": (
            "company launches a new product",
            "product recall over a safety defect",
            "drug approved or fails in clinical trial",
            "new model, device, chip or service unveiled",
            "release of a game, an app or a feature, or its delay",
            "company brings a cosmetic or food product to a new market",
            "product taken off the shelves after contamination",
            "app rolls out a new feature to all users",
        ),
        "macro": (
            "central bank interest rate decision",
            "inflation, unemployment and economic growth figures",
            "oil price, currency and exchange rate moves",
            "exports, imports, retail sales and factory orders of a country",
            "employers add or cut jobs, payrolls, unemployment rate",
            "the country's economy shrinks or grows",
            "retail sales in the country fall unexpectedly",
            "forecast for global growth lowered or raised",
        ),
    }
)
"""The event types with the phrases that describe each, in the order of every table."""

NO_EVENT_SIMILARITY = 0.24
"""Cosine under which a text belongs to no type: with the packaged encoder, the best on the
development half of tests/data/finance_events (0.24 and 0.25 do equally well there)."""


class EventClassifier:
    """Names the event of a text by its nearest type. As safe to share as ``embed`` is.

    ``embed`` turns texts into unit vectors float32 [n, dimensions]; the phrases are embedded once,
    when the classifier is made. ``no_event_similarity`` is the cosine that a type has to reach.
    """

    def __init__(
        self,
        embed: Embed,
        *,
        types: Mapping[str, Sequence[str]] = EVENT_TYPES,
        no_event_similarity: float = NO_EVENT_SIMILARITY,
    ) -> None:
        if not types or not all(types.values()):
            raise ValueError("each event type needs at least one phrase")
        self.types = tuple(types)
        self.no_event_similarity = no_event_similarity
        self._embed = embed
        phrases = {
            f"{name} {number}": phrase
            for name, described in types.items()
            for number, phrase in enumerate(described)
        }
        self._phrases = class_vectors(list(phrases), embed, descriptions=phrases, templates=())
        lengths = [len(described) for described in types.values()]
        self._firsts = np.cumsum([0, *lengths[:-1]])

    def classify(self, texts: Sequence[str]) -> list[tuple[str | None, float]]:
        """The event of each text, or None, and the probability of that answer in (0, 1].

        Softmax over the types' best cosines and, as one more class, ``no_event_similarity``.
        """
        if not texts:
            return []
        nearest = np.maximum.reduceat(self._embed(texts) @ self._phrases.T, self._firsts, axis=1)
        none = np.full((len(texts), 1), self.no_event_similarity, dtype=nearest.dtype)
        logits = SCALE * np.hstack([nearest, none]).astype(np.float64)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = weights / weights.sum(axis=1, keepdims=True)
        answers: list[str | None] = [*self.types, None]
        return [(answers[int(row.argmax())], float(row.max())) for row in probabilities]
