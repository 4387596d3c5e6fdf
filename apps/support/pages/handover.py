"""The person's side: who waits, and the chat that the person has taken."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from apps.support.transcript import owner_badge, owner_line, show_handover, show_messages
from shared.api.support import ConversationSummary, Owner
from shared.client import ApiError
from shared.ui.connection import api, needed, show_error
from shared.ui.reader import reader_name
from shared.ui.wording import ago, counted, plain, shortened

POLL_SECONDS = 4
FILTERS: dict[str, Owner | None] = {"Waiting": "waiting", "With a person": "person", "All": None}

st.set_page_config(layout="centered")
state = st.session_state
client = api()


def open_chat(conversation_id: str | None) -> None:
    """Show this chat, or the list again."""
    state["desk_open"] = conversation_id


def act(action: str, *args: object, **kwargs: object) -> None:
    """Do it before the page is drawn; what goes wrong is said when it is."""
    try:
        getattr(client, action)(*args, **kwargs)
    except ApiError as error:
        state["desk_error"] = error


def write_message(conversation_id: str, person: str) -> None:
    """Send what was typed to the customer."""
    act("write", conversation_id, person, state["desk_typed"])


def show_summary(summary: ConversationSummary) -> None:
    """One chat of the list."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            owner_badge(summary.owner, summary.person)
            st.caption(
                f"{counted(summary.messages, 'message')} · "
                f"{ago(summary.updated_at, datetime.now(UTC))}",
                width="content",
            )
        st.text(shortened(summary.last_text, 160))
        if summary.reason:
            st.caption(plain(summary.reason))
        if st.button("Open", key=f"open-{summary.id}"):
            open_chat(summary.id)
            st.rerun()


def show_list() -> None:
    """The chats that wait, looked up again every few seconds."""
    chosen = st.segmented_control(
        "Which chats", FILTERS, default="Waiting", label_visibility="collapsed", required=True
    )

    @st.fragment(run_every=POLL_SECONDS)
    def chats() -> None:
        with needed():
            found = client.conversations(FILTERS[chosen or "Waiting"])
        if not found:
            st.info(
                "Nobody waits. This list looks again every few seconds."
                if chosen == "Waiting"
                else "No such chat yet.",
                icon=":material/done_all:",
            )
        for summary in found:
            show_summary(summary)

    chats()


def show_chat(conversation_id: str, person: str) -> None:
    """One chat, and what this person may do in it."""
    st.button("All chats", icon=":material/arrow_back:", on_click=open_chat, args=(None,))
    with needed():
        shown = client.conversation(conversation_id)
    owner_line(shown)
    if shown.handover:
        show_handover(shown.handover)

    @st.fragment(run_every=POLL_SECONDS if shown.owner != "closed" else None)
    def transcript() -> None:
        with needed():
            current = client.conversation(conversation_id)
        if (current.owner, current.person) != (shown.owner, shown.person):
            st.rerun()
        show_messages(current.messages, {})

    transcript()
    mine = shown.owner == "person" and shown.person == person
    if shown.owner in ("bot", "waiting"):
        st.button(
            "Take over",
            type="primary",
            icon=":material/support_agent:",
            disabled=not person,
            help=None if person else "Write your name first",
            on_click=act,
            args=("take_over", conversation_id, person),
        )
    elif mine:
        with st.container(horizontal=True):
            st.button(
                "Give back to the bot",
                icon=":material/smart_toy:",
                on_click=act,
                args=("release", conversation_id, person),
            )
            st.button(
                "Close the chat",
                icon=":material/lock:",
                on_click=act,
                args=("release", conversation_id, person),
                kwargs={"close": True},
            )
        st.chat_input(
            "Write to the customer",
            key="desk_typed",
            max_chars=8_000,
            on_submit=write_message,
            args=(conversation_id, person),
        )
    elif shown.owner == "person":
        st.info(f"{plain(shown.person or 'Someone')} has this chat.", icon=":material/lock:")


st.title("Waiting chats", anchor=False)
st.caption(
    "Chats that the bot handed over, or whose customer asked for a person. Whoever takes one over "
    "writes to the customer until it is given back or closed."
)
name = reader_name()
if problem := state.pop("desk_error", None):
    show_error(problem)
if state.get("desk_open"):
    show_chat(state["desk_open"], name)
else:
    show_list()
