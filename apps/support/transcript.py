"""A conversation as both sides see it: who said what when, and why the bot did what it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from shared.api.support import ChatReply, Conversation, Handover, Message, Owner, Source
from shared.ui.confidence import action_badge, confidence_meter, intent_bars
from shared.ui.reader import local
from shared.ui.wording import percent, plain, title_of

_LOOKS = {
    "customer": ("user", ":material/person:"),
    "bot": ("assistant", ":material/smart_toy:"),
    "person": ("assistant", ":material/support_agent:"),
}
_OWNERS: dict[Owner, tuple[str, str, str]] = {
    "bot": ("the bot answers", ":material/smart_toy:", "green"),
    "waiting": ("waits for a person", ":material/hourglass:", "orange"),
    "person": ("a person answers", ":material/support_agent:", "violet"),
    "closed": ("closed", ":material/lock:", "gray"),
}


def owner_badge(owner: Owner, person: str | None) -> None:
    """Who speaks next, as a coloured word."""
    word, icon, color = _OWNERS[owner]
    label = f"{plain(person)} answers" if owner == "person" and person else word
    st.badge(label, icon=icon, color=color)  # type: ignore[arg-type]


def show_messages(messages: Sequence[Message], replies: Mapping[int, ChatReply]) -> None:
    """The turns in order. ``replies`` holds what the API said of customers' messages, by id."""
    asked: Message | None = None
    for message in messages:
        side, avatar = _LOOKS[message.author]
        with st.chat_message(side, avatar=avatar), st.container(gap="xsmall"):
            st.text(message.text, width="stretch")
            if message.author == "bot":
                _show_grounds(message, asked, replies.get(asked.id) if asked else None)
            else:
                who = f"{plain(message.name)} · " if message.name else ""
                st.caption(f"{who}{local(message.created_at)}")
        if message.author == "customer":
            asked = message


def _show_grounds(message: Message, asked: Message | None, reply: ChatReply | None) -> None:
    """What the bot did, how sure it was, and why."""
    judged = message if message.action or asked is None else asked
    grounds = [local(message.created_at)]
    if judged.confidence is not None:
        grounds.insert(0, f"{percent(judged.confidence)} sure")
    if judged.intent:
        grounds.insert(0, plain(title_of(judged.intent)))
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        if judged.action:
            action_badge(judged.action)
        if judged.confidence is not None:
            confidence_meter(judged.confidence)
        st.caption(" · ".join(grounds), width="content")
    if reply is None or reply.action == "handoff":
        return
    because = [plain(reply.reason[:1].upper() + reply.reason[1:])] if reply.reason else []
    if reply.source:
        because.append(_source_line(reply.source))
    st.caption("  \n".join(because))


def _source_line(source: Source) -> str:
    if source.kind == "intent":
        return f":material/menu_book: Answer kept for “{plain(source.title)}”"
    near = f", {percent(source.similarity)} alike" if source.similarity is not None else ""
    return f":material/quiz: FAQ: “{plain(source.title)}”{near}"


def show_handover(handover: Handover) -> None:
    """Why a person was called, and what the model would have guessed."""
    with st.container(border=True):
        st.markdown(f"**A person was called:** {plain(handover.reason)}")
        if handover.ranked:
            st.caption("The model's best guesses")
            intent_bars(handover.ranked)


def owner_line(conversation: Conversation) -> None:
    """Who speaks next, and since when the chat runs."""
    with st.container(horizontal=True, vertical_alignment="center"):
        owner_badge(conversation.owner, conversation.person)
        st.caption(f"began {local(conversation.created_at)}", width="content")
