"""What people teach the desk: corrections, the review queue, new intents, data to check."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select, update

from apps.support.conversation.knowledge import APP, written_answers
from apps.support.inference import Desk, DeskInUse
from apps.support.learning import review
from shared.api.support import (
    AddIntentReport,
    AddIntentRequest,
    CheckReport,
    FeedbackReceipt,
    FeedbackRequest,
    IntentProposals,
    Intents,
    IntentShape,
    ReviewQueue,
    ReviewRequest,
)
from shared.errors import DataError, NotFound, Overloaded
from shared.records import OUT_OF_SCOPE
from shared.storage.audit import record
from shared.storage.engine import reading
from shared.storage.tables import feedback, messages

AddIntent = Callable[[AddIntentRequest, datetime], AddIntentReport]
CheckFile = Callable[[Path, str | None, str | None], CheckReport]

LONGEST_FILE_NAME = 80


class TeachingService:
    """What the routes of learning call; every method blocks.

    ``add_intent`` makes and promotes a version that knows one more intent; ``check_file`` is the
    data doctor, given a file and the names of its text and label columns.
    """

    def __init__(
        self,
        *,
        desk: DeskInUse,
        engine: Engine,
        mask: Callable[[str], str],
        clock: Callable[[], datetime],
        add_intent: AddIntent,
        check_file: CheckFile,
    ) -> None:
        self._desk = desk
        self._engine = engine
        self._mask = mask
        self._clock = clock
        self._add_intent = add_intent
        self._check_file = check_file
        self._checking = threading.Lock()

    def correct(self, request: FeedbackRequest) -> FeedbackReceipt:
        """Store what a customer's message, or a free text, should have been.

        Raises DataError unless exactly one of text and message is given and the intent is known.
        """
        if (request.text is None) == (request.message_id is None):
            raise DataError("feedback is about a message_id or a text: give exactly one of them")
        _require_known(self._desk.current(), request.intent)
        row: dict[str, Any] = {
            "app": APP,
            "label": request.intent,
            "author": request.author,
            "created_at": self._clock(),
            "note": self._mask(request.note),
            "message_id": request.message_id,
        }
        with self._engine.begin() as connection:
            if request.text is not None:
                row["text"] = self._mask(request.text)
            else:
                corrected = connection.execute(
                    select(messages).where(
                        messages.c.id == request.message_id, messages.c.author == "customer"
                    )
                ).one_or_none()
                if corrected is None:
                    raise NotFound(
                        f"there is no message {request.message_id} of a customer",
                        message_id=request.message_id,
                    )
                row |= {
                    "text": corrected.text,
                    "predicted": corrected.intent,
                    "version": corrected.version,
                }
                connection.execute(
                    update(messages)
                    .where(messages.c.id == corrected.id, messages.c.review_state == "waiting")
                    .values(review_state="done")
                )
            key = connection.execute(insert(feedback).values(**row)).inserted_primary_key
            assert key is not None
            details = {"app": APP, "feedback": key[0], "intent": request.intent}
            record(
                connection,
                actor=request.author,
                action="correction",
                details=details,
                at=row["created_at"],
            )
        return FeedbackReceipt(
            id=key[0],
            text=row["text"],
            intent=request.intent,
            author=request.author,
            created_at=row["created_at"],
        )

    def review_queue(self, limit: int) -> ReviewQueue:
        """The messages most worth a person's look."""
        return review.queue(self._engine, limit)

    def review(self, message_id: int, request: ReviewRequest) -> None:
        """Store a person's word on a queued message."""
        known = self._desk.current().predictor.labels
        review.resolve(
            self._engine,
            message_id,
            request.intent,
            request.author,
            self._clock(),
            known=known,
        )

    def proposals(self) -> IntentProposals:
        """Groups of handed-over messages that look like intents of their own."""
        predictor = self._desk.current().predictor
        return review.proposals(
            self._engine, threshold=predictor.answer_threshold, taken=predictor.labels
        )

    def intents(self) -> Intents:
        """What the desk knows, with its answers."""
        desk = self._desk.current()
        with reading(self._engine) as connection:
            written = written_answers(connection)
        return Intents(
            version=desk.version,
            intents=[
                IntentShape(
                    name=label,
                    title=desk.book.title(label),
                    answer=written.get(label) or desk.book.answers.get(label),
                    examples=desk.example_counts.get(label, 0),
                )
                for label in sorted(desk.predictor.labels)
            ],
        )

    def add_intent(self, request: AddIntentRequest) -> AddIntentReport:
        """Teach a new intent; when this returns, it is served."""
        report = self._add_intent(request, self._clock())
        self._desk.refresh()
        return report

    def check(
        self, name: str, content: bytes, text_column: str | None, label_column: str | None
    ) -> CheckReport:
        """What the data doctor says of an uploaded file. One at a time: Overloaded otherwise."""
        if not self._checking.acquire(blocking=False):
            raise Overloaded("another file is being checked: try again in a minute")
        try:
            with tempfile.TemporaryDirectory(prefix="triptych-check-") as folder:
                path = Path(folder) / _safe_name(name)
                path.write_bytes(content)
                try:
                    return self._check_file(path, text_column or None, label_column or None)
                except DataError as error:
                    told = error.message.replace(f"{folder}/", "")
                    raise type(error)(told) from error
        finally:
            self._checking.release()


def _safe_name(name: str) -> str:
    """The upload's name, which tells its format, fit for a file of ours."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("\\", "/").rsplit("/", 1)[-1])
    return plain.lstrip(".")[-LONGEST_FILE_NAME:] or "upload.csv"


def _require_known(desk: Desk, intent: str) -> None:
    if intent != OUT_OF_SCOPE and intent not in desk.predictor.labels:
        raise DataError(
            f"the model in use knows no intent {intent!r}: choose one of its intents or "
            f"{OUT_OF_SCOPE!r}, or add the intent first",
            intent=intent,
        )
