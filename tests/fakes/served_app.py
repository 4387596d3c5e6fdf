"""A served app without a model: it answers each message with how long it is."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Query, UploadFile
from pydantic import Field

from shared.api.shapes import Name, Shape, Text
from shared.errors import Conflict, NotFound, Overloaded
from shared.serving.guards.auth import Principal, require
from shared.serving.problems import documented
from shared.serving.watching.metrics import Metrics


class MeasureRequest(Shape):
    texts: Annotated[list[Text], Field(min_length=1, max_length=8)]
    times: int = Field(default=1, ge=1, le=5)


class Lengths(Shape):
    lengths: list[int]


class Note(Shape):
    id: int
    author: str
    text: str


class NoteRequest(Shape):
    text: Text
    author: Name


class UploadReceipt(Shape):
    name: str
    size: int
    column: str | None


class FakeServedApp:
    """``start_errors`` are raised by the first starts, one each; ``gate`` holds a start back.

    ``found`` False makes ``start`` end without a version, as on a home without models.
    """

    name = "support"

    def __init__(self, *, found: bool = True, start_errors: tuple[Exception, ...] = ()) -> None:
        self.found = found
        self.start_errors = list(start_errors)
        self.gate = threading.Event()
        self.gate.set()
        self.ready = False
        self.version: str | None = None
        self.starts = 0
        self.stops = 0
        self.metrics: Metrics | None = None
        self.notes: dict[int, Note] = {}
        self.failure: Exception | None = None
        self.router = self._routes()

    def start(self) -> None:
        self.starts += 1
        self.gate.wait()
        if self.start_errors:
            raise self.start_errors.pop(0)
        if self.found:
            self.promote("20260101T000000Z-00000000")

    def promote(self, version: str) -> None:
        """A version was put in use, and the app has loaded it."""
        self.version, self.ready = version, True

    def stop(self) -> None:
        self.stops += 1
        self.gate.set()
        self.ready = False

    def measure(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def _routes(self) -> APIRouter:
        router = APIRouter(prefix="/v1/support", tags=["support"])

        @router.post("/measure", dependencies=[Depends(require("use"))])
        def lengths(body: MeasureRequest) -> Lengths:
            if self.failure is not None:
                raise self.failure
            return Lengths(lengths=[len(text) * body.times for text in body.texts])

        @router.post("/notes", responses=documented(409))
        def add(
            body: NoteRequest, principal: Annotated[Principal, Depends(require("review"))]
        ) -> Note:
            if any(note.text == body.text for note in self.notes.values()):
                raise Conflict("that note is there already")
            number = len(self.notes) + 1
            self.notes[number] = Note(id=number, author=principal.name, text=body.text)
            return self.notes[number]

        @router.get("/notes/{number}", responses=documented(404))
        def show(
            number: Annotated[int, Path(ge=1, le=2**31 - 1)],
            _: Annotated[Principal, Depends(require("use"))],
            shout: Annotated[bool, Query()] = False,
        ) -> Note:
            note = self.notes.get(number)
            if note is None:
                raise NotFound(f"there is no note {number}", note=number)
            return note.model_copy(update={"text": note.text.upper()}) if shout else note

        @router.post("/check", dependencies=[Depends(require("use"))])
        def check(
            file: Annotated[UploadFile, File()],
            text_column: Annotated[Name | None, Form()] = None,
        ) -> UploadReceipt:
            content = file.file.read()
            return UploadReceipt(name=file.filename or "", size=len(content), column=text_column)

        @router.post("/busy", dependencies=[Depends(require("use"))])
        async def busy() -> None:
            raise Overloaded("too many wait", retry_after_seconds=7)

        return router
