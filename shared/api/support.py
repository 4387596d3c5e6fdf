"""The shapes of ``/v1/support``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from shared.api.shapes import Name, Shape, Text

Action = Literal["answer", "clarify", "handoff"]
Owner = Literal["bot", "waiting", "person", "closed"]
"""Who speaks next: the bot; nobody yet, a person was called; a person; the chat is over."""


class IntentScore(Shape):
    """An intent and its calibrated probability."""

    intent: str
    probability: float = Field(ge=0, le=1)


class ClassifyRequest(Shape):
    """One or many messages."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=256)]


class Classification(Shape):
    """What the model says of one message, and what the desk would do with it."""

    text: str = Field(description="the message, personal data masked")
    intent: str
    action: Action
    confidence: float = Field(ge=0, le=1)
    in_scope_score: float
    reason: str
    ranked: list[IntentScore]


class ClassifyResponse(Shape):
    """One classification a message, in the order they came."""

    version: str
    results: list[Classification]


class ExplainRequest(Shape):
    """The message to explain; ``intent`` defaults to the most probable one."""

    text: Text
    intent: Name | None = None


class NeighbourShape(Shape):
    """A training example near the message."""

    text: str
    intent: str
    similarity: float


class TokenShape(Shape):
    """A word and how much it spoke for (positive) or against the intent."""

    token: str
    weight: float


class Explanation(Shape):
    """Why the model said so."""

    version: str
    intent: str
    neighbours: list[NeighbourShape]
    tokens: list[TokenShape]


class Source(Shape):
    """Where an answer comes from: the intent's own answer, or a question of the FAQ."""

    kind: Literal["intent", "faq"]
    title: str
    similarity: float | None = None


class Handover(Shape):
    """What a person gets who takes a chat over."""

    reason: str
    ranked: list[IntentScore]


class Message(Shape):
    """One turn of a conversation, personal data masked."""

    id: int
    author: Literal["customer", "bot", "person"]
    name: str | None = Field(default=None, description="the person's name")
    text: str
    created_at: datetime
    action: Action | None = None
    intent: str | None = None
    confidence: float | None = None


class ChatRequest(Shape):
    """A customer's message; without ``conversation_id`` a conversation begins."""

    text: Text
    conversation_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")


class ChatReply(Shape):
    """What the desk does with the message. ``text`` is null while a person owns the chat."""

    conversation_id: str
    owner: Owner
    message_id: int = Field(description="the id of the customer's message, for feedback")
    text: str | None
    action: Action | None
    intent: str | None
    confidence: float | None
    reason: str
    options: list[IntentScore] = Field(
        default_factory=list, description="what a clarification asks between"
    )
    source: Source | None = None
    handover: Handover | None = None


class ConversationSummary(Shape):
    """One line of the list of conversations."""

    id: str
    owner: Owner
    person: str | None
    created_at: datetime
    updated_at: datetime
    messages: int
    last_text: str
    reason: str | None = Field(default=None, description="why a person was called")


class Conversations(Shape):
    """Conversations, the most recently changed first."""

    conversations: list[ConversationSummary]


class Conversation(Shape):
    """A conversation with its transcript."""

    id: str
    owner: Owner
    person: str | None
    created_at: datetime
    updated_at: datetime
    handover: Handover | None
    messages: list[Message]


class TakeOverRequest(Shape):
    """A person takes the chat."""

    person: Name


class PersonMessageRequest(Shape):
    """A person writes in a chat that they own."""

    person: Name
    text: Text


class ReleaseRequest(Shape):
    """The person gives the chat back to the bot, or closes it."""

    person: Name
    close: bool = False


class FeedbackRequest(Shape):
    """A correction: of a message of a conversation, or of a free text."""

    author: Name
    intent: Name = Field(description="the right intent, or out_of_scope")
    text: Text | None = None
    message_id: int | None = Field(default=None, ge=1, le=2**31 - 1)
    note: Annotated[str, Field(max_length=2_000)] = ""


class FeedbackReceipt(Shape):
    """The correction as it was stored."""

    id: int
    text: str
    intent: str
    author: str
    created_at: datetime


class ReviewItem(Shape):
    """A message worth a person's look, with the model's guess."""

    message_id: int
    text: str
    ranked: list[IntentScore]
    confidence: float
    action: Action
    created_at: datetime


class ReviewQueue(Shape):
    """Ordered by uncertainty and diversity; ``total`` counts all that wait."""

    total: int
    items: list[ReviewItem]


class ReviewRequest(Shape):
    """A person's word on a queued message; ``intent`` null sets it aside."""

    author: Name
    intent: Name | None = Field(description="the right intent, out_of_scope, or null to skip")


class IntentProposal(Shape):
    """A group of out-of-scope messages that look like an intent of their own."""

    name: str = Field(description="a suggestion made of the group's telling words")
    size: int
    texts: list[str]
    cohesion: float = Field(description="mean cosine similarity to the group's centre")


class IntentProposals(Shape):
    """The largest groups first."""

    proposals: list[IntentProposal]


class IntentShape(Shape):
    """An intent that the desk knows."""

    name: str
    title: str
    answer: str | None
    examples: int


class Intents(Shape):
    """All intents, in alphabetical order."""

    version: str
    intents: list[IntentShape]


class AddIntentRequest(Shape):
    """A new intent: live at once, by an update of the head."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,79}$")]
    answer: Text
    examples: Annotated[list[Text], Field(min_length=3, max_length=500)]
    author: Name


class AddIntentReport(Shape):
    """What the update changed, measured on validation and gate examples."""

    version: str
    previous: str
    promoted: bool
    reason: str
    seconds: float
    accuracy_before: float
    accuracy_after: float
    largest_loss_intent: str | None
    largest_loss: float = Field(description="points of recall that this intent lost, 0 to 100")


class CheckFinding(Shape):
    """One thing that the data doctor found."""

    kind: str = Field(examples=["likely_wrong_label", "near_duplicate", "tiny_class"])
    severity: Literal["warning", "info"]
    message: str
    rows: list[int] = Field(default_factory=list, description="row numbers, counted from 1")
    details: dict[str, object] = Field(default_factory=dict)


class CheckReport(Shape):
    """What the data doctor says of a file."""

    rows: int
    rejected: int
    classes: int
    warnings: int
    findings: list[CheckFinding]
    seconds: float
