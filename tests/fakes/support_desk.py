"""Small stand-ins around the support desk: a version pointer, a batcher, a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.support.conversation.decision import DecisionPolicy
from apps.support.conversation.knowledge import AnswerBook, Faq, FaqEntry
from apps.support.inference import Desk, DeskInUse, Reading
from shared.errors import VersionNotFound
from tests.fakes.predictor import KeywordPredictor

SHOP = AnswerBook(
    answers={
        "cancel_order": "Open the order and press Cancel.",
        "change_address": "Change the address in your account.",
        "refund": "Refunds take five days.",
        "track_order": "The tracking page shows where it is.",
    },
    titles={"track_order": "track an order", "change_address": "change the address"},
    faq=(FaqEntry("voucher gift", "A voucher never expires."),),
)


@dataclass
class PointerFake:
    """Versions by name, and which is in use: set ``used`` as another process would."""

    versions: dict[str, Any]
    used: str | None = None
    asked: int = 0

    def in_use(self, app: str) -> str | None:
        assert app == "support"
        self.asked += 1
        return self.used

    def get(self, app: str, version: str | None = None) -> Any:
        if version not in self.versions:
            raise VersionNotFound(f"no version {version}")
        return self.versions[version]


@dataclass
class ClockFake:
    """Stands still until it is moved."""

    now: datetime = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class DirectBatcher:
    """Reads at once in a thread; ``batches`` keeps the texts of each call."""

    read: Callable[[list[str]], list[Reading]]
    batches: list[list[str]] = field(default_factory=list)

    async def submit(self, texts: Sequence[str]) -> list[Reading]:
        self.batches.append(list(texts))
        return await asyncio.to_thread(self.read, list(texts))


def shop_desk(predictor: KeywordPredictor | None = None, book: AnswerBook = SHOP) -> Desk:
    """The shop's desk over the keyword predictor."""
    predictor = predictor or KeywordPredictor()
    return Desk(
        predictor=predictor,
        policy=DecisionPolicy(answer_threshold=predictor.answer_threshold, faq_similarity=0.99),
        book=book,
        faq=Faq((), predictor.embed),
        example_counts=dict.fromkeys(predictor.labels, 3),
    )


def shop_in_use(desk: Desk | None = None) -> DeskInUse:
    """A loaded desk that follows no pointer."""
    desk = desk or shop_desk()
    in_use = DeskInUse(PointerFake({"v": desk}, used="v"), lambda version: version)
    in_use.refresh()
    return in_use
