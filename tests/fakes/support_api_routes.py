"""The routes of the fake support API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Header, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse

from shared.api import shapes, support
from tests.fakes.drift_answers import drift_route
from tests.fakes.support_api import (
    ANSWERS,
    MORNING,
    REPORT,
    VERSIONS,
    WORDS,
    FakeSupportApi,
    Refused,
    metrics,
)


def routes_of(fake: FakeSupportApi) -> FastAPI:
    """An application that answers with the fake's state and changes it."""

    def admitted(request: Request, authorization: Annotated[str, Header()] = "") -> None:
        if request.url.path == "/readyz":
            return
        if fake.key and authorization != f"Bearer {fake.key}":
            raise Refused(401, "unauthorized", "no valid key")
        if not fake.ready:
            raise Refused(503, "not_ready", "the support model is still loading")

    app = FastAPI(dependencies=[Depends(admitted)], openapi_url=None)

    @app.exception_handler(Refused)
    def refuse(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse(error.problem.model_dump(), status_code=error.status)

    @app.get("/readyz")
    def readyz() -> shapes.Health:
        if not fake.ready:
            raise Refused(503, "not_ready", "the support model is still loading")
        return shapes.Health(status="ready", versions={"support": fake.in_use})

    _conversation_routes(app, fake)
    _learning_routes(app, fake)
    _model_routes(app, fake)
    drift_route(app, fake, "support", MORNING)
    return app


def _conversation_routes(app: FastAPI, fake: FakeSupportApi) -> None:
    @app.post("/v1/support/chat")
    def chat(asked: support.ChatRequest) -> support.ChatReply:
        return fake.chat(asked)

    @app.post("/v1/support/classify")
    def classify(asked: support.ClassifyRequest) -> support.ClassifyResponse:
        results = []
        for text in asked.texts:
            action, ranked = fake.guess(text)
            results.append(
                support.Classification(
                    text=text,
                    intent=ranked[0].intent,
                    action=action,
                    confidence=ranked[0].probability,
                    in_scope_score=1.0,
                    reason="words",
                    ranked=ranked,
                )
            )
        return support.ClassifyResponse(version=VERSIONS[1], results=results)

    @app.post("/v1/support/explain")
    def explain(asked: support.ExplainRequest) -> support.Explanation:
        _, ranked = fake.guess(asked.text)
        return support.Explanation(
            version=VERSIONS[1],
            intent=ranked[0].intent,
            neighbours=[
                support.NeighbourShape(
                    text="has my parcel left", intent="order_status", similarity=0.91
                )
            ],
            tokens=[
                support.TokenShape(token=word, weight=0.8 if word in WORDS else -0.1)
                for word in asked.text.split()
            ],
        )

    @app.get("/v1/support/conversations")
    def conversations(owner: support.Owner | None = None, limit: int = 50) -> support.Conversations:
        found = [one for one in fake.conversations.values() if owner in (None, one.owner)]
        return support.Conversations(
            conversations=[
                support.ConversationSummary(
                    id=one.id,
                    owner=one.owner,
                    person=one.person,
                    created_at=one.created_at,
                    updated_at=one.updated_at,
                    messages=len(one.messages),
                    last_text=one.messages[-1].text,
                    reason=one.handover.reason if one.handover else None,
                )
                for one in found[:limit]
            ]
        )

    @app.get("/v1/support/conversations/{conversation_id}")
    def conversation(conversation_id: str) -> support.Conversation:
        return fake.conversation(conversation_id)

    @app.post("/v1/support/conversations/{conversation_id}/takeover")
    def take_over(conversation_id: str, asked: support.TakeOverRequest) -> support.Conversation:
        taken = fake.conversation(conversation_id)
        if taken.owner == "person" and taken.person != asked.person:
            raise Refused(409, "conflict", f"{taken.person} has this chat")
        return fake.keep(taken, owner="person", person=asked.person)

    @app.post("/v1/support/conversations/{conversation_id}/messages")
    def write(conversation_id: str, asked: support.PersonMessageRequest) -> support.Conversation:
        fake.say(fake.conversation(conversation_id), "person", asked.text, name=asked.person)
        return fake.conversation(conversation_id)

    @app.post("/v1/support/conversations/{conversation_id}/release")
    def release(conversation_id: str, asked: support.ReleaseRequest) -> support.Conversation:
        owner = "closed" if asked.close else "bot"
        given = fake.conversation(conversation_id)
        return fake.keep(given, owner=owner, person=None, handover=None)


def _learning_routes(app: FastAPI, fake: FakeSupportApi) -> None:
    @app.get("/v1/support/review")
    def review_queue(limit: int = 20) -> support.ReviewQueue:
        return support.ReviewQueue(total=len(fake.queue), items=fake.queue[:limit])

    @app.get("/v1/support/review/proposals")
    def proposals() -> support.IntentProposals:
        return support.IntentProposals(proposals=fake.groups)

    @app.post("/v1/support/review/{message_id}", status_code=204)
    def review(message_id: int, asked: support.ReviewRequest) -> None:
        fake.queue = [item for item in fake.queue if item.message_id != message_id]
        fake.reviewed.append((message_id, asked.intent, asked.author))

    @app.get("/v1/support/intents")
    def intents() -> support.Intents:
        return support.Intents(
            version=VERSIONS[1],
            intents=[
                support.IntentShape(
                    name=name, title=name.replace("_", " ").capitalize(), answer=answer, examples=30
                )
                for name, answer in ANSWERS.items()
            ],
        )

    @app.post("/v1/support/intents")
    def add_intent(asked: support.AddIntentRequest) -> support.AddIntentReport:
        fake.taught.append(asked)
        return support.AddIntentReport(
            version=VERSIONS[0],
            previous=VERSIONS[1],
            promoted=True,
            reason="no worse",
            seconds=4.2,
            accuracy_before=0.941,
            accuracy_after=0.94,
            largest_loss_intent="refund",
            largest_loss=0.4,
        )

    @app.post("/v1/support/check")
    async def check(
        file: UploadFile,
        text_column: Annotated[str | None, Form()] = None,
        label_column: Annotated[str | None, Form()] = None,
    ) -> support.CheckReport:
        content = await file.read()
        if b"\x00" in content:
            raise Refused(422, "unreadable_file", "the file is binary")
        fake.checked.append((file.filename or "", content, text_column, label_column))
        return support.CheckReport(
            rows=content.count(b"\n") - 1,
            rejected=0,
            classes=2,
            warnings=sum(finding.severity == "warning" for finding in fake.findings),
            findings=fake.findings,
            seconds=0.8,
        )


def _model_routes(app: FastAPI, fake: FakeSupportApi) -> None:
    def switch(version: str, author: str, forced: bool) -> shapes.PromotionShape:
        previous, fake.in_use = fake.in_use, version
        fake.promotions.append((version, author, forced))
        return shapes.PromotionShape(
            app="support", version=version, previous=previous, forced=forced, reason="no worse"
        )

    @app.get("/v1/models")
    def models(app: str) -> shapes.ModelVersions:
        return shapes.ModelVersions(
            versions=[
                shapes.ModelVersionSummary(
                    app=app,
                    version=version,
                    created_at=MORNING - timedelta(days=place),
                    method="full",
                    encoder="all-MiniLM-L6-v2",
                    metrics=metrics(accuracy),
                    in_use=version == fake.in_use,
                )
                for place, (version, accuracy) in enumerate(fake.accuracies.items())
            ]
        )

    @app.get("/v1/models/{app}/{version}")
    def model(app: str, version: str) -> shapes.ModelCardShape:
        card = {
            "labels": list(ANSWERS),
            "metrics": metrics(fake.accuracies[version]),
            "thresholds": {
                "answer": 0.8,
                "target_error": 0.02,
                "temperature": 1.3,
                "certified": fake.certified,
            },
            "limits": ["English only."],
            "reason": "many labels: the whole network is worth its time",
        }
        used = version == fake.in_use
        return shapes.ModelCardShape(app=app, version=version, in_use=used, card=card)

    @app.get("/v1/models/{app}/{version}/report.html")
    def report(app: str, version: str) -> HTMLResponse:
        return HTMLResponse(REPORT.format(version=version))

    @app.post("/v1/models/{app}/{version}/promote")
    def promote(app: str, version: str, asked: shapes.PromoteRequest) -> shapes.PromotionShape:
        if version in fake.worse and not asked.force:
            raise Refused(409, "promotion_refused", "2.1 points worse on the gate split")
        return switch(version, asked.author, asked.force)

    @app.post("/v1/models/{app}/rollback")
    def rollback(app: str, asked: shapes.RollbackRequest) -> shapes.PromotionShape:
        return switch(VERSIONS[1], asked.author, False)
